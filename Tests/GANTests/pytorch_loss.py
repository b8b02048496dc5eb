#!/usr/bin/env python3
"""Losses computed by PyTorch, for LossTests.swift: pytorch_loss.py OUT.json

The loss of each output x of a discriminator, the gradient of the mean over the batch, and the score, of every loss and
pass, in double precision. The passes real, fake and generator have one label; `targets` replace it in those that say so.

Needs torch: python3 -m venv VENV && VENV/bin/pip install torch. Written with torch 2.13.0."""
import json
import sys

import torch
from torch.nn import functional

BATCH = 25
SIZES = [0, 1, 0.5, 2**-20, 0.109375, 3.75, 12, 40, 90]
x = torch.tensor([sign * size for size in SIZES for sign in (1, -1)] + [0.875, -1.25, 6.5, -6.5, 0.25, -2, 17],
                 dtype=torch.float64)
targets = torch.tensor([[1, 0, 0.9375, 0.0625, 0.75, 0.5][(i + i // 6) % 6] for i in range(BATCH)], dtype=torch.float64)
LABELS = {"real": 1.0, "fake": 0.0, "generator": 1.0}


def losses(name, kind, outputs, labels):
    if name == "bce":
        return functional.binary_cross_entropy_with_logits(outputs, labels, reduction="none")
    if name == "mse":
        return functional.mse_loss(outputs, labels, reduction="none")
    if name == "hinge" and kind != "generator":
        return functional.relu(1 - outputs if kind == "real" else 1 + outputs)
    return outputs if kind == "fake" else -outputs


def case(name, kind, is_soft):
    outputs = x.clone().requires_grad_()
    each = losses(name, kind, outputs, targets if is_soft else torch.full_like(x, LABELS[kind]))
    each.mean().backward()
    scores = torch.sigmoid(x) if name == "bce" else x
    return {"loss": name, "pass": kind, "is_soft": is_soft, "losses": each.tolist(), "gradient": outputs.grad.tolist(),
            "scores": scores.tolist()}


cases = [case(name, kind, False) for name in ("bce", "mse", "hinge", "wasserstein") for kind in LABELS]
cases += [case(name, kind, True) for name in ("bce", "mse") for kind in ("real", "fake")]
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump({"x": x.tolist(), "targets": targets.tolist(), "cases": cases}, file, separators=(",", ":"))
    file.write("\n")
