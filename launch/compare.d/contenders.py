"""Everything that is measured: gan-dist by real training, each setting of a peer by workers that stay warm."""

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from environment import HERE, Failed
from networks import is_convolutional

LAUNCH = HERE.parent
BINARY = Path(os.environ.get("GAN_DIST_BINARY", LAUNCH.parent / ".build" / "release" / "gan-dist")).resolve()
INTERVALS = 10  # lines of gan-dist's statistics that count
CALIBRATION_STEPS = 300  # or, of convolutional networks, as few as give a line of statistics each
START_LIMIT = 600  # seconds until a peer is warm, all that it compiles included
# Runs a command on the core of its rank.
PINNED = 'cores=($1); shift; exec taskset --cpu-list "${cores[${OMPI_COMM_WORLD_LOCAL_RANK:-0}]}" "$@"'


def shell(command, *arguments, **options):
    """A command of common.sh."""
    script = 'set -euo pipefail; common=$1; shift; source "$common"; ' + command
    return subprocess.run(["bash", "-p", "-c", script, "compare", str(LAUNCH / "common.sh"), *map(str, arguments)],
                          check=False, text=True, stdin=subprocess.DEVNULL, **options)


def data_options(preset, data):
    """Both domains of a CycleGAN are the same images; none of them are measured."""
    if preset.startswith("cyclegan"):
        return ["--data-a", data, "--data-b", data, "--evaluate-interval", 0]
    return ["--data", data]


class GanDist:
    """One rank a core, as launch/train starts them but on these cores."""

    peer, problem = "gan-dist", None

    def __init__(self, task, data, scratch, precision="fp32"):
        self.configuration, self.cores, self.precision = task["configuration"], task["cores"], precision
        self.name = f"gan-dist, {len(self.cores)} rank" + "s" * (len(self.cores) > 1) + ", bf16" * (precision == "bf16")
        self.data, self.scratch = data, scratch
        self.rate = None
        self.facts = {}

    def start(self):
        self.rate = self.train(INTERVALS + 1 if is_convolutional(self.configuration) else CALIBRATION_STEPS)

    def measure(self, seconds):
        steps = self.rate * seconds / self.configuration["batch_size"]
        self.rate = self.train(max(INTERVALS + 1, round(steps * (INTERVALS + 1) / INTERVALS)))
        return self.rate

    def train(self, steps):
        """Images a second over all lines of statistics but the first."""
        ranks = len(self.cores)
        shards = max(8, 1 << (ranks - 1).bit_length())
        with tempfile.TemporaryDirectory(dir=self.scratch) as outdir:
            command = ["bash", "-c", PINNED, "pinned", " ".join(map(str, self.cores)), BINARY, "train",
                       "--preset", self.configuration["preset"], "--batch-size", self.configuration["batch_size"],
                       "--shards", shards, "--precision", self.precision, *data_options(self.configuration["preset"], self.data),
                       "--outdir", outdir, "--steps", steps,
                       "--log-interval", steps // (INTERVALS + 1), "--sample-interval", 0, "--checkpoint-interval", 0,
                       "--hash-interval", 0, "--quiet"]
            script = '"$@"' if ranks == 1 else f'PIN_RANKS=1 run_ranks {ranks} "$@"'
            done = shell(script, *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode:
                raise Failed(f"{self.name} ended with code {done.returncode}:\n{done.stdout}", done.returncode)
            text = next(Path(outdir).glob("*/stats.jsonl")).read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text.splitlines()]
        counts = [line["step"] - before["step"] for before, line in zip(lines, lines[1:])]
        seconds = sum(n / line["images_per_second"] for n, line in zip(counts, lines[1:]))
        return sum(counts) / seconds

    def stop(self):
        pass


class Peer:
    """A setting of a peer: a worker, or one for each rank."""

    def __init__(self, peer, name, script, setting, *, precision="fp32", processes=1, threads=1, environment=()):
        self.peer, self.name, self.script, self.setting = peer, name, script, setting
        self.precision, self.processes, self.threads = precision, processes, threads
        self.environment = dict(environment)
        self.problem = None
        self.facts = {}
        self.workers = []

    def prepare(self, task, python, scratch):
        self.task, self.python = task, python
        self.folder = tempfile.mkdtemp(dir=scratch)

    def start(self):
        """Until all workers are warm. A setting that does not work has its problem said instead."""
        cores = self.task["cores"][:max(self.processes, self.threads)]
        for rank in range(self.processes):
            own = [cores[rank]] if self.processes > 1 else cores
            task = dict(self.task, setting=self.setting, cores=own, rank=rank, processes=self.processes,
                        meeting=f"{self.folder}/meeting")
            environment = dict(
                os.environ, OMP_NUM_THREADS=str(len(own)), MKL_NUM_THREADS=str(len(own)), PYTHONDONTWRITEBYTECODE="1",
                GLOO_SOCKET_IFNAME="lo", TORCHINDUCTOR_CACHE_DIR=f"{self.folder}/inductor", **self.environment)
            with open(f"{self.folder}/{rank}.txt", "w", encoding="utf-8") as errors:
                cpus = ",".join(map(str, own))
                self.workers.append(subprocess.Popen(
                    ["taskset", "--cpu-list", cpus, self.python, HERE / self.script, json.dumps(task)], env=environment,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True))
        self.facts = self.answer(START_LIMIT)
        if self.facts.get("parameters", self.task["parameters"]) != self.task["parameters"]:
            raise Failed(f"{self.name} has {self.facts['parameters']} parameters, not {self.task['parameters']}", 70)
        if self.facts.get("mkl_asked") is False:
            self.problem = "MKL does not ask which CPU this is"

    def measure(self, seconds):
        return self.ask(seconds, 60 + 20 * seconds).get("images_per_second")

    def ask(self, line, limit):
        """What rank 0 answers to a line for all ranks."""
        for worker in self.workers:
            try:
                worker.stdin.write(f"{line}\n")
                worker.stdin.flush()
            except BrokenPipeError:
                pass  # its answer will be missing
        return self.answer(limit)

    def answer(self, limit):
        """Rank 0's line, when all ranks have given theirs; nothing, and a problem, where one ended or hangs instead."""
        end = time.monotonic() + limit
        lines = []
        for rank, worker in enumerate(self.workers):
            # A worker says a line at a time, so that none waits in the buffer.
            if not select.select([worker.stdout], [], [], max(0, end - time.monotonic()))[0]:
                self.problem = f"no answer within {limit:g} s" + f" from rank {rank}" * (self.processes > 1)
                return {}
            lines.append(worker.stdout.readline())
        for rank, line in enumerate(lines):
            if not line:
                said = Path(f"{self.folder}/{rank}.txt").read_text(encoding="utf-8").strip().splitlines()
                self.problem = said[-1] if said else f"ended with code {self.workers[rank].wait()}"
                return {}
        return json.loads(lines[0])

    def stop(self):
        for worker in self.workers:
            worker.send_signal(signal.SIGKILL)
            worker.communicate()
        self.workers = []
