#!/usr/bin/env python3
"""Layers computed by PyTorch in double precision, for LayerTests.swift: pytorch_layers.py pytorch_layers.json

Each case is a list of layers as a model file describes them. Parameters, inputs and the gradients of the outputs are
those of NetworkRig.swift. A real and a fake pass go forward and backward, one after the other; then comes a pass of
evaluation. Of every tensor the file holds the largest magnitude, inner products with two vectors of weights, and a few
elements.

Needs torch and numpy: python3 -m venv VENV && VENV/bin/pip install torch numpy. Written with torch 2.13.0 and, from
"instances normalised" on, 2.15.0."""
import json
import sys

import numpy as np
import torch
from torch import nn

BATCH = 10
MASK = (1 << 64) - 1


class SplitMix64:
    """As in Values.swift."""

    def __init__(self, seed):
        self.state = seed

    def unit(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (((z ^ (z >> 31)) >> 40) - 0x800000) * 2.0**-23


def rows(kind, features):
    """[BATCH, features] as NetworkRig.value has them."""
    return [[SplitMix64(kind << 48 | row << 24 | feature).unit() for feature in range(features)] for row in range(BATCH)]


def linear(inputs, outputs):
    return {"type": "linear", "inputs": inputs, "outputs": outputs}


def conv2d(inputs, outputs, kernel, stride, padding, bias=True, transposed=False):
    return {"type": "conv_transpose2d" if transposed else "conv2d", "inputs": inputs, "outputs": outputs, "kernel": kernel,
            "stride": stride, "padding": padding, "bias": bias}


def transposed(*sizes, bias=True):
    return conv2d(*sizes, bias=bias, transposed=True)


def padded(layer, output_padding):
    return layer | {"output_padding": output_padding}


def norm(channels):
    return {"type": "batch_norm", "channels": channels}


def instance_norm(channels, affine=False):
    return {"type": "instance_norm", "channels": channels, "affine": affine}


def reshape(channels, height=1, width=1):
    return {"type": "reshape", "channels": channels, "height": height, "width": width}


def reflection_pad(padding):
    return {"type": "reflection_pad", "padding": padding}


def residual(*layers):
    return {"type": "residual", "layers": layers}


def upsample(factor):
    return {"type": "upsample", "factor": factor}


def leaky(slope=0.2):
    return {"type": "leaky_relu", "slope": slope}


RELU, TANH = {"type": "relu"}, {"type": "tanh"}


def cases():
    """(name, input [C, H, W], layers)"""
    channels = [(1, 17), (3, 5), (17, 3), (20, 18), (3, 1)]
    number = 0
    for kernel, stride, padding in [(4, 2, 1), (4, 1, 0), (3, 1, 1), (5, 3, 2), (2, 2, 0), (3, 2, 0)]:
        for is_transposed in (False, True):
            # A convolution of even sides of (3, 2, 0) leaves pixels over, and so does one of odd sides of (2, 2, 0).
            for height, width in [(3, 4), (5, 3)] if is_transposed else [(6, 8), (7, 5)]:
                inputs, outputs = channels[number % 5]
                bias = number % 3 == 0
                layer = conv2d(inputs, outputs, kernel, stride, padding, bias, is_transposed)
                yield (f"{layer['type']} {inputs} to {outputs}, kernel {kernel}, stride {stride}, padding {padding}, "
                       f"{height} x {width}" + (", bias" if bias else ""), (inputs, height, width), [layer])
                number += 1
    yield "leaky relu fused on both sides", (3, 6, 6), [conv2d(3, 18, 4, 2, 1), leaky(), conv2d(18, 2, 3, 1, 0, False)]
    yield "relu fused on one side, last", (2, 5, 4), [conv2d(2, 3, 3, 1, 1), RELU]
    yield "rectifiers before and twice after", (2, 4, 4), [
        leaky(0.3), conv2d(2, 3, 3, 1, 1, False), leaky(0.4), RELU, conv2d(3, 1, 2, 2, 0)]
    yield "transposed, relu fused on both sides, tanh", (5, 2, 3), [
        transposed(5, 17, 4, 2, 1, bias=False), RELU, transposed(17, 1, 4, 2, 1), TANH]
    yield "a convolution of few pixels, then a linear layer", (2, 4, 4), [conv2d(2, 9, 4, 1, 0), leaky(), linear(9, 3)]
    yield "a linear layer, then a transposed convolution", (7, 1, 1), [
        linear(7, 12), RELU, transposed(12, 3, 4, 1, 0), leaky(0.1), conv2d(3, 2, 2, 2, 0)]
    yield "an image of features", (5, 1, 1), [linear(5, 24), RELU, reshape(2, 3, 4), conv2d(2, 3, 3, 1, 1)]
    yield "features of an image", (3, 4, 5), [conv2d(3, 2, 3, 1, 1), leaky(), reshape(40), linear(40, 4)]
    yield "an image of other sides", (3, 4, 2), [reshape(2, 3, 4), conv2d(2, 2, 3, 1, 1, False), reshape(4, 2, 3)]
    yield "larger", (2, 3, 2), [upsample(2), conv2d(2, 3, 3, 1, 1, False)]
    yield "larger after a rectifier, by three", (2, 2, 3), [conv2d(2, 3, 3, 1, 1), RELU, upsample(3), leaky(), conv2d(3, 1, 3, 1, 1)]
    yield "larger, last", (1, 3, 4), [conv2d(1, 2, 3, 1, 1, False), upsample(2)]
    yield "normalised features, relu", (6, 1, 1), [linear(6, 11), norm(11), RELU, linear(11, 2)]
    yield "normalised features without a rectifier", (6, 1, 1), [linear(6, 5), norm(5), linear(5, 3)]
    yield "normalised channels, leaky relu", (2, 6, 5), [
        conv2d(2, 5, 4, 2, 1, False), norm(5), leaky(), conv2d(5, 2, 2, 1, 0)]
    yield "normalised channels without a rectifier", (3, 4, 4), [conv2d(3, 17, 3, 1, 1), norm(17), conv2d(17, 1, 2, 2, 0)]
    yield "normalisation first", (3, 4, 5), [norm(3), conv2d(3, 2, 3, 1, 1)]
    yield "normalisation last, relu", (2, 3, 4), [transposed(2, 3, 4, 2, 1, bias=False), norm(3), RELU]
    yield "normalisation last", (4, 1, 1), [linear(4, 6), norm(6)]
    yield "normalisation, tanh", (2, 3, 3), [conv2d(2, 3, 2, 1, 0), norm(3), TANH, conv2d(3, 1, 2, 1, 0)]
    yield "normalisation, two rectifiers", (4, 1, 1), [linear(4, 6), norm(6), leaky(0.3), leaky(0.5), linear(6, 2)]
    yield "normalisation after a rectifier", (2, 4, 4), [conv2d(2, 3, 3, 1, 1), leaky(), norm(3), conv2d(3, 2, 2, 2, 0)]
    yield "normalisation of an image's features", (2, 3, 3), [
        conv2d(2, 3, 2, 1, 0), reshape(12), norm(12), RELU, linear(12, 2)]
    yield "normalisation twice", (3, 1, 1), [linear(3, 6), norm(6), leaky(0.3), norm(6), RELU, linear(6, 1)]
    yield "normalisation of what is larger", (2, 3, 3), [upsample(2), norm(2), RELU, conv2d(2, 1, 3, 1, 1)]
    yield "a generator", (6, 1, 1), [
        transposed(6, 18, 4, 1, 0, bias=False), norm(18), RELU, transposed(18, 4, 4, 2, 1, bias=False), norm(4), RELU,
        transposed(4, 1, 4, 2, 1, bias=False), TANH]
    yield "a discriminator", (1, 16, 16), [
        conv2d(1, 4, 4, 2, 1, False), leaky(), conv2d(4, 18, 4, 2, 1, False), norm(18), leaky(), conv2d(18, 1, 4, 1, 0, False)]
    yield "instances normalised, relu", (2, 6, 5), [conv2d(2, 17, 3, 1, 1), instance_norm(17), RELU, conv2d(17, 2, 3, 2, 1)]
    yield "instances normalised without a rectifier", (3, 5, 4), [conv2d(3, 5, 3, 1, 1, False), instance_norm(5), TANH]
    yield "instances normalised, scaled and shifted, leaky relu", (2, 5, 6), [
        conv2d(2, 5, 4, 2, 1, False), instance_norm(5, True), leaky(), conv2d(5, 3, 2, 1, 0)]
    yield "instances of the input normalised, scaled and shifted", (3, 4, 5), [instance_norm(3, True), conv2d(3, 18, 3, 1, 1)]
    yield "instances normalised last, two rectifiers", (1, 4, 4), [
        conv2d(1, 3, 3, 1, 1), instance_norm(3, True), leaky(0.3), leaky(0.5)]
    yield "mirrored at the edges", (2, 4, 5), [reflection_pad(3), conv2d(2, 3, 4, 1, 0, False)]
    yield "mirrored between convolutions", (2, 3, 3), [
        conv2d(2, 17, 3, 1, 1), leaky(), reflection_pad(1), conv2d(17, 3, 3, 1, 0), reflection_pad(2)]
    yield "mirrored and normalised", (1, 5, 4), [
        reflection_pad(2), conv2d(1, 3, 5, 1, 0), instance_norm(3), RELU, reflection_pad(1)]
    yield "doubled as CycleGAN does it", (5, 3, 4), [
        padded(transposed(5, 17, 3, 2, 1), 1), RELU, padded(transposed(17, 2, 3, 2, 1, bias=False), 1)]
    yield "a transposed convolution that leaves pixels out", (3, 2, 3), [padded(transposed(3, 18, 2, 3, 0), 2), leaky()]
    yield "a transposed convolution of one pixel and more", (4, 1, 1), [padded(transposed(4, 3, 3, 2, 0, bias=False), 1)]
    yield "a residual block of linear layers between others", (5, 1, 1), [
        linear(5, 12), leaky(), residual(linear(12, 19), RELU, linear(19, 12)), RELU, linear(12, 3)]
    yield "a residual block first and last", (2, 4, 3), [residual(conv2d(2, 5, 3, 1, 1), TANH, conv2d(5, 2, 3, 1, 1), leaky())]
    yield "a residual block that begins and ends with activations", (6, 1, 1), [
        linear(6, 8), residual(TANH, linear(8, 8), RELU, RELU), TANH, residual(leaky()), linear(8, 2)]
    yield "a residual block without parameters after a convolution", (2, 4, 4), [
        conv2d(2, 3, 3, 1, 1), residual(leaky(), TANH), RELU]
    block = residual(
        reflection_pad(1), conv2d(18, 18, 3, 1, 0), instance_norm(18), RELU, reflection_pad(1), conv2d(18, 18, 3, 1, 0),
        instance_norm(18))
    yield "a generator of CycleGAN's blocks", (2, 4, 5), [
        reflection_pad(1), conv2d(2, 18, 3, 1, 0), instance_norm(18), RELU, block, block, padded(transposed(18, 5, 3, 2, 1), 1),
        instance_norm(5, True), RELU, conv2d(5, 1, 3, 1, 1), TANH]
    yield "a block in a block, normalised over the batch", (3, 4, 3), [
        residual(conv2d(3, 5, 3, 1, 1), norm(5), leaky(), residual(conv2d(5, 5, 3, 1, 1, False), norm(5), RELU),
                 conv2d(5, 3, 3, 1, 1, False), norm(3)), RELU, conv2d(3, 2, 2, 1, 0)]
    yield "colours to 32 channels", (3, 10, 8), [conv2d(3, 32, 4, 2, 1, False)]
    yield "32 channels to colours", (32, 5, 4), [transposed(32, 3, 4, 2, 1, bias=False)]
    yield "a discriminator of colours", (3, 12, 10), [
        conv2d(3, 33, 4, 2, 1), leaky(), conv2d(33, 5, 4, 2, 1, False), norm(5), leaky(), conv2d(5, 1, 2, 1, 0, False)]
    yield "a generator of colours", (6, 2, 3), [
        transposed(6, 32, 4, 2, 1, bias=False), norm(32), RELU, transposed(32, 3, 4, 2, 1), TANH]


class Linear(nn.Linear):
    def forward(self, x):
        return super().forward(x.flatten(1))


def module(layer):
    kind = layer["type"]
    if kind == "linear":
        return Linear(layer["inputs"], layer["outputs"], bias=layer.get("bias", True))
    if kind in ("conv2d", "conv_transpose2d"):
        make = nn.Conv2d if kind == "conv2d" else nn.ConvTranspose2d
        more = {"output_padding": layer["output_padding"]} if "output_padding" in layer else {}
        return make(
            layer["inputs"], layer["outputs"], layer["kernel"], layer["stride"], layer["padding"], bias=layer["bias"], **more)
    if kind == "batch_norm":
        return nn.BatchNorm2d(layer["channels"])
    if kind == "instance_norm":
        return nn.InstanceNorm2d(layer["channels"], affine=layer["affine"])
    if kind == "residual":
        return Residual(layer["layers"])
    if kind == "reshape":
        return nn.Sequential(nn.Flatten(), nn.Unflatten(1, (layer["channels"], layer["height"], layer["width"])))
    return {
        "reflection_pad": lambda: nn.ReflectionPad2d(layer["padding"]),
        "upsample": lambda: nn.Upsample(scale_factor=layer["factor"]), "relu": nn.ReLU,
        "leaky_relu": lambda: nn.LeakyReLU(float(np.float32(layer["slope"]))), "tanh": nn.Tanh}[kind]()


class Residual(nn.Module):
    """As the authors of CycleGAN name it."""

    def __init__(self, layers):
        super().__init__()
        self.conv_block = nn.Sequential(*map(module, layers))

    def forward(self, x):
        return x + self.conv_block(x).reshape(x.shape)


class Network(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.main = nn.ModuleList(module(layer) for layer in layers)

    def forward(self, x):
        for layer in self.main:
            # Features are images of one pixel.
            x = layer(x if x.dim() == 4 else x[:, :, None, None])
        return x


def initialise(network):
    """Parameters and running statistics of NetworkRig.swift, in single precision."""
    random = SplitMix64(7)
    f = np.float32
    named = list(network.named_parameters()) + [(n, b) for n, b in network.named_buffers() if "num_batches" not in n]
    bounds = {}
    for name, tensor in named:
        prefix = name.rsplit(".", 1)[0]
        if tensor.dim() > 1:
            bounds[prefix] = f(1) / np.sqrt(f(int(np.prod(tensor.shape[1:]))))
        units = np.array([random.unit() for _ in range(tensor.numel())], f)
        constant = f(1) if name.endswith((".weight", "running_var")) else f(0)
        values = units * f(2) * bounds[prefix] if prefix in bounds else constant + units / f(2)
        tensor.data.copy_(torch.tensor(values.astype(np.float64)).reshape(tensor.shape))


def summary(tensor):
    values = tensor.detach().numpy().ravel()
    weights = [SplitMix64(1 << 60 | number) for number in range(2)]
    products = [sum(random.unit() * value for value in values) for random in weights]
    places = sorted({round(i * (len(values) - 1) / 2) for i in range(3)})
    return {"largest": float(f"{np.abs(values).max():.6g}"), "products": [float(f"{p:.9g}") for p in products],
            "elements": [[place, float(f"{values[place]:.9g}")] for place in places]}


def expected(name, shape, layers):
    network = Network(layers)
    initialise(network)
    features = int(np.prod(shape))
    results, inputs = {}, []
    network.train()
    for slot, kind in enumerate(["real", "fake"]):
        x = torch.tensor(rows(1 + slot, features)).reshape(BATCH, *shape).requires_grad_()
        y = network(x)
        y.backward(torch.tensor(rows(3 + slot, y[0].numel())).reshape(y.shape))
        results |= {f"{kind} output": summary(y), f"{kind} input gradient": summary(x.grad)}
        inputs.append(x)
    results |= {f"gradient {n}": summary(p.grad) for n, p in network.named_parameters()}
    results |= {n: summary(b) for n, b in network.named_buffers() if "num_batches" not in n}
    network.eval()
    results["evaluation"] = summary(network(inputs[0]))
    return {"name": name, "input": shape, "layers": layers, "tensors": results}


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    with open(sys.argv[1], "w") as file:
        json.dump({"batch": BATCH, "cases": [expected(*case) for case in cases()]}, file, separators=(",", ":"))
        file.write("\n")
