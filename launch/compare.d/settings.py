"""Which settings of each peer are tried on a number of cores."""

import shutil

from contenders import Peer
from networks import game, is_convolutional

PLAIN = dict(fused=False, lean=False, compiled=False, bf16=False, channels_last=False)
LEGEND = """eager: as tutorials write it; fused: Adam in one pass a parameter; compiled: the losses, by torch.compile
lean: D judges real and fake images in one batch; PyTorch: no gradients for D's weights in the generator's step
MKL forced: its faster path though the CPU is AMD's; bf16: autocast, apart from the best; rbg: XLA's random numbers"""
FUSED = dict(PLAIN, fused=True)
LEAN = dict(FUSED, lean=True)
CHANNELS_LAST = dict(FUSED, channels_last=True)
ONE_THREAD = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
THREADS = {"XLA_FLAGS": ""}


def pytorch(cores, plan, mkl, has_bf16, say):
    """One process with a thread a core, and with one thread, which can be faster; then DistributedDataParallel."""
    batch = plan["batch_size"]
    script = "pytorch_cycle_worker.py" if game(plan) == "cyclegan" else "pytorch_worker.py"
    # Batch normalisation keeps real and fake images apart.
    best = ("fused Adam, channels last", CHANNELS_LAST) if is_convolutional(plan) else ("fused Adam, lean", LEAN)
    ways = [("", {})] + ([(", MKL forced", {"LD_PRELOAD": str(mkl)})] if mkl else [])

    def single(name, setting, way, threads, **options):
        suffix = "" if cores == 1 else f", {threads} thread" + "s" * (threads > 1)
        return Peer("PyTorch", f"PyTorch {name}{suffix}{way[0]}", script, setting, threads=threads,
                    environment=way[1], **options)

    found = []
    for way in ways:
        found += [single("eager", PLAIN, way, cores), single("eager, fused Adam", FUSED, way, cores),
                  single(f"eager, {best[0]}", best[1], way, cores)]
    if cores > 1:
        found += [single("eager, fused Adam", FUSED, ways[-1], 1),
                  single(f"eager, {best[0]}", best[1], ways[-1], 1)]
    if shutil.which("g++") or shutil.which("clang++"):
        found.append(single(f"compiled, {best[0]}", dict(best[1], compiled=True), ways[-1], cores))
    else:
        say("no C++ compiler: PyTorch is not tried with torch.compile")
    if has_bf16:
        found.append(single(f"eager, {best[0]}, bf16", dict(best[1], bf16=True), ways[0], cores, precision="bf16"))
    else:
        say("the CPU has no instructions for bf16: PyTorch's is not tried, a tenth as fast as its fp32")
    if cores > 1 and batch % cores:
        say(f"{cores} ranks cannot share a batch of {batch}: no PyTorch DDP there")
    elif cores > 1:
        for way in ways:
            for name, setting in ("eager", PLAIN), (f"eager, {best[0]}", best[1]):
                found.append(Peer("PyTorch DDP", f"PyTorch DDP {name}, {cores} ranks{way[0]}", script, setting,
                                  processes=cores, environment=way[1]))
    return found


def jax(cores, plan, say):
    """One process with a thread a core, and with one thread, which can be faster."""
    if is_convolutional(plan):
        say("JAX is not tried: its worker has no convolutions")
        return []
    plain = dict(steps=100, unroll=1, random="threefry2x32", lean=False)
    variants = [
        ("scan of 100", plain),
        ("scan of 100, lean", dict(plain, lean=True)),
        ("scan of 100, lean, rbg", dict(plain, lean=True, random="rbg")),
        ("scan of 100, unroll 4, lean, rbg", dict(plain, unroll=4, lean=True, random="rbg")),
        ("scan of 900, lean, rbg", dict(plain, steps=900, lean=True, random="rbg")),
    ]
    found = []
    for threads in sorted({1, cores}, reverse=True):
        suffix = "" if cores == 1 else f", {threads} thread" + "s" * (threads > 1)
        found += [Peer("JAX", f"JAX {name}{suffix}", "jax_worker.py", setting, threads=threads,
                       environment=dict(JAX_PLATFORMS="cpu", **(ONE_THREAD if threads == 1 else THREADS)))
                  for name, setting in (variants if threads == cores else variants[2:3])]
    return found
