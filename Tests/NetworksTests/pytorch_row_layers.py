#!/usr/bin/env python3
"""Outputs and gradients of small networks computed by PyTorch, for RowLayerTests.swift: pytorch_row_layers.py OUT.json

In double precision, with the parameters, inputs and output gradients of NetworkRig.swift: those of rank 0 of 1, both
passes. Outputs and input gradients are [pass][row][feature], gradients of parameters in PyTorch's order.

Needs torch: python3 -m venv VENV && VENV/bin/pip install torch. Written with torch 2.13.0."""
import json
import sys

import numpy
import torch

BATCH = 10
SHARDS = 4
CASES = {
    "layer_norm of features": (7, [
        {"type": "linear", "inputs": 7, "outputs": 6},
        {"type": "layer_norm", "channels": 6},
        {"type": "leaky_relu", "slope": 0.2},
        {"type": "linear", "inputs": 6, "outputs": 2},
    ]),
    "layer_norm of an image": (12, [
        {"type": "reshape", "channels": 3, "height": 2, "width": 2},
        {"type": "layer_norm", "channels": 3},
        {"type": "relu"},
        {"type": "reshape", "channels": 12, "height": 1, "width": 1},
        {"type": "layer_norm", "channels": 12},
    ]),
    "minibatch_discrimination": (7, [
        {"type": "linear", "inputs": 7, "outputs": 6},
        {"type": "leaky_relu", "slope": 0.2},
        {"type": "minibatch_discrimination", "inputs": 6, "kernels": 3, "dimensions": 2},
        {"type": "linear", "inputs": 9, "outputs": 2},
    ]),
    "minibatch_discrimination of the input": (5, [
        {"type": "minibatch_discrimination", "inputs": 5, "kernels": 2, "dimensions": 3},
        {"type": "layer_norm", "channels": 7},
    ]),
}


class SplitMix64:
    def __init__(self, seed):
        self.state = seed

    def unit(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return ((z ^ (z >> 31)) >> 40) * 2.0**-23 - 1


def values(kind, features):
    return torch.tensor(
        [[SplitMix64(kind << 48 | row << 24 | feature).unit() for feature in range(features)] for row in range(BATCH)],
        dtype=torch.float64)


class MinibatchDiscrimination(torch.nn.Module):
    """Salimans et al. 2016, each logical shard by itself."""

    def __init__(self, inputs, kernels, dimensions):
        super().__init__()
        self.kernels = kernels
        self.weight = torch.nn.Parameter(torch.empty(kernels * dimensions, inputs))

    def forward(self, x):
        parts = []
        for shard in range(SHARDS):
            f = x[BATCH * shard // SHARDS:BATCH * (shard + 1) // SHARDS]
            m = (f @ self.weight.T).view(len(f), self.kernels, -1)
            c = torch.exp(-(m[:, None] - m[None]).abs().sum(3))
            others = 1 - torch.eye(len(f), dtype=x.dtype)
            parts.append(torch.cat([f, (c * others[:, :, None]).sum(1)], 1))
        return torch.cat(parts)


def module(layer):
    match layer["type"]:
        case "linear": return torch.nn.Linear(layer["inputs"], layer["outputs"], bias=layer.get("bias", True))
        case "layer_norm": return torch.nn.GroupNorm(1, layer["channels"])
        case "reshape" if layer["height"] > 1: return torch.nn.Unflatten(1, (layer["channels"], layer["height"], layer["width"]))
        case "reshape": return torch.nn.Flatten()
        case "leaky_relu": return torch.nn.LeakyReLU(float(numpy.float32(layer["slope"])))
        case "relu": return torch.nn.ReLU()
        case "minibatch_discrimination":
            return MinibatchDiscrimination(layer["inputs"], layer["kernels"], layer["dimensions"])


def fill(network, layers):
    """Uniform parameters in double their initial bounds, and constant ones up to a half from it; weights, then biases."""
    random = SplitMix64(7)
    for part, layer in zip(network, layers):
        for name, parameter in part.named_parameters():
            units = [random.unit() for _ in range(parameter.numel())]
            if layer["type"] == "layer_norm":
                numbers = [(name == "weight") + unit / 2 for unit in units]
            else:
                bound = numpy.float32(1) / numpy.sqrt(numpy.float32(layer["inputs"]))
                numbers = [float(numpy.float32(2 * unit) * bound) for unit in units]
            parameter.data = torch.tensor(numbers, dtype=torch.float64).view(parameter.shape)


def rounded(tensor):
    if tensor.dim() > 1:
        return [rounded(part) for part in tensor]
    return [float(f"{number:.8g}") for number in tensor.tolist()]


def case(name, inputs, layers):
    network = torch.nn.Sequential(*map(module, layers)).double()
    fill(network, layers)
    outputs, gradients = [], []
    for kind in (0, 1):
        x = values(1 + kind, inputs).requires_grad_()
        y = network(x)
        y.backward(values(3 + kind, y.shape[1]))
        outputs.append(rounded(y.detach()))
        gradients.append(rounded(x.grad))
    parameters = {f"main.{key}": rounded(p.grad.flatten()) for key, p in network.named_parameters()}
    return {"name": name, "inputs": inputs, "batch": BATCH, "shards": SHARDS, "layers": layers, "outputs": outputs,
            "input_gradients": gradients, "gradients": parameters}


with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump([case(name, *numbers) for name, numbers in CASES.items()], file, separators=(",", ":"))
    file.write("\n")
