#!/usr/bin/env python3
"""Whole training steps computed by PyTorch, for StepTests.swift: pytorch_step.py GAN-DIST OUT.json

Trains small models for two steps with the program, takes what went into each step from its dumps (images, noise,
dropout masks, classes, targets, initial parameters), recomputes losses, gradients, running statistics and updated parameters
with autograd and torch.optim in double precision, prints how far the program and single-precision PyTorch are from that, and
writes the expected values: norm and sum of every tensor, and a few elements.

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
from torch.nn.functional import normalize, one_hot, softplus
from torch.nn.utils.parametrize import register_parametrization

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


def convolution(kind, inputs, outputs, kernel=4, stride=2, padding=1, bias=False):
    return {"type": kind, "inputs": inputs, "outputs": outputs, "kernel": kernel, "stride": stride, "padding": padding,
            "bias": bias}


def conv2d(*sizes, **options):
    return convolution("conv2d", *sizes, **options)


def transposed(*sizes, **options):
    return convolution("conv_transpose2d", *sizes, **options)


def norm(channels):
    return {"type": "batch_norm", "channels": channels}


# The preset dcgan, narrow.
DCGAN = dict(
    image_size=64, generator_step="reuse", beta1=0.5,
    generator=[transposed(6, 8, 4, 1, 0), norm(8), {"type": "relu"}, transposed(8, 6), norm(6), {"type": "relu"},
               transposed(6, 5), norm(5), {"type": "relu"}, transposed(5, 4), norm(4), {"type": "relu"}, transposed(4, 1),
               {"type": "tanh"}],
    discriminator=[conv2d(1, 4), LEAKY, conv2d(4, 5), norm(5), LEAKY, conv2d(5, 6), norm(6), LEAKY, conv2d(6, 8), norm(8),
                   LEAKY, conv2d(8, 1, 4, 1, 0)])

# A critic without normalisation, whose slope is penalised; dropout, a linear layer and biases, so that all are penalised.
WGAN_GP = dict(
    image_size=16, loss="wasserstein", critic_steps=2, gradient_penalty=10, beta1=0.0, beta2=0.9,
    generator=[linear(6, 96), {"type": "relu"}, {"type": "reshape", "channels": 6, "height": 4, "width": 4},
               {"type": "upsample", "factor": 2}, conv2d(6, 4, 3, 1, 1), norm(4), {"type": "relu"}, transposed(4, 1, bias=True),
               {"type": "tanh"}],
    discriminator=[conv2d(1, 4, bias=True), LEAKY, DROPOUT, conv2d(4, 6, bias=True), LEAKY,
                   {"type": "reshape", "channels": 96, "height": 1, "width": 1}, linear(96, 1)])

# Spectral normalisation of convolutions and of a linear layer, with and without a bias, before a rectifier and not.
HINGE = dict(
    WGAN_GP, loss="hinge", gradient_penalty=0, spectral_norm=True,
    discriminator=[conv2d(1, 4, bias=True), LEAKY, conv2d(4, 6), LEAKY, conv2d(6, 5, 3, 1, 1, bias=True),
                   {"type": "reshape", "channels": 80, "height": 1, "width": 1}, linear(80, 1)])

WGAN = dict(
    WGAN_GP, gradient_penalty=0, weight_clip=0.2, optimizer="rmsprop", lr=0.001, lr_half_life=1,
    discriminator=[conv2d(1, 4, bias=True), LEAKY, conv2d(4, 6), norm(6), LEAKY, conv2d(6, 1, 4, 1, 0)])

# The class beside a code of bits and beside the image, and judged by projection.
CONDITIONAL = dict(
    image_size=16, ema=0.9, lr_generator=0.003, lr_half_life=1,
    generator=[{"type": "sign"}, {"type": "label", "classes": 10}, transposed(16, 6, 4, 1, 0), norm(6), {"type": "relu"},
               transposed(6, 4), norm(4), {"type": "relu"}, transposed(4, 1, bias=True), {"type": "tanh"}],
    discriminator=[{"type": "label", "classes": 10}, conv2d(11, 4, bias=True), LEAKY, conv2d(4, 6), norm(6), LEAKY,
                   conv2d(6, 11, 4, 1, 0, bias=True), {"type": "projection", "classes": 10}])

# Pairs of real and fake rows, and penalties of the slope at them in every other update.
# The last layer has no bias: in differences its gradient is zero but for rounding.
RELATIVISTIC = dict(
    WGAN_GP, loss="relativistic", gradient_penalty=0, r1=0.5, r2=0.25, penalty_interval=2,
    discriminator=[*WGAN_GP["discriminator"][:-1], {**linear(96, 1), "bias": False}])

CASES = [
    model("fresh", 10),
    model("dropout", 8, generator=generator(LEAKY), discriminator=discriminator(LEAKY, DROPOUT)),
    model("generator-dropout", 8, generator=generator(LEAKY, DROPOUT)),
    model("reuse", 10, generator_step="reuse"),
    model("mse", 8, loss="mse"),
    model("dcgan", 8, **DCGAN),
    model("wgan-gp", 8, **WGAN_GP),
    model("hinge", 8, **HINGE),
    model("wgan", 8, **WGAN),
    model("conditional", 12, **CONDITIONAL),
    model("relativistic", 8, **RELATIVISTIC),
    model("relativistic-reuse", 10, loss="relativistic", r1=0.5, generator_step="reuse",
          discriminator=[linear(784, 12), LEAKY, {**linear(12, 1), "bias": False}]),
    model("remedies", 12, label_smoothing=0.2, label_flip=0.3, instance_noise=0.4, optimizer="sgd", lr=0.05,
          lr_half_life=1),
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


class Linear(nn.Linear):
    def forward(self, x):
        return super().forward(x.flatten(1))[:, :, None, None]


class Label(nn.Module):
    """Appends a plane for each class, one where it is the image's."""

    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, x):
        planes = one_hot(self.labels, self.classes).to(x.dtype)[:, :, None, None]
        return torch.cat([x, planes.expand(-1, -1, *x.shape[2:])], 1)


