#!/usr/bin/env python3
"""Whole training steps computed by PyTorch, for StepTests.swift: pytorch_step.py GAN-DIST OUT.json

Trains five small models for two steps with the program, takes what went into each step from its dumps (images, noise,
dropout masks, initial parameters), recomputes losses, gradients and updated parameters with autograd and
torch.optim.Adam in double precision, prints how far the program and single-precision PyTorch are from that, and writes
the expected values: norm and sum of every tensor, and a few elements.

Needs torch and numpy: python3 -m venv VENV && VENV/bin/pip install torch numpy. Written with torch 2.13.0."""
import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch
from torch import nn

IMAGES, STEPS = 40, 2
LEAKY, DROPOUT = {"type": "leaky_relu", "slope": 0.2}, {"type": "dropout", "probability": 0.3}


def linear(inputs, outputs):
    return {"type": "linear", "inputs": inputs, "outputs": outputs}


def discriminator(*after_hidden):
    return [linear(784, 12), *after_hidden, linear(12, 8), *after_hidden, linear(8, 1)]


def generator(*hidden):
    return [linear(6, 10), *hidden, linear(10, 784), {"type": "tanh"}]


def model(name, batch, **fields):
    return {"name": name, "configuration": {
        "preset": "mlp", "batch_size": batch, "shards": 4, "latent_dim": 6, "seed": 81985529216486895, "steps": STEPS,
        "lr": 0.002, "log_interval": 1, "generator": generator({"type": "relu"}), "discriminator": discriminator(LEAKY),
        **fields}}


CASES = [
    model("fresh", 10),
    model("dropout", 8, generator=generator(LEAKY), discriminator=discriminator(LEAKY, DROPOUT)),
    model("generator-dropout", 8, generator=generator(LEAKY, DROPOUT)),
    model("reuse", 10, generator_step="reuse"),
    model("mse", 8, loss="mse"),
]


def write_images(folder):
    """Pixel p of image i is (37 i + 11 p + i p mod 251) mod 256; SyntheticImages in Run.swift is the same."""
    i, p = np.arange(IMAGES)[:, None], np.arange(784)[None, :]
    pixels = ((37 * i + 11 * p + i * p % 251) % 256).astype(np.uint8)
    with open(f"{folder}/train-images-idx3-ubyte", "wb") as file:
        file.write(struct.pack(">IIII", 0x803, IMAGES, 28, 28) + pixels.tobytes())
    with open(f"{folder}/train-labels-idx1-ubyte", "wb") as file:
        file.write(struct.pack(">II", 0x801, IMAGES) + bytes(k % 10 for k in range(IMAGES)))


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__")
    return {
        name: np.frombuffer(data, "<f4", offset=t["data_offsets"][0], count=int(np.prod(t["shape"]))).reshape(t["shape"])
        for name, t in header.items()}


class Network(nn.Module):
    def __init__(self, layers):
        super().__init__()
        kinds = {
            "linear": lambda l: nn.Linear(l["inputs"], l["outputs"]), "relu": lambda l: nn.ReLU(),
            "leaky_relu": lambda l: nn.LeakyReLU(l["slope"]), "tanh": lambda l: nn.Tanh(), "dropout": lambda l: nn.Identity()}
        self.main = nn.Sequential(*(kinds[l["type"]](l) for l in layers))

    def forward(self, x, masks={}):
        for i, layer in enumerate(self.main):
            x = layer(x) * masks.get(i, 1)
        return x


