#!/usr/bin/env python3
"""The gradient penalty alone computed by PyTorch with create_graph, in double precision, for PenaltyTests.swift:
pytorch_penalty.py pytorch_penalty.json

Parameters, real and fake rows are SplitMix64's, as PenaltyTests.swift draws them; the share of each row is that of the
Philox words. The file holds each row's penalty and the gradients of all weights.

Needs torch and numpy: python3 -m venv VENV && VENV/bin/pip install torch numpy. Written with torch 2.13.0."""
import json
import os
import sys

import numpy as np
import torch
from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "KernelsTests"))
import philox

BATCH, WEIGHT, SEED, STEP, STREAM = 10, 7.0, 0x0123456789ABCDEF, 6, 10
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

    def units(self, count):
        return [self.unit() for _ in range(count)]


def linear(inputs, outputs):
    return {"type": "linear", "inputs": inputs, "outputs": outputs}


def conv2d(inputs, outputs, kernel, stride, padding, bias):
    return {"type": "conv2d", "inputs": inputs, "outputs": outputs, "kernel": kernel, "stride": stride, "padding": padding,
            "bias": bias}


LEAKY, RELU = {"type": "leaky_relu", "slope": 0.2}, {"type": "relu"}
CASES = [
    ("linear", 4, [linear(16, 5), LEAKY, linear(5, 4), LEAKY, linear(4, 1)]),
    ("one layer", 3, [linear(9, 1)]),
    ("convolutions", 6, [conv2d(1, 3, 4, 2, 1, True), LEAKY, conv2d(3, 5, 2, 1, 0, False), RELU, conv2d(5, 1, 2, 1, 0, True)]),
    ("convolutions, enlarged, then linear", 4, [
        {"type": "upsample", "factor": 2}, LEAKY, conv2d(1, 2, 3, 2, 1, False), LEAKY,
        {"type": "reshape", "channels": 32, "height": 1, "width": 1}, linear(32, 3), LEAKY, linear(3, 1)]),
]


class Linear(nn.Linear):
    def forward(self, x):
        return super().forward(x.flatten(1))


def module(layer):
    return {
        "linear": lambda l: Linear(l["inputs"], l["outputs"], bias=l.get("bias", True)),
        "conv2d": lambda l: nn.Conv2d(l["inputs"], l["outputs"], l["kernel"], l["stride"], l["padding"], bias=l["bias"]),
        "leaky_relu": lambda l: nn.LeakyReLU(float(np.float32(l["slope"]))), "relu": lambda l: nn.ReLU(),
        "upsample": lambda l: nn.Upsample(scale_factor=l["factor"]), "reshape": lambda l: nn.Flatten()}[layer["type"]](layer)


def expected(name, side, layers):
    random = SplitMix64(7)
    net = nn.Sequential(*(module(layer) for layer in layers))
    for p in net.parameters():
        p.data.copy_(torch.tensor(random.units(p.numel())).reshape(p.shape))
    real, fake = (torch.tensor(random.units(BATCH * side * side)).reshape(BATCH, 1, side, side) for _ in range(2))
    words = philox.words(SEED, STREAM, STEP, np.arange(BATCH), 4)[:, 0, 0]
    share = torch.tensor((words >> np.uint64(8)).astype(np.float64) * 2.0**-24)[:, None, None, None]
    between = (share * real + (1 - share) * fake).requires_grad_()
    slopes, = torch.autograd.grad(net(between).sum(), between, create_graph=True)
    penalties = WEIGHT * (slopes.flatten(1).norm(dim=1) - 1) ** 2
    penalties.mean().backward()
    return {"name": name, "side": side, "layers": layers, "penalties": [float(f"{p:.8g}") for p in penalties], "gradients": {
        f"main.{n}": [float(f"{g:.8g}") for g in p.grad.flatten()] for n, p in net.named_parameters() if "weight" in n}}


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    with open(sys.argv[1], "w") as file:
        json.dump({"cases": [expected(*case) for case in CASES]}, file, separators=(",", ":"))
        file.write("\n")
