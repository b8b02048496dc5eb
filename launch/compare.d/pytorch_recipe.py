"""PyTorch's training from the first step to the last picture: the whole of a gan-dist configuration, not its speed alone.

Beside what pytorch_worker.py trains: label smoothing, instance noise, a moving average of the generator, learning rates of each
network and their schedules, networks that are told classes. Pictures are drawn from the average, if there is one, with the
generator's running statistics, as gan-dist draws them. What else a configuration may ask for is refused. As a rank of
DistributedDataParallel batch normalisation takes the statistics of the rank's rows alone, as PyTorch has it.
"""

import copy
import time

import numpy
import torch
from torch import nn

import pytorch_worker
import worker

BATCH = 500  # pictures drawn at once
# Fields that must have these values, or be absent.
ONLY = {"optimizer": "adam", "critic_steps": 1, "gradient_penalty": 0, "r1": 0, "r2": 0, "penalty_interval": 1, "weight_clip": 0,
        "spectral_norm": False, "label_flip": 0, "mirror": False, "precision": "fp32"}


def refusal(configuration):
    """What of a configuration is not known here, or nothing."""
    if configuration["loss"] not in pytorch_worker.LOSSES:
        return f"the loss {configuration['loss']}"
    for layer in configuration["generator"] + configuration["discriminator"]:
        if layer["type"] not in pytorch_worker.LAYERS:
            return f"the layer {layer['type']}"
    for field, value in ONLY.items():
        if configuration.get(field, value) != value:
            return f"{field} {configuration[field]}"
    return None


def steps_of(interval, epoch):
    """300 and "300" are steps, "4e" is epochs of so many steps."""
    text = str(interval)
    return int(text.removesuffix("e")) * (epoch if text.endswith("e") else 1)


def classes_of(configuration):
    """How many classes the networks are told; 0 of such as are told none."""
    return max(layer.get("classes", 0) for layer in configuration["generator"] + configuration["discriminator"])


class Recipe(pytorch_worker.Training):
    def __init__(self, task):
        configuration = task["configuration"]
        unknown = refusal(configuration)
        if unknown:
            raise SystemExit(f"the PyTorch recipe does not know {unknown}")
        self.sigma = torch.zeros(())
        self.classes = classes_of(configuration)
        if self.classes:
            self.labels = torch.from_numpy(worker.load_labels(task["labels"], task["rank"], task["processes"]))
        self.real_labels = self.fake_labels = None
        super().__init__(dict(task, images_kept=None))
        self.processes, self.rank = task["processes"], task["rank"]
        # Of the discriminator's loss; the generator's target stays 1.
        self.real_targets = self.ones * (1 - configuration["label_smoothing"])
        self.both_targets = torch.cat([self.real_targets, self.zeros])
        self.begin(configuration, task["rank"])

    def begin(self, configuration, seed):
        """A training of its own: new weights, optimisers, average, and order of the images."""
        self.configuration = configuration
        self.epoch = len(self.images) * self.processes // configuration["batch_size"]
        torch.manual_seed(seed)  # of all ranks the same weights
        for network in self.generator, self.discriminator:
            for module in network.modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()
        for optimizer in self.generator_adam, self.discriminator_adam:
            optimizer.state.clear()
        torch.manual_seed(1000 * seed + self.rank)
        self.rows = worker.Rows(len(self.images), self.batch, 1000 * seed + self.rank)
        self.average = [p.detach().clone() for p in self.generator.parameters()]
        self.t = 0

    def schedule(self):
        """Learning rates and instance noise of step t, from 0."""
        configuration, t = self.configuration, self.t

        def steps(field):
            return steps_of(configuration.get(field, "0"), self.epoch)

        scale = 1.0
        if steps("lr_half_life"):
            scale = 0.5 ** (t // steps("lr_half_life"))
        elif steps("lr_decay"):
            scale = max(0.0, 1 - max(0, t - steps("lr_flat")) / steps("lr_decay"))
        for optimizer, name in (self.generator_adam, "lr_generator"), (self.discriminator_adam, "lr_discriminator"):
            for group in optimizer.param_groups:
                group["lr"] = scale * (configuration.get(name) or configuration["lr"])
        sigma = configuration["instance_noise"]
        if sigma and steps("instance_noise_decay"):
            sigma *= max(0.0, 1 - t / steps("instance_noise_decay"))
        self.is_noisy = configuration["instance_noise"] > 0
        self.sigma.fill_(sigma)

    def noise(self):
        """And the classes of what is made of it."""
        if self.classes:
            self.fake_labels = torch.randint(self.classes, (self.batch,))
            pytorch_worker.tell(self.generator, self.fake_labels)
        return super().noise()

    def judge(self, discriminator, images, labels):
        if self.classes:
            pytorch_worker.tell(self.discriminator, labels)
        return discriminator(images).float()

    def noisy(self, images):
        return images + self.sigma * torch.randn_like(images) if self.is_noisy else images

    def discriminator_loss(self, real, fake):
        network, real, fake = self.parallel_discriminator, self.noisy(real), self.noisy(fake)
        if self.lean:
            labels = torch.cat([self.real_labels, self.fake_labels]) if self.classes else None
            return 2 * self.loss(self.judge(network, torch.cat([real, fake]), labels), self.both_targets)
        return (self.loss(self.judge(network, real, self.real_labels), self.real_targets)
                + self.loss(self.judge(network, fake, self.fake_labels), self.zeros))

    def generator_loss(self, fake):
        return self.loss(self.judge(self.discriminator, self.noisy(fake), self.fake_labels), self.ones)

    def step(self, rows):
        self.schedule()
        if self.classes:
            self.real_labels = self.labels[rows]
        losses = super().step(rows)
        self.t += 1
        decay = self.configuration["ema"]
        if decay:
            if self.configuration.get("ema_ramp"):
                decay = min(decay, (1 + self.t) / (10 + self.t))
            torch._foreach_lerp_(self.average, list(self.generator.parameters()), 1 - decay)
        return losses

    @torch.no_grad()
    def pictures(self, count, seed):
        """[count, C, H, W] of bytes, of one class after the other where there are classes."""
        generator = copy.deepcopy(self.generator).eval()
        if self.configuration["ema"]:
            for parameter, average in zip(generator.parameters(), self.average):
                parameter.copy_(average)
        random = torch.Generator().manual_seed(seed)
        size = self.configuration["image_size"]
        shape = (self.configuration.get("channels", 1), *([size, size] if isinstance(size, int) else size))
        drawn = []
        for first in range(0, count, BATCH):
            z = torch.randn(min(BATCH, count - first), self.latent, generator=random)
            if self.classes:
                pytorch_worker.tell(generator, torch.arange(first, first + len(z)) % self.classes)
            x = generator(z[:, :, None, None] if self.takes_images else z)
            drawn.append(((x.reshape(-1, *shape) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8))
        return torch.cat(drawn).numpy()

    def run(self, request):
        """Trains afresh, and writes pictures: {"configuration", "seed", "steps", "count", "out"}."""
        self.begin(request["configuration"], request["seed"])
        start = time.perf_counter()
        _, *losses = self.train(request["steps"])
        seconds = time.perf_counter() - start
        if self.rank == 0:
            numpy.save(request["out"], self.pictures(request["count"], request["seed"]))
        return dict(seconds=seconds, losses=losses)


def main():
    task = worker.task()
    options = pytorch_worker.prepare(task)
    recipe = Recipe(task)
    pytorch_worker.serve(recipe, task, run=recipe.run, **options)


if __name__ == "__main__":
    main()
