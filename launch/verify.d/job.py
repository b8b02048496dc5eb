"""A training as a process: started, killed, waited for, and what it left."""

import hashlib
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from cases import QEMU, REAL_HOSTS, ROOT

LAUNCH = ROOT / "launch"
BINARY = Path(os.environ.get("GAN_DIST_BINARY", ROOT / ".build" / "release" / "gan-dist")).resolve()


FIGURES = {"test_loss", "test_accuracy", "fid", "kid", "precision", "recall", "density", "coverage", "class_kl",
           "classifier_score", "nearest", "class_accuracy", "extractor_sha256"}


class Trouble(Exception):
    """A job that did not end as it should."""


def ranks_of(process):
    """(rank, process number) of the ranks that descend from a process."""
    found, waiting = [], [process.pid]
    while waiting:
        pid = waiting.pop()
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if Path(f"/proc/{pid}/comm").read_text().startswith(BINARY.name[:15]):
                rank = [value[21:] for value in environment if value.startswith(b"OMPI_COMM_WORLD_RANK=")]
                found.append((int(rank[0]) if rank else 0, pid))
        except OSError:
            pass  # it has ended meanwhile
    return sorted(found)


def describe(pid):
    """What the system knows of a process: the one that is stopped or burns no time is the one that hangs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return f"process {pid}, state {fields[0]}, {seconds:.1f} s of CPU"
    except OSError:
        return f"process {pid}, ended"


def figures(line):
    """A digest of what a line of stats.jsonl tells of test images and of pictures; nothing where it tells nothing."""
    values = {key: value for key, value in line.items() if key.removesuffix("_sd").removesuffix("_floor") in FIGURES}
    return " " + hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest() if values else ""


class Job:
    """A training, its folder and its time limit."""

    def __init__(self, tool, folder, limit):
        self.tool, self.folder = tool, folder
        self.deadline = time.monotonic() + limit

    def start(self, ranks, split, arguments):
        train = [BINARY, "train", "--outdir", self.folder, "--quiet", *arguments]
        # What measures keep for later runs is made anew by each.
        environment = dict(os.environ, XDG_CACHE_HOME=str(Path(self.folder) / "cache"))
        options = []
        if split:
            environment["GAN_DIST_HOSTS"] = split
            options = ["-x", "GAN_DIST_HOSTS"]
        options += ["-x", "XDG_CACHE_HOME"] if ranks > 1 else []
        if self.tool == QEMU:
            command = ["qemu-x86_64", "-cpu", "Nehalem", *train]
        elif self.tool == REAL_HOSTS.name:
            command = [LAUNCH / "hosts", "run", "-np", ranks, *train]
        else:
            script = 'set -euo pipefail; source "$0"; run_ranks "$@"'
            command = ["bash", "-c", script, LAUNCH / "common.sh", ranks, *options, *train]
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=environment, text=True,
                                        stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)

    def stop(self):
        for pid in [pid for _, pid in ranks_of(self.process)] + [self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def check_time(self):
        if time.monotonic() < self.deadline:
            return
        ranks = "; ".join(f"rank {rank} ({describe(pid)})" for rank, pid in ranks_of(self.process))
        last = self.last_step()
        self.stop()
        raise TimeoutError(f"hangs after step {last}: {ranks or 'no rank is left'}")

    def wait(self):
        """The exit code."""
        try:
            while self.process.poll() is None:
                self.check_time()
                time.sleep(0.005)
        except BaseException:
            self.stop()
            raise
        return self.process.returncode

    def messages(self):
        """What the trainer said; without a word of its own, the end of what mpirun said."""
        self.output.seek(0)
        lines = self.output.read().splitlines()
        return " / ".join([line for line in lines if "gan-dist: " in line] or lines[-4:]) or "no message"

    def train(self, ranks, split, arguments):
        self.start(ranks, split, arguments)
        code = self.wait()
        if code:
            raise Trouble(f"ended with code {code}: {self.messages()}")

    def kill_at(self, step, ranks, arguments):
        """Trains until this step is done, then kills a rank."""
        self.start(ranks, None, arguments)
        try:
            while self.last_step() < step:
                if self.process.poll() is not None:
                    raise Trouble(f"ended with code {self.process.returncode} before step {step}: {self.messages()}")
                self.check_time()
                time.sleep(0.001)
            victims = ranks_of(self.process)
            os.kill(random.choice(victims)[1], signal.SIGKILL)
        except BaseException:
            self.stop()
            raise
        if self.wait() == 0:
            raise Trouble("ended with code 0 though a rank was killed")

    def lines(self):
        """stats.jsonl, without a last line that is not complete."""
        text = "".join(file.read_text() for file in Path(self.folder).glob("*/stats.jsonl"))
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def last_step(self):
        lines = self.lines()
        return lines[-1]["step"] if lines else 0

    def checkpoint_step(self):
        names = [file.name for file in Path(self.folder).glob("*/checkpoint-*.safetensors")]
        return max((int(name[11:-12]) for name in names), default=0)

    def hashes(self, length, steps):
        """Of the weights, and of the figures where any were measured."""
        found = {line["step"]: line["weights_sha256"] + figures(line) for line in self.lines() if "weights_sha256" in line}
        wanted = [step for step in range(1, steps + 1) if step % length.hash_interval == 0]
        missing = [step for step in wanted if step not in found]
        if missing:
            raise Trouble(f"stats.jsonl has no hash of step {missing[0]}")
        return [found[step] for step in wanted]
