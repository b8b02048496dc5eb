"""What is trained, for how long, and in which variants."""

from collections import namedtuple
from pathlib import Path

import data

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "Tests" / "Golden" / "weights.json"

CASES = {
    "mlp": ["--preset", "mlp"],
    "mlp-dropout": ["--preset", "mlp-dropout"],
    "mlp-wide": ["--preset", "mlp-wide"],
    "mlp-reuse": ["--preset", "mlp-reuse"],  # B = 100
    "mlp-mse-b100": ["--preset", "mlp", "--loss", "mse", "--batch-size", "100"],
    "mlp-bf16": ["--preset", "mlp", "--precision", "bf16"],
    "reuse-bf16": ["--preset", "mlp-reuse", "--precision", "bf16"],  # shards of 12 and 13 rows
    "mlp-b8": ["--preset", "mlp", "--batch-size", "8"],  # one row a shard
    "remedies": ["--preset", "mlp", "--label-smoothing", "0.1", "--label-flip", "0.1", "--instance-noise", "0.1",
                 "--instance-noise-decay", "1e", "--optimizer", "sgd", "--lr-generator", "0.05", "--ema", "0.9",
                 "--lr-half-life", "7"],
    "relativistic": ["--preset", "mlp", "--loss", "relativistic", "--r1", "0.1", "--r2", "0.05", "--penalty-interval", "2",
                     "--critic-steps", "2"],
    # Residual blocks, instance normalisation, reflection padding, output padding.
    "residual": ["--config", GOLDEN.parent / "residual.json"],
    "cgan": ["--config", GOLDEN.parent / "cgan-0.1.0.json"],  # with biases before BatchNorm
    "cgan-no-bias": ["--preset", "cgan"],
    # Two rows a shard, one of dcgan's.
    "dcgan28": ["--preset", "dcgan28", "--batch-size", "16"],
    "dcgan28-bf16": ["--preset", "dcgan28", "--batch-size", "16", "--precision", "bf16"],
    "lsgan": ["--preset", "lsgan", "--batch-size", "16"],
    "hinge": ["--preset", "hinge", "--batch-size", "16"],
    "wgan": ["--preset", "wgan", "--batch-size", "16"],
    "wgan-gp": ["--preset", "wgan-gp", "--batch-size", "16"],
    "cdcgan": ["--preset", "cdcgan", "--batch-size", "16"],
    "dcgan": ["--preset", "dcgan", "--batch-size", "8"],
    "classifier": ["--preset", "classifier28", "--batch-size", "16", "--evaluate-interval", "2"],  # with its test figures
    "measures": ["--preset", "mlp", "--evaluate-interval", "4", "--evaluate-images", "50"],  # and real pictures' figures
    # Four networks, a pool with a memory, domains of other colours.
    "cyclegan": ["--preset", "cyclegan28", "--domain-b", "mnist:coloured", "--image-size", "16", "--batch-size", "16", "--pool-size",
                 "32", "--evaluate-interval", "0"],
    # Pictures of other kinds.
    "grey-36x20": ["--preset", "mlp"],
    "letters": ["--preset", "cgan"],
    "colour-24x20": ["--preset", "mlp", "--image-size", "16", "--channels", "1"],  # cropped, made smaller and grey
    "jpeg": ["--preset", "mlp", "--batch-size", "16"],
    "colour-32": ["--preset", "dcgan28", "--batch-size", "16", "--mirror"],
    "colour-64": ["--preset", "dcgan", "--batch-size", "8"],  # made larger
}
# What a case trains on in place of pictures like MNIST's.
DATA = {
    "grey-36x20": data.unlabelled,
    "letters": data.letters,
    "colour-24x20": data.array,
    "jpeg": data.jpeg,
    "colour-32": data.pictures,
    "colour-64": data.cifar,
}
# A small classifier that pictures are measured by, and what it is trained with.
MEASURED = {"measures"}
EXTRACTOR = ["--config", GOLDEN.parent / "classifier.json", "--steps", "40"]
HEAVY = {"classifier", "dcgan28", "dcgan28-bf16", "lsgan", "hinge", "wgan", "wgan-gp", "cdcgan", "dcgan", "cyclegan", "colour-32",
         "colour-64"}
NOT_PORTABLE = {"dcgan", "colour-64"}  # minutes a step
NOT_GOLDEN = {"jpeg"}  # decoders may round otherwise

RANKS = [1, 2, 3, 4, 5, 8]
SPLITS = {"2+2": "0,0,1,1", "1+3": "0,1,1,1", "1+1,1+1": "0,1,0,1"}
HOSTS = 4

# How long a job trains and how often it tells its hash and is saved. Portable kernels are slow, and emulated ones very slow.
Length = namedtuple("Length", "steps portable_steps hash_interval checkpoint_interval job_limit")
# Steps without a hash go on while the generator's parameters are still under way.
SHORT = Length(steps=20, portable_steps=4, hash_interval=2, checkpoint_interval=6, job_limit=90)
FULL = Length(steps=1000, portable_steps=50, hash_interval=50, checkpoint_interval=150, job_limit=900)
SHORT_HEAVY = Length(steps=6, portable_steps=2, hash_interval=2, checkpoint_interval=2, job_limit=120)
FULL_HEAVY = Length(steps=60, portable_steps=2, hash_interval=2, checkpoint_interval=6, job_limit=900)
QEMU = "qemu"  # the portable kernels on a CPU without AVX
QEMU_CASE = "mlp-b8"

Variant = namedtuple("Variant", "name ranks split", defaults=[None])
RESUMED, REAL_HOSTS = Variant("resumed", 0), Variant(f"{HOSTS} hosts", 8)
LOCAL = [Variant(str(ranks), ranks) for ranks in RANKS] + [Variant(name, 4, split) for name, split in SPLITS.items()]
FEW = [variant for variant in LOCAL if variant.name in ("1", "3", "8", "1+1,1+1")]  # where only the data are new
FEWEST = [variant for variant in LOCAL if variant.name in ("1", "3", "1+1,1+1")]  # of slow kernels


def length_of(case, is_full):
    if case in HEAVY:
        return FULL_HEAVY if is_full else SHORT_HEAVY
    return FULL if is_full else SHORT


def local(case):
    """The variants on this machine."""
    return FEW if case in DATA else LOCAL