class Projection(nn.Module):
    """The first feature and that of the image's class (Miyato and Koyama 2018)."""

    def forward(self, x):
        return x[:, :1] + x[torch.arange(len(x)), 1 + self.labels][:, None]


class Sign(nn.Module):
    def forward(self, x):
        return torch.sign(x)


class Residual(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv_block(x)


class Spectral(nn.Module):
    """W / (u W v), u and v constant; one power iteration an update. W is [out, in k k], also of a transposed convolution."""

    def __init__(self, u, v, is_transposed):
        super().__init__()
        self.weight_u, self.weight_v, self.is_transposed = u, v, is_transposed

    def matrix(self, weight):
        return (weight.transpose(0, 1) if self.is_transposed else weight).flatten(1)

    def forward(self, weight):
        return weight / (self.weight_u @ self.matrix(weight) @ self.weight_v)

    def iterate(self, weight):
        self.weight_v = normalize(self.matrix(weight).T @ self.weight_u, dim=0)
        self.weight_u = normalize(self.matrix(weight) @ self.weight_v, dim=0)


class Network(nn.Module):
    """Features are images of one pixel."""

    def __init__(self, layers):
        super().__init__()

        def convolution(make):
            options = lambda l: {"output_padding": l["output_padding"]} if "output_padding" in l else {}
            return lambda l: make(l["inputs"], l["outputs"], l["kernel"], l["stride"], l["padding"], bias=l["bias"], **options(l))

        kinds = {
            "linear": lambda l: Linear(l["inputs"], l["outputs"], bias=l.get("bias", True)), "relu": lambda l: nn.ReLU(),
            "leaky_relu": lambda l: nn.LeakyReLU(l["slope"]), "tanh": lambda l: nn.Tanh(), "dropout": lambda l: nn.Identity(),
            "sign": lambda l: Sign(), "conv2d": convolution(nn.Conv2d), "conv_transpose2d": convolution(nn.ConvTranspose2d),
            "batch_norm": lambda l: nn.BatchNorm2d(l["channels"]), "upsample": lambda l: nn.Upsample(scale_factor=l["factor"]),
            "reshape": lambda l: nn.Sequential(
                nn.Flatten(), nn.Unflatten(1, (l["channels"], l["height"], l["width"]))),
            "label": lambda l: Label(l["classes"]), "projection": lambda l: Projection(),
            "instance_norm": lambda l: nn.InstanceNorm2d(l["channels"]), "reflection_pad": lambda l: nn.ReflectionPad2d(l["padding"]),
            "residual": lambda l: Residual(kinds[inner["type"]](inner) for inner in l["layers"])}
        self.main = nn.Sequential(*(kinds[l["type"]](l) for l in layers))

    def normalize(self, vectors):
        """Divides weights by their largest singular value, of which `vectors` holds the initial singular vectors."""
        for k, layer in enumerate(self.main):
            if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
                u, v = (vectors(f"main.{k}.weight_{name}") for name in "uv")
                register_parametrization(layer, "weight", Spectral(u, v, isinstance(layer, nn.ConvTranspose2d)))

    def iterate(self):
        for layer in self.main:
            if nn.utils.parametrize.is_parametrized(layer):
                layer.parametrizations.weight[0].iterate(layer.parametrizations.weight.original.detach())

    def parameters_by_name(self):
        return [(k.replace("parametrizations.weight.original", "weight_orig"), p) for k, p in self.named_parameters()]

    def statistics(self):
        """Running statistics, and singular vectors."""
        values = {k: b.clone() for k, b in self.named_buffers() if "num" not in k}
        for k, layer in enumerate(self.main):
            if nn.utils.parametrize.is_parametrized(layer):
                spectral = layer.parametrizations.weight[0]
                values |= {f"main.{k}.weight_u": spectral.weight_u, f"main.{k}.weight_v": spectral.weight_v}
        return values

    def forward(self, x, masks={}, labels=None):
        x = x if x.dim() == 4 else x[:, :, None, None]
        for layer in self.main:
            layer.labels = labels
        for i, layer in enumerate(self.main):
            x = layer(x)
            if i in masks:
                x = x * (masks[i] if masks[i].dim() == 4 else masks[i][:, :, None, None])
        return x


def losses(kind):
    """The discriminator's loss of outputs and targets, and the generator's of outputs."""
    if kind == "relativistic":
        return None, None
    if kind == "hinge":
        return lambda x, y: torch.relu(1 + (1 - 2 * y) * x).mean(), lambda x: -x.mean()
    loss = {"bce": nn.BCEWithLogitsLoss(), "mse": nn.MSELoss(), "wasserstein": lambda x, y: ((1 - 2 * y) * x).mean()}[kind]
    return loss, lambda x: loss(x, torch.ones_like(x))


def optimizer(configuration, role, parameters):
    rate = configuration.get(f"lr_{role}", configuration["lr"])
    betas = configuration.get("beta1", 0.9), configuration.get("beta2", 0.999)
    return {"adam": lambda: torch.optim.Adam(parameters, lr=rate, betas=betas),
            "rmsprop": lambda: torch.optim.RMSprop(parameters, lr=rate, alpha=0.99),
            "sgd": lambda: torch.optim.SGD(parameters, lr=rate)}[configuration.get("optimizer", "adam")]()


def train(configuration, dumps, dtype):
    """Losses, scores, gradients and parameters of each step."""
    torch.set_default_dtype(dtype)
    tensor = lambda a: torch.tensor(a.astype(np.float64), dtype=dtype)
    option = lambda name, default=0: configuration.get(name, default)
    nets = {name: Network(configuration[name]) for name in ("generator", "discriminator")}
    g, d = nets["generator"], nets["discriminator"]
    if option("spectral_norm"):
        d.normalize(lambda name: tensor(dumps[0][f"discriminator.{name}"]))
    for name, net in nets.items():
        for k, p in net.parameters_by_name():
            p.data.copy_(tensor(dumps[0][f"{name}.{k}"]))
    optimizers = {name: optimizer(configuration, name, net.parameters()) for name, net in nets.items()}
    half_life = configuration.get("lr_half_life", STEPS)
    schedules = [torch.optim.lr_scheduler.StepLR(o, half_life, gamma=0.5) for o in optimizers.values()]
    kind = option("loss", "bce")
    loss, generator_loss = losses(kind)
    is_paired = kind == "relativistic"
    score = torch.sigmoid if kind == "bce" or is_paired else lambda x: x
    updates, weight, averages = option("critic_steps", 1), option("gradient_penalty"), {}
    results = []
    for number, dump in enumerate(dumps[1:], 1):
        values = {}

        def row(name, default=None):
            return tensor(dump[name]) if name in dump else default

        def labels(name):
            return row(name).long() if name in dump else None

        def noisy(x, name):
            return x + option("instance_noise") * row(name).reshape(x.shape) if name in dump else x

        for update in range(1, updates + 1):
            suffix = f".{update}" if updates > 1 else ""

            def masks(prefix, suffix=suffix):
                return {int(k.removeprefix(prefix).removesuffix(suffix)): tensor(v) for k, v in dump.items()
                        if k.startswith(prefix) and k.endswith(suffix)}

            images, classes = row("real" + suffix), labels("labels_real" + suffix)
            real = d(images, masks("mask.real."), classes)
            fakes = g(row("z_d" + suffix), masks("generator.mask.fake."), classes)
            fake = d(noisy(fakes.detach(), "noise.fake" + suffix), masks("mask.fake."), classes)
            targets = [row(f"targets_{name}" + suffix, torch.full([len(real)], float(name == "real"))).reshape(real.shape)
                       for name in ("real", "fake")]
            if is_paired:
                loss_real = loss_fake = softplus(fake - real).mean() / 2
                real, fake = real - fake, fake - real
            else:
                loss_real, loss_fake = loss(real, targets[0]), loss(fake, targets[1])
            penalty, interval = torch.zeros(()), option("penalty_interval", 1)
            if ((number - 1) * updates + update - 1) % interval == 0:
                for gamma, points, kind_of_pass in (option("r1"), images, "real"), (option("r2"), fakes, "fake"):
                    if gamma:
                        points = points.detach().reshape(images.shape).requires_grad_()
                        slopes, = torch.autograd.grad(d(points, masks(f"mask.{kind_of_pass}.")).sum(), points, create_graph=True)
                        penalty = penalty + interval * gamma / 2 * slopes.flatten(1).square().sum(1).mean()
            if weight:
                epsilon = row("epsilon" + suffix)[:, None, None, None]
                between = (epsilon * images + (1 - epsilon) * fakes.detach()).requires_grad_()
                slopes, = torch.autograd.grad(d(between, masks("mask.penalty.")).sum(), between, create_graph=True)
                penalty = weight * ((slopes.flatten(1).norm(dim=1) - 1) ** 2).mean()
            optimizers["discriminator"].zero_grad()
            (loss_real + loss_fake + penalty).backward()
            values |= {f"grad.discriminator.{k}{suffix}": p.grad.clone() for k, p in d.parameters_by_name()}
            optimizers["discriminator"].step()
            if limit := option("weight_clip"):
                for p in d.parameters():
                    p.data.clamp_(-limit, limit)
            d.iterate()
            values |= {f"discriminator.{k}{suffix}": p.detach().clone() for k, p in d.parameters_by_name()}
        if "z_g" in dump:
            classes = labels("labels_g")
            fakes = g(row("z_g"), masks("generator.mask.generator.", ""), classes)
        noise = "noise.generator" if "z_g" in dump else "noise.fake" + suffix
        again = d(noisy(fakes, noise), masks("mask.generator.", ""), classes)
        if is_paired:
            loss_g = softplus(d(images, masks("mask.real."), classes).detach() - again).mean()
        else:
            loss_g = generator_loss(again)
        optimizers["generator"].zero_grad()
        loss_g.backward()
        values |= {f"grad.generator.{k}": p.grad.clone() for k, p in g.parameters_by_name()}
        initial = {k: p.detach().clone() for k, p in g.parameters_by_name()}
        optimizers["generator"].step()
        for schedule in schedules:
            schedule.step()
        values |= {f"generator.{k}": p.detach().clone() for k, p in g.parameters_by_name()}
        if decay := option("ema"):
            decay = min(decay, (1 + number) / (10 + number)) if option("ema_ramp") else decay
            averages = {k: torch.lerp(p.detach(), averages.get(k, initial[k]), decay) for k, p in g.parameters_by_name()}
        if dump is dumps[-1]:
            # Averages and running statistics are in the checkpoint.
            values |= {f"ema.generator.{k}": v for k, v in averages.items()}
            values |= {f"{name}.{k}": b for name, net in nets.items() for k, b in net.statistics().items()}
        statistics = {
            "loss_d": loss_real + loss_fake + penalty, "loss_d_real": loss_real, "loss_d_fake": loss_fake, "loss_g": loss_g,
            "d_real": score(real).mean(), "d_fake": score(fake).mean()}
        if weight or option("r1") or option("r2"):
            statistics["penalty"] = penalty
        results.append(({k: v.item() for k, v in statistics.items()}, {k: v.double().numpy() for k, v in values.items()}))
    return results


def places(results, name):
    """A few elements whose gradients are not tiny: Adam divides by them, so that rounding would show."""
    own = name.removeprefix("grad.").removeprefix("ema.")
    if "running" in own or own.endswith(("weight_u", "weight_v")):
        return np.arange(min(4, results[-1][1][own].size))
    base = own.rstrip(".0123456789")
    gradients = [g for _, values in results for n, g in values.items() if n.rstrip(".0123456789") == "grad." + base]
    sizes = np.min([np.abs(g).ravel() for g in gradients], axis=0)
    candidates = np.flatnonzero(sizes > 0.02 * sizes.max())
    return candidates[np.linspace(0, len(candidates) - 1, min(5, len(candidates))).astype(int)]


def difference(found, exact):
    return float(np.abs(found - exact).max() / max(np.abs(exact).max(), 1e-30))


def main(program, out, cases_of=CASES, train=train, steps_of=STEPS, domains=("--data",)):
    """Writes the expected values of cases: `train` computes them, and `domains` are the options that name the images."""
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        write_images(folder)
        for case in cases_of:
            config = f"{folder}/{case['name']}.json"
            with open(config, "w") as file:
                json.dump(case["configuration"], file)
            data = [word for option in domains for word in (option, folder)]
            subprocess.run([program, "--config", config, *data, "--outdir", f"{folder}/{case['name']}",
                            "--dump-steps", str(steps_of), "--quiet"], check=True)
            run = f"{folder}/{case['name']}/" + os.listdir(f"{folder}/{case['name']}")[0]
            dumps = [read_safetensors(f"{run}/dump/step-{k:06}.safetensors") for k in range(steps_of + 1)]
            checkpoint = read_safetensors(f"{run}/checkpoint-{steps_of:09}.safetensors")
            with open(f"{run}/stats.jsonl") as file:
                stats = [json.loads(line) for line in file]
            exact, single = (train(case["configuration"], dumps, t) for t in (torch.float64, torch.float32))
            steps = []
            for k, (statistics, values) in enumerate(exact):
                print(f"{case['name']}, step {k + 1}")
                for kind, names in [("gradients", [n for n in values if n.startswith("grad.")]),
                                    ("parameters", [n for n in values if not n.startswith("grad.")])]:
                    ours = max(difference(dumps[k + 1].get(n, checkpoint.get(n)), values[n]) for n in names)
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
    torch.set_num_threads(1)
    main(*sys.argv[1:])
