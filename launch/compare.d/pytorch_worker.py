"""PyTorch's training step: eager in one process or as a rank of DistributedDataParallel over gloo.

Settings, beside "eager as the tutorials write it" (all false):
    fused     Adam in one pass over each parameter
    lean      the discriminator judges real and fake images in one batch, and its weights get no gradient in the
              generator's step, where none is used; DistributedDataParallel reduces gradients in place, in one bucket
    compiled  the losses by torch.compile
    channels_last  images and weights laid out pixel by pixel
    bf16      autocast
"""

import contextlib
import ctypes

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

import worker


class Sign(nn.Module):
    def forward(self, x):
        return torch.sign(x)


class Reshape(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(-1, *self.shape)


class Residual(nn.Sequential):
    """x + f(x)"""

    def forward(self, x):
        return x + super().forward(x)


class ImageLinear(nn.Linear):
    """Of images, to images of one pixel."""

    def forward(self, x):
        return super().forward(x.flatten(1))[:, :, None, None]


class Labelled(nn.Module):
    """A layer that is told the classes of its rows; see tell."""

    def __init__(self, classes):
        super().__init__()
        self.classes, self.labels = classes, None


class Label(Labelled):
    """The class, a one among zeros, behind the features or the channels of every pixel."""

    def forward(self, x):
        classes = functional.one_hot(self.labels, self.classes).to(x.dtype)
        if x.dim() == 4:
            classes = classes[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return torch.cat([x, classes], 1)


class Projection(Labelled):
    """Output 0 and that of the class."""

    def forward(self, x):
        rows = x.flatten(1)
        return (rows[:, :1] + rows.gather(1, 1 + self.labels[:, None])).reshape(len(x), 1, *x.shape[2:])


def tell(network, labels):
    """The classes of the next rows."""
    for module in network.modules():
        if isinstance(module, Labelled):
            module.labels = labels


# Of networks of convolutions. Others are of features only, and have nothing to reshape.
LAYERS = {
    "linear": lambda layer: ImageLinear(layer["inputs"], layer["outputs"], bias=layer.get("bias", True)),
    "reshape": lambda layer: Reshape(layer["channels"], layer["height"], layer["width"]),
    "conv2d": lambda layer: nn.Conv2d(*convolution(layer), bias=layer["bias"]),
    "conv_transpose2d": lambda layer: nn.ConvTranspose2d(
        *convolution(layer), output_padding=layer.get("output_padding", 0), bias=layer["bias"]),
    "instance_norm": lambda layer: nn.InstanceNorm2d(layer["channels"], affine=layer.get("affine", False)),
    "reflection_pad": lambda layer: nn.ReflectionPad2d(layer["padding"]),
    "residual": lambda layer: Residual(*(LAYERS[inner["type"]](inner) for inner in layer["layers"])),
    "batch_norm": lambda layer: nn.BatchNorm2d(layer["channels"]),
    "relu": lambda layer: nn.ReLU(),
    "leaky_relu": lambda layer: nn.LeakyReLU(layer["slope"]),
    "tanh": lambda layer: nn.Tanh(),
    "sigmoid": lambda layer: nn.Sigmoid(),
    "sign": lambda layer: Sign(),
    "dropout": lambda layer: nn.Dropout(layer["probability"]),
    "label": lambda layer: Label(layer["classes"]),
    "projection": lambda layer: Projection(layer["classes"]),
}

FEATURE_LAYERS = dict(
    LAYERS, linear=lambda layer: nn.Linear(layer["inputs"], layer["outputs"], bias=layer.get("bias", True)),
    reshape=lambda layer: nn.Identity(), batch_norm=lambda layer: nn.BatchNorm1d(layer["channels"]))

LOSSES = {"bce": functional.binary_cross_entropy_with_logits, "mse": functional.mse_loss}


def convolution(layer):
    return [layer[field] for field in ("inputs", "outputs", "kernel", "stride", "padding")]


def network(layers, of_images, channels_last):
    known = LAYERS if of_images else FEATURE_LAYERS
    layers = nn.Sequential(*(known[layer["type"]](layer) for layer in layers))
    return layers.to(memory_format=torch.channels_last) if channels_last else layers


class Training:
    def __init__(self, task):
        configuration, setting = task["configuration"], task["setting"]
        self.lean, self.fresh = setting["lean"], configuration["generator_step"] == "fresh"
        self.batch = configuration["batch_size"] // task["processes"]
        self.latent = configuration["latent_dim"]
        self.images = torch.from_numpy(worker.load_images(task["images"], task["rank"], task["processes"]))
        self.takes_images = configuration["discriminator"][0]["type"] == "conv2d"
        self.memory_format = torch.channels_last if setting["channels_last"] else torch.contiguous_format
        if self.takes_images:
            # As many as an epoch of a short measurement takes, unless said otherwise; enlarged ones are large.
            self.images = self.images[:task.get("images_kept", 8192)]
            size = configuration["image_size"]
            size = (size, size) if isinstance(size, int) else tuple(size)
            if self.images.shape[2:] != size:
                self.images = functional.interpolate(self.images, size, mode="bilinear")
        else:
            self.images = self.images.flatten(1)
        self.rows = worker.Rows(len(self.images), self.batch, task["rank"])
        self.generator = network(configuration["generator"], self.takes_images, setting["channels_last"])
        self.discriminator = network(configuration["discriminator"], self.takes_images, setting["channels_last"])
        self.networks = [self.generator, self.discriminator]
        self.parallel_generator, self.parallel_discriminator = self.networks
        if task["processes"] > 1:
            options = {}
            if self.lean:
                options = dict(broadcast_buffers=False, gradient_as_bucket_view=True, bucket_cap_mb=100)
            self.parallel_generator = DistributedDataParallel(self.generator, **options)
            self.parallel_discriminator = DistributedDataParallel(self.discriminator, **options)
        adam = dict(lr=configuration["lr"], betas=(configuration["beta1"], configuration["beta2"]),
                    eps=configuration["epsilon"], fused=setting["fused"])
        self.generator_adam = torch.optim.Adam(self.generator.parameters(), **adam)
        self.discriminator_adam = torch.optim.Adam(self.discriminator.parameters(), **adam)
        self.loss = LOSSES[configuration["loss"]]
        shape = (self.batch, 1, 1, 1) if self.takes_images else (self.batch, 1)
        self.ones, self.zeros = torch.ones(shape), torch.zeros(shape)
        self.ones_and_zeros = torch.cat([self.ones, self.zeros])
        self.precision = contextlib.nullcontext
        if setting["bf16"]:
            self.precision = lambda: torch.autocast("cpu", torch.bfloat16)
        if setting["compiled"]:
            self.discriminator_loss = torch.compile(self.discriminator_loss)
            self.generator_loss = torch.compile(self.generator_loss)

    def noise(self):
        return torch.randn(self.batch, self.latent, 1, 1) if self.takes_images else torch.randn(self.batch, self.latent)

    def discriminator_loss(self, real, fake):
        """L(D(x), 1) + L(D(G(z)), 0), each a mean over the batch."""
        judge = self.parallel_discriminator
        if self.lean:
            return 2 * self.loss(judge(torch.cat([real, fake])).float(), self.ones_and_zeros)
        return self.loss(judge(real).float(), self.ones) + self.loss(judge(fake).float(), self.zeros)

    def generator_loss(self, fake):
        return self.loss(self.discriminator(fake).float(), self.ones)

    def step(self, rows):
        real = self.images.index_select(0, rows)
        if self.takes_images:
            real = real.contiguous(memory_format=self.memory_format)
        with self.precision():
            if self.fresh:
                with torch.no_grad():
                    fake = self.generator(self.noise())
            else:
                fake = self.parallel_generator(self.noise())
            d_loss = self.discriminator_loss(real, fake.detach())
        self.discriminator_adam.zero_grad()
        d_loss.backward()
        self.discriminator_adam.step()

        if self.lean:
            self.discriminator.requires_grad_(False)
        with self.precision():
            if self.fresh:
                fake = self.parallel_generator(self.noise())
            g_loss = self.generator_loss(fake)
        self.generator_adam.zero_grad()
        g_loss.backward()
        self.generator_adam.step()
        if self.lean:
            self.discriminator.requires_grad_(True)
        return d_loss, g_loss

    def train(self, steps):
        for rows in torch.from_numpy(self.rows.take(steps)):
            losses = self.step(rows)
        return steps, *(float(loss) for loss in losses)


def mkl_asked():
    """Whether MKL has asked the preloaded mkl_on_amd.c for the CPU's maker; nothing where it is not preloaded."""
    with contextlib.suppress(ValueError):
        return ctypes.c_int.in_dll(ctypes.CDLL(None), "mkl_asked").value > 0


def agree(steps):
    """Rank 0's number of steps."""
    number = torch.tensor(steps)
    dist.broadcast(number, 0)
    return int(number)


def prepare(task):
    """Threads, ranks and random numbers; what worker.serve is to know of the ranks."""
    torch.set_num_threads(len(task["cores"]))
    options = {}
    if task["processes"] > 1:
        dist.init_process_group("gloo", init_method=f"file://{task['meeting']}", rank=task["rank"],
                                world_size=task["processes"])
        options = dict(agree=agree)
    torch.manual_seed(task["rank"])
    return options


def serve(training, task, **options):
    counts = [sum(p.numel() for p in net.parameters()) for net in training.networks]
    worker.serve(training.train, task["configuration"]["batch_size"],
                 lambda: dict(parameters=counts, version=torch.__version__, mkl_asked=mkl_asked()), **options)


def main():
    task = worker.task()
    options = prepare(task)
    serve(Training(task), task, **options)


if __name__ == "__main__":
    main()
