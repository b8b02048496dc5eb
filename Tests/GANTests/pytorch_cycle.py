#!/usr/bin/env python3
"""Whole steps of a CycleGAN computed by PyTorch, for CycleStepTests.swift: pytorch_cycle.py GAN-DIST OUT.json

Takes the images and the initial parameters from the program's dumps, and nothing else: fakes, pool, losses, gradients of all
four networks and updated parameters are its own, in double precision. See pytorch_step.py."""
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "KernelsTests"))
from philox import words  # noqa: E402 - found by the line above
from pytorch_step import LEAKY, Network, conv2d, main, transposed  # noqa: E402

STEPS, BATCH, SHARDS, POOL, SEED = 3, 8, 4, 12, 81985529216486895
POOL_STREAMS = {"a": 24, "b": 25}
RELU, TANH = {"type": "relu"}, {"type": "tanh"}


def pad(pixels):
    return {"type": "reflection_pad", "padding": pixels}


def instance_norm(channels):
    return {"type": "instance_norm", "channels": channels}


def generator(inputs, outputs):
    block = [pad(1), conv2d(6, 6, 3, 1, 0), instance_norm(6), RELU, pad(1), conv2d(6, 6, 3, 1, 0), instance_norm(6)]
    return [pad(2), conv2d(inputs, 4, 5, 1, 0), instance_norm(4), RELU, conv2d(4, 6, 3), instance_norm(6), RELU,
            {"type": "residual", "layers": block}, {**transposed(6, 4, 3), "output_padding": 1}, instance_norm(4), RELU,
            pad(2), conv2d(4, outputs, 5, 1, 0, bias=True), TANH]


def discriminator(inputs):
    return [conv2d(inputs, 4, bias=True), LEAKY, conv2d(4, 6), instance_norm(6), LEAKY, conv2d(6, 1, 3, 1, 1, bias=True)]


def case(name, channels_b, **fields):
    return {"name": name, "configuration": {
        "preset": "cyclegan28", "batch_size": BATCH, "shards": SHARDS, "pool_size": POOL, "seed": SEED, "steps": STEPS, "lr": 0.002,
        "log_interval": 1, "evaluate_interval": "0", "image_size": 16, "channels_b": channels_b, "lr_flat": 1, "lr_decay": 4,
        "generator_ab": generator(1, channels_b), "generator_ba": generator(channels_b, 1),
        "discriminator_a": discriminator(1), "discriminator_b": discriminator(channels_b), **fields}}


CASES = [case("grey", 1, cycle_weight=8, identity_weight=3), case("coloured", 3, cycle_weight_b=2)]


class Pool:
    """Equal parts for the shards, each filled first in the order of the rows."""

    def __init__(self, domain):
        self.stream, self.parts = POOL_STREAMS[domain], [[] for _ in range(SHARDS)]

    def exchange(self, fakes, step):
        shown, word = [], words(SEED, self.stream, step, np.arange(BATCH), 4)[:, 0, 0]
        for row, fake in enumerate(fakes):
            part, capacity = self.parts[row * SHARDS // BATCH], POOL // SHARDS
            if len(part) < capacity:
                part.append(fake)
            elif word[row] >= 2**31:
                slot = int(word[row] - 2**31) * capacity // 2**31
                fake, part[slot] = part[slot], fake
            shown.append(fake)
        return torch.stack(shown)


def train(configuration, dumps, dtype):
    torch.set_default_dtype(dtype)
    tensor = lambda a: torch.tensor(a.astype(np.float64), dtype=dtype)
    nets = {name: Network(configuration[name]) for name in ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")}
    for name, net in nets.items():
        for k, p in net.parameters_by_name():
            p.data.copy_(tensor(dumps[0][f"{name}.{k}"]))
    adams = {name: torch.optim.Adam(net.parameters(), lr=configuration["lr"], betas=(0.5, 0.999)) for name, net in nets.items()}
    g, f, judge_a, judge_b = nets.values()
    pools, results = {"a": Pool("a"), "b": Pool("b")}, []
    identity = 0 if configuration["channels_b"] != 1 else configuration["identity_weight"]
    cycle = configuration.get("cycle_weight", 10)
    weights = {"loss_g_ab": 1, "loss_g_ba": 1, "cycle_a": cycle, "cycle_b": configuration.get("cycle_weight_b", cycle),
               "identity_a": identity, "identity_b": identity}
    square = lambda scores, target: ((scores - target) ** 2).mean()
    for step, dump in enumerate(dumps[1:]):
        values, statistics = {}, {}
        scale = 1 - max(0, step - 1) / 4
        for adam in adams.values():
            adam.param_groups[0]["lr"] = configuration["lr"] * scale
        a, b = tensor(dump["real_a"]), tensor(dump["real_b"])
        fake_b, fake_a = g(a), f(b)

        def update(name, loss, **options):
            adams[name].zero_grad()
            loss.backward(inputs=list(nets[name].parameters()), **options)
            values.update({f"grad.{name}.{k}": p.grad.clone() for k, p in nets[name].parameters_by_name()})

        for domain, net, real, fake in ("a", judge_a, a, fake_a), ("b", judge_b, b, fake_b):
            loss = (square(net(real), 1) + square(net(pools[domain].exchange(fake.detach(), step)), 0)) / 2
            statistics[f"loss_d_{domain}"] = loss
            update(f"discriminator_{domain}", loss)
        for name in "discriminator_a", "discriminator_b":
            adams[name].step()
        losses = {"loss_g_ab": square(judge_b(fake_b), 1), "loss_g_ba": square(judge_a(fake_a), 1),
                  "cycle_a": (f(fake_b) - a).abs().mean(), "cycle_b": (g(fake_a) - b).abs().mean()}
        if identity:
            losses |= {"identity_a": (f(a) - a).abs().mean(), "identity_b": (g(b) - b).abs().mean()}
        total = sum(weights[name] * loss for name, loss in losses.items())
        update("generator_ab", total, retain_graph=True)
        update("generator_ba", total)
        for name in "generator_ab", "generator_ba":
            adams[name].step()
        values |= {f"{name}.{k}": p.detach().clone() for name, net in nets.items() for k, p in net.parameters_by_name()}
        statistics |= losses
        results.append(({k: v.item() for k, v in statistics.items()}, {k: v.double().numpy() for k, v in values.items()}))
    return results


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:], cases_of=CASES, train=train, steps_of=STEPS, domains=("--data-a", "--data-b"))
