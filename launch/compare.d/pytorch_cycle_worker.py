"""PyTorch's training step of a CycleGAN; its settings are those of pytorch_worker.py.

The order is that of its authors' code: both generators by one optimiser, while the discriminators get no gradients, and then the
discriminators with pools of earlier fakes. Pools are exchanged by whole batches, which is faster than picture by picture. Both
domains are the same images: how fast a step is does not depend on what they show.
"""

import contextlib
import itertools

import torch
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

import pytorch_worker
import worker


class Pool:
    """Earlier fakes. Of a batch about half is exchanged for some of them, when it is full."""

    def __init__(self, size):
        self.size, self.fakes = size, None

    def exchange(self, fakes):
        if not self.size:
            return fakes
        if self.fakes is None or len(self.fakes) < self.size:
            self.fakes = fakes.clone() if self.fakes is None else torch.cat([self.fakes, fakes])[:self.size]
            return fakes
        rows = (torch.rand(len(fakes)) < 0.5).nonzero()[:, 0]
        slots = torch.randperm(self.size)[:len(rows)]
        rows = rows[:len(slots)]
        shown = fakes.clone()
        shown[rows] = self.fakes[slots]
        self.fakes[slots] = fakes[rows]
        return shown


class Training:
    def __init__(self, task):
        configuration, setting = task["configuration"], task["setting"]
        self.batch = configuration["batch_size"] // task["processes"]
        self.cycle = configuration.get("cycle_weight", 10)
        self.cycle_b = configuration.get("cycle_weight_b", self.cycle)
        self.identity = configuration.get("identity_weight", 5)
        self.memory_format = torch.channels_last if setting["channels_last"] else torch.contiguous_format
        images = torch.from_numpy(worker.load_images(task["images"], task["rank"], task["processes"])[:8192])
        self.images = [images, images]
        self.rows = [worker.Rows(len(images), self.batch, 2 * task["rank"] + domain) for domain in range(2)]
        self.networks = [pytorch_worker.network(configuration[name], True, setting["channels_last"]) for name in (
            "generator_ab", "generator_ba", "discriminator_a", "discriminator_b")]
        self.pools = [Pool(configuration.get("pool_size", 0) // task["processes"]) for _ in range(2)]
        self.parallel = self.networks
        if task["processes"] > 1:
            options = {}
            if setting["lean"] or setting["channels_last"]:
                options = dict(broadcast_buffers=False, gradient_as_bucket_view=True, bucket_cap_mb=100)
            self.parallel = [DistributedDataParallel(network, **options) for network in self.networks]
        adam = dict(lr=configuration["lr"], betas=(configuration["beta1"], configuration["beta2"]),
                    eps=configuration["epsilon"], fused=setting["fused"])
        self.adams = [torch.optim.Adam(itertools.chain(*(network.parameters() for network in pair)), **adam)
                      for pair in (self.networks[:2], self.networks[2:])]
        self.precision = contextlib.nullcontext
        if setting["bf16"]:
            self.precision = lambda: torch.autocast("cpu", torch.bfloat16)
        if setting["compiled"]:
            self.generator_loss = torch.compile(self.generator_loss)
            self.discriminator_loss = torch.compile(self.discriminator_loss)

    def generator_loss(self, a, b):
        """Equations 1 to 3 for both generators, and the fakes."""
        g, f = self.parallel[:2]
        judge_a, judge_b = self.networks[2:]
        fake_b, fake_a = g(a), f(b)
        loss = ((judge_b(fake_b).float() - 1) ** 2).mean() + ((judge_a(fake_a).float() - 1) ** 2).mean()
        loss = loss + self.cycle * functional.l1_loss(f(fake_b).float(), a)
        loss = loss + self.cycle_b * functional.l1_loss(g(fake_a).float(), b)
        if self.identity:
            loss = loss + self.identity * (functional.l1_loss(g(b).float(), b) + functional.l1_loss(f(a).float(), a))
        return loss, fake_a, fake_b

    def discriminator_loss(self, real_a, shown_a, real_b, shown_b):
        loss = 0
        for judge, real, shown in (self.parallel[2], real_a, shown_a), (self.parallel[3], real_b, shown_b):
            loss = loss + (((judge(real).float() - 1) ** 2).mean() + (judge(shown).float() ** 2).mean()) / 2
        return loss

    def step(self, rows_a, rows_b):
        a, b = (images.index_select(0, rows).contiguous(memory_format=self.memory_format)
                for images, rows in zip(self.images, (rows_a, rows_b)))
        for judge in self.networks[2:]:
            judge.requires_grad_(False)
        with self.precision():
            g_loss, fake_a, fake_b = self.generator_loss(a, b)
        self.adams[0].zero_grad()
        g_loss.backward()
        self.adams[0].step()
        for judge in self.networks[2:]:
            judge.requires_grad_(True)
        shown_a, shown_b = self.pools[0].exchange(fake_a.detach()), self.pools[1].exchange(fake_b.detach())
        with self.precision():
            d_loss = self.discriminator_loss(a, shown_a, b, shown_b)
        self.adams[1].zero_grad()
        d_loss.backward()
        self.adams[1].step()
        return d_loss, g_loss

    def train(self, steps):
        for rows in zip(*(torch.from_numpy(rows.take(steps)) for rows in self.rows)):
            losses = self.step(*rows)
        return steps, *(float(loss) for loss in losses)


def main():
    task = worker.task()
    options = pytorch_worker.prepare(task)
    pytorch_worker.serve(Training(task), task, **options)


if __name__ == "__main__":
    main()