def train(configuration, dumps, dtype):
    """Losses, scores, gradients and parameters of each step."""
    torch.set_default_dtype(dtype)
    tensor = lambda a: torch.tensor(a.astype(np.float64), dtype=dtype)
    nets = {name: Network(configuration[name]) for name in ("generator", "discriminator")}
    for name, net in nets.items():
        net.load_state_dict({k: tensor(dumps[0][f"{name}.{k}"]) for k in net.state_dict()})
    adam = {name: torch.optim.Adam(net.parameters(), lr=configuration["lr"]) for name, net in nets.items()}
    g, d = nets["generator"], nets["discriminator"]
    loss = nn.MSELoss() if configuration.get("loss") == "mse" else nn.BCEWithLogitsLoss()
    score = (lambda x: x) if configuration.get("loss") == "mse" else torch.sigmoid
    results = []
    for dump in dumps[1:]:
        def masks(prefix):
            return {int(k.removeprefix(prefix)): tensor(v) for k, v in dump.items() if k.startswith(prefix)}

        z = tensor(dump["z_d"])
        fakes = g(z, masks("generator.mask.fake."))
        real, fake = d(tensor(dump["real"]), masks("mask.real.")), d(fakes.detach(), masks("mask.fake."))
        loss_real, loss_fake = loss(real, torch.ones_like(real)), loss(fake, torch.zeros_like(fake))
        adam["discriminator"].zero_grad()
        (loss_real + loss_fake).backward()
        values = {f"grad.discriminator.{k}": p.grad.clone() for k, p in d.named_parameters()}
        adam["discriminator"].step()
        if "z_g" in dump:
            fakes = g(tensor(dump["z_g"]), masks("generator.mask.generator."))
        again = d(fakes, masks("mask.generator."))
        loss_g = loss(again, torch.ones_like(again))
        adam["generator"].zero_grad()
        loss_g.backward()
        values |= {f"grad.generator.{k}": p.grad.clone() for k, p in g.named_parameters()}
        adam["generator"].step()
        values |= {f"{name}.{k}": p.detach().clone() for name, net in nets.items() for k, p in net.named_parameters()}
        statistics = {
            "loss_d": loss_real + loss_fake, "loss_d_real": loss_real, "loss_d_fake": loss_fake, "loss_g": loss_g,
            "d_real": score(real).mean(), "d_fake": score(fake).mean()}
        results.append(({k: v.item() for k, v in statistics.items()}, {k: v.double().numpy() for k, v in values.items()}))
    return results


def places(results, name):
    """A few elements whose gradients are not tiny: Adam divides by them, so that rounding would show."""
    own = name.removeprefix("grad.")
    sizes = np.min([np.abs(v["grad." + own]).ravel() for _, v in results], axis=0)
    candidates = np.flatnonzero(sizes > 0.02 * sizes.max())
    return candidates[np.linspace(0, len(candidates) - 1, min(8, len(candidates))).astype(int)]


def difference(found, exact):
    return float(np.abs(found - exact).max() / np.abs(exact).max())


def main(program, out):
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        write_images(folder)
        for case in CASES:
            config = f"{folder}/{case['name']}.json"
            with open(config, "w") as file:
                json.dump(case["configuration"], file)
            subprocess.run([program, "--config", config, "--data", folder, "--outdir", f"{folder}/{case['name']}",
                            "--dump-steps", str(STEPS), "--quiet"], check=True)
            run = f"{folder}/{case['name']}/" + os.listdir(f"{folder}/{case['name']}")[0]
            dumps = [read_safetensors(f"{run}/dump/step-{k:06}.safetensors") for k in range(STEPS + 1)]
            with open(f"{run}/stats.jsonl") as file:
                stats = [json.loads(line) for line in file]
            exact, single = (train(case["configuration"], dumps, t) for t in (torch.float64, torch.float32))
            steps = []
            for k, (statistics, values) in enumerate(exact):
                print(f"{case['name']}, step {k + 1}")
                for kind, names in [("gradients", [n for n in values if n.startswith("grad.")]),
                                    ("parameters", [n for n in values if not n.startswith("grad.")])]:
                    ours = max(difference(dumps[k + 1][n], values[n]) for n in names)
                    theirs = max(difference(single[k][1][n], values[n]) for n in names)
                    print(f"  {kind}: gan-dist {ours:.1e}, float32 PyTorch {theirs:.1e} of the largest element")
                ours = max(abs(stats[k][n] - v) for n, v in statistics.items())
                theirs = max(abs(single[k][0][n] - v) for n, v in statistics.items())
                print(f"  losses and scores: gan-dist {ours:.1e}, float32 PyTorch {theirs:.1e}")
                steps.append({
                    "statistics": {n: float(f"{v:.10g}") for n, v in statistics.items()},
                    "tensors": {n: {
                        "largest": float(f"{np.abs(v).max():.8g}"), "norm": float(f"{np.linalg.norm(v):.9g}"),
                        "sum": float(f"{v.sum():.9g}"), "elements": {
                            int(i): float(f"{v.ravel()[i]:.9g}") for i in places(exact, n)}} for n, v in values.items()}})
            cases.append({**case, "steps": steps})
    with open(out, "w") as file:
        json.dump({"images": IMAGES, "cases": cases}, file, separators=(",", ":"), sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
