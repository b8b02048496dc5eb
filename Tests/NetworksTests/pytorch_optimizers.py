#!/usr/bin/env python3
"""Updates computed by PyTorch, for OptimizerTests.swift: pytorch_optimizers.py OUT.json

Sixteen parameters and what their optimisers keep after updates 1, 2 and 20, in double precision. Parameter i starts at
(7 i mod 16 - 8) / 8; its gradient in update t is ((5 t + 3 i) mod 11 - 4) * 2^-i, all exact in single precision.

Needs torch: python3 -m venv VENV && VENV/bin/pip install torch. Written with torch 2.13.0."""
import json
import sys

import torch

COUNT = 16
OPTIMIZERS = {
    "adam": (torch.optim.Adam, {"lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-8}),
    "rmsprop": (torch.optim.RMSprop, {"lr": 5e-5, "alpha": 0.99, "eps": 1e-8}),
    "rmsprop, other constants": (torch.optim.RMSprop, {"lr": 0.01, "alpha": 0.9, "eps": 1e-3}),
    "sgd": (torch.optim.SGD, {"lr": 0.01}),
    "sgd, momentum": (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9}),
}


def updates(make, arguments):
    parameters = torch.tensor([(7 * i % 16 - 8) / 8 for i in range(COUNT)], dtype=torch.float64, requires_grad=True)
    optimizer = make([parameters], **arguments)
    for t in range(1, 21):
        parameters.grad = torch.tensor([((5 * t + 3 * i) % 11 - 4) * 2.0**-i for i in range(COUNT)], dtype=torch.float64)
        optimizer.step()
        if t in (1, 2, 20):
            state = {name: value.tolist() for name, value in optimizer.state[parameters].items()
                     if torch.is_tensor(value) and value.numel() == COUNT}
            yield {"t": t, "parameters": parameters.tolist(), "moments": state}


cases = [{"name": name, "updates": list(updates(*optimizer))} for name, optimizer in OPTIMIZERS.items()]
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(cases, file, separators=(",", ":"))
    file.write("\n")
