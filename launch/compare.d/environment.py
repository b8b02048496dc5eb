"""What the peers need: the virtual environment, outside the checkout, and MKL's faster path on AMD's CPUs."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
MKL_ON_AMD = HERE / "mkl_on_amd.c"
OLDEST_PYTHON = (3, 11)
INSTALL_SECONDS = 3600


class Failed(Exception):
    """What to say, and the exit code."""


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base, "gan-dist")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def digest(*parts):
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def python(say):
    """The Python that has the peers; installs them where this is the first time. All or nothing."""
    folder = cache() / f"compare-{digest(REQUIREMENTS.read_bytes(), sys.version.encode())}"
    if not folder.exists():
        if sys.version_info < OLDEST_PYTHON:
            raise Failed("the peers' versions need Python {}.{} or newer".format(*OLDEST_PYTHON), 70)
        say(f"installing the peers into {folder}; this takes minutes, once")
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            install(partial)
            try:
                partial.rename(folder)
            except OSError:
                if not folder.exists():  # else another run was faster
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder / "bin" / "python"


def install(folder):
    output = run([sys.executable, "-m", "venv", folder])
    if output is not None:
        raise Failed(f"no virtual environment could be made (Debian's package is python3-venv):\n{output}", 70)
    interpreter = folder / "bin" / "python"
    output = run([interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
                  "--only-binary=:all:", "--retries=1", "--timeout=30", f"--requirement={REQUIREMENTS}"])
    if output is not None:
        raise Failed(f"pip could not bring the peers; nothing is left behind. Is there a way to PyPI?\n{output}", 66)
    output = run([interpreter, "-c", "import torch, jax"])
    if output is not None:
        raise Failed(f"the peers are installed but do not start; nothing is left behind:\n{output}", 70)


def versions(interpreter):
    """What is installed: "torch 2.13.0+cpu" and so on."""
    script = "import sys, importlib.metadata as m; [print(name, m.version(name)) for name in sys.argv[1:]]"
    return subprocess.run([interpreter, "-c", script, "torch", "jax", "jaxlib", "numpy"], stdout=subprocess.PIPE,
                          text=True, check=True).stdout.splitlines()


def run(command):
    """The last lines of what a command that failed said; nothing of one that did not."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"it took longer than {INSTALL_SECONDS} s"
    if done.returncode == 0:
        return None
    return "\n".join(done.stdout.strip().splitlines()[-5:])


def mkl_on_amd(say):
    """The object to preload so that MKL takes its faster path; nothing where the CPU is not AMD's or cc is missing."""
    if not any(line.startswith("vendor_id") and "AMD" in line for line in open("/proc/cpuinfo", encoding="utf-8")):
        return None
    library = cache() / f"mkl-on-amd-{digest(MKL_ON_AMD.read_bytes())}.so"
    if not library.exists():
        if not shutil.which("cc"):
            say("no C compiler: PyTorch is not tried with MKL's faster path, which counts on this CPU")
            return None
        partial = library.with_name(f".{library.name}-{os.getpid()}")
        output = run(["cc", "-O2", "-shared", "-fPIC", "-o", partial, MKL_ON_AMD])
        if output is not None:
            raise Failed(f"{MKL_ON_AMD} does not compile:\n{output}", 70)
        partial.rename(library)
    return library
