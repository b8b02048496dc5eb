"""A copy of launch/ and cluster/ whose program is taken as built, and stand-ins for the tools that it calls."""

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRAINER = Path(os.environ.get("GAN_DIST_BINARY", ROOT / ".build" / "release" / "gan-dist")).resolve()
LIMIT = 300  # seconds, which only a hang takes

# What a shell in the background ignores, its children could never be asked.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

# Notes its arguments and a variable, and ends with FAKE_CODE.
PROGRAM = r"""#!/bin/bash -p
case "$*" in
*--version) echo 0.0.0; exit ;;
*--help* | *\ -h) echo "the help of $*"; exit ;;
*--dry-run*) echo "{\"dataset\": \"${FAKE_DATASET:-mnist}\", \"shards\": 8}"; exit ;;
esac
printf '%s\n' "$*" >>"$RECORD"
printf 'GAN_DIST_COMMAND=%s\n' "${GAN_DIST_COMMAND-}" >>"$RECORD"
echo "gan-dist 0.0.0: a line"
exit "${FAKE_CODE:-0}"
"""

# One process in place of all ranks.
MPIRUN = r"""#!/bin/bash -p
printf 'mpirun %s\n' "$*" >>"$RECORD"
while (($#)) && [[ $1 != */gan-dist ]]; do shift; done
exec "$@"
"""

SWIFT = r"""#!/bin/bash -p
case $1 in
--version) echo "Swift version ${FAKE_SWIFT:-6.3.1} (swift-RELEASE)"; exit ;;
build) printf 'build\n' >>"$RECORD" ;;
package) printf 'clean\n' >>"$RECORD"; exit ;;
esac
while [[ $1 != --package-path ]]; do shift; done
mkdir -p "$2/.build/release"
cp "$FAKE_PROGRAM" "$2/.build/release/gan-dist"
echo "$2/.build/release" >"$2/.build/release.yaml"
"""

CALLED = '#!/bin/bash -p\nprintf "%s %s\\n" "${0##*/}" "$*" >>"$RECORD"\nexit 1\n'


def write_script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def write_images(folder, count=640):
    folder.mkdir(parents=True, exist_ok=True)
    sizes = b"".join(n.to_bytes(4, "big") for n in (count, 28, 28))
    pixels = bytes((31 * i + i // 784) % 256 for i in range(count * 784))
    (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + sizes + pixels)
    (folder / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + count.to_bytes(4, "big") + bytes(i % 10 for i in range(count)))


def until(condition, what):
    start = time.monotonic()
    while not (value := condition()):
        if time.monotonic() - start > LIMIT:
            raise AssertionError(f"not within {LIMIT} s: {what}")
        time.sleep(0.01)
    return value


def fields(pid):
    """State and numbers of /proc/PID/stat, from the state on; nothing where the process is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def descendants(pid):
    parents = {int(entry): int(parts[1]) for entry in os.listdir("/proc") if entry.isdigit() and (parts := fields(entry))}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def ranks(pid):
    """The trainers that descend from a process."""
    found = []
    for one in descendants(pid):
        with contextlib.suppress(OSError):
            variables = Path(f"/proc/{one}/environ").read_bytes()
            if Path(f"/proc/{one}/comm").read_text().startswith("gan-dist") and b"OMPI_COMM_WORLD_RANK=" in variables:
                found.append(one)
    return found


class Checkout:
    """`with Checkout() as checkout`: a folder with a blank in its name, removed at the end."""

    def __init__(self, program=PROGRAM):
        self.folder = Path(tempfile.mkdtemp(prefix="check out "))
        self.root = self.folder / "repository"
        shutil.copytree(ROOT / "launch", self.root / "launch", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "cluster", self.root / "cluster")
        (self.root / "Sources").mkdir()
        (self.root / "Package.swift").write_text("")
        binary = self.root / ".build" / "release" / "gan-dist"
        if isinstance(program, Path):
            binary.parent.mkdir(parents=True)
            binary.symlink_to(program)
        else:
            write_script(binary, program)
        (self.root / ".build" / "launch.stamp").write_text("")
        self.tools = self.folder / "tools"
        self.tools.mkdir()
        self.record = self.folder / "record"
        self.record.write_text("")
        self.environment = {**os.environ, "RECORD": str(self.record), "PATH": f"{self.tools}:{os.environ['PATH']}"}
        for name in ("NP", "GAN_DIST_COMMAND", "OMPI_MCA_hwloc_base_binding_policy"):
            self.environment.pop(name, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def tool(self, name, text):
        return write_script(self.tools / name, text)

    def recorded(self):
        return self.record.read_text().splitlines()

    def run(self, *command, cwd=None, environment=None, **variables):
        """A command, the first word of which is a path below the root; what came of it."""
        return subprocess.run([self.root / command[0], *map(str, command[1:])], cwd=cwd or self.folder, text=True,
                              env={**(self.environment if environment is None else environment), **variables},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, check=False)

    def start(self, *command, **options):
        return subprocess.Popen([self.root / command[0], *map(str, command[1:])], cwd=self.folder, text=True,
                                env=self.environment, stdin=subprocess.DEVNULL, start_new_session=True, **options)

    def steps(self, outdir="runs"):
        """Lines of statistics of all runs."""
        return sum(len(path.read_text().splitlines()) for path in (self.folder / outdir).glob("*/stats.jsonl"))

    def checkpoints(self, outdir="runs"):
        return sorted((self.folder / outdir).glob("*/checkpoint-*.safetensors"))


class Terminal:
    """An interactive shell on a terminal of its own."""

    def __init__(self, cwd, environment):
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], {**environment, "PS1": "> ", "TERM": "dumb"})
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in [*descendants(self.pid), self.pid]:
            with contextlib.suppress(OSError):
                os.kill(one, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.close(self.descriptor)
        os.waitpid(self.pid, 0)

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def read(self):
        while select.select([self.descriptor], [], [], 0)[0]:
            try:
                self.text += os.read(self.descriptor, 65536).decode(errors="replace")
            except OSError:
                return self.text
        return self.text

    def expect(self, text):
        """Waits until the terminal shows it; forgets what came before."""
        try:
            until(lambda: text in self.read(), text)
        except AssertionError as error:
            raise AssertionError(f"{error}; the terminal shows: {self.text}") from None
        before, _, self.text = self.text.partition(text)
        return before
