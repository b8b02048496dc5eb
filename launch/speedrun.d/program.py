"""gan-dist as a process on ranks of this machine: started, waited for, ended, and what it left."""

import contextlib
import json
import os
import platform
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from environment import Failed
from job import BINARY, LAUNCH, Trouble, describe, ranks_of

EVALUATION_LIMIT = 3600  # seconds; the first one trains the extractor
END_SECONDS = 5  # that mpirun has to end its ranks
FATAL = (64, 65, 66, 74)  # what no other seed would do better


def shell(command, *arguments, **options):
    """A command of common.sh."""
    script = 'set -euo pipefail; common=$1; shift; source "$common"; ' + command
    return subprocess.run(["bash", "-p", "-c", script, "speedrun", str(LAUNCH / "common.sh"), *map(str, arguments)],
                          check=False, text=True, stdin=subprocess.DEVNULL, **options)


def ask(command):
    done = shell(command, stdout=subprocess.PIPE)
    if done.returncode:
        raise Failed(f"'{command}' failed", done.returncode)
    return done.stdout.strip()


def run(ranks, arguments, limit):
    """What gan-dist printed. A failure that another seed may not have is a Trouble."""
    script = 'set -euo pipefail; source "$0"; run_ranks "$@"'
    command = ["bash", "-p", "-c", script, LAUNCH / "common.sh", ranks, BINARY, *arguments]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        # A session of its own: the terminal's Ctrl-C comes to this script, which ends all of it.
        process = subprocess.Popen([str(part) for part in command], text=True, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=errors, start_new_session=True)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired as error:
            found = "; ".join(f"rank {rank} ({describe(pid)})" for rank, pid in ranks_of(process))
            raise Trouble(f"not done after {limit:.0f} s: {found or 'no rank is left'}") from error
        finally:
            end(process)
        if code:
            errors.seek(0)
            lines = errors.read().splitlines()
            said = [line.partition("gan-dist: ")[2] for line in lines if line.startswith("gan-dist: ")]
            said = " / ".join(said or lines[-4:]) or "no message"
            if code in FATAL:
                raise Failed(f"gan-dist {arguments[0]}: {said}", code)
            raise Trouble(f"ended with code {code}: {said}")
        output.seek(0)
        return output.read()


def end(process):
    """Ends mpirun and its ranks, if they are not gone."""
    if process.poll() is not None:
        return
    ranks = [pid for _, pid in ranks_of(process)]

    def send(number, pids=()):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    send(signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.05)
    send(signal.SIGKILL, ranks)  # which may be stopped, or hang
    process.wait()


class Run:
    """A training that has ended, by what lies in its folder."""

    def __init__(self, folder):
        found = list(Path(folder).glob("*/training_options.json"))
        if len(found) != 1:
            raise Trouble(f"{folder} has {len(found)} runs, expected 1")
        self.folder = found[0].parent
        self.configuration = json.loads(found[0].read_text())
        self.status = json.loads((self.folder / "status.json").read_text())
        self.lines = [json.loads(line) for line in (self.folder / "stats.jsonl").read_text().splitlines()]
        checkpoints = sorted(self.folder.glob("checkpoint-*.safetensors"))
        if not checkpoints or not self.lines:
            raise Trouble(f"{self.folder} has no {'statistics' if checkpoints else 'checkpoint'}")
        self.checkpoint = checkpoints[-1]

    @property
    def seconds(self):
        """From the first step's beginning to the last one's end."""
        return self.lines[-1]["seconds"]

    def steps_per_second(self):
        """But for the first line, in which the machine warms up."""
        first, last = self.lines[0], self.lines[-1]
        if last["step"] == first["step"]:
            return last["step"] / last["seconds"]
        return (last["step"] - first["step"]) / (last["seconds"] - first["seconds"])


def train(ranks, arguments, outdir, expected_seconds):
    """Trains in a folder of its own under the outdir, which is to take so many seconds."""
    folder = tempfile.mkdtemp(prefix="run-", dir=outdir)
    run(ranks, ["train", *arguments, "--outdir", folder, "--quiet"], 120 + 4 * expected_seconds)
    return Run(folder)


def weights_hash(checkpoint):
    return run(1, ["hash", "--checkpoint", checkpoint], 600).split()[-1]


def evaluate(ranks, arguments):
    """The figures, by their keys."""
    said = run(ranks, ["evaluate", *arguments, "--json"], EVALUATION_LIMIT)
    lines = [line for line in said.splitlines() if line.startswith("{")]
    try:
        return json.loads(lines[-1])
    except (IndexError, ValueError) as error:
        raise Failed(f"gan-dist evaluate printed no line of JSON, but: {said.strip()[-200:] or 'nothing'}", 70) from error


def version():
    done = subprocess.run([BINARY, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Failed(f"{BINARY} does not run", 70)
    return done.stdout.strip()


def machine(cores, ranks):
    """What the figures were made on."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    information = subprocess.run([BINARY, "info"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False).stdout
    default = [line.split(":")[0].strip() for line in information.splitlines() if line.endswith("the default")]
    return dict(cpu=model, cores=cores, ranks=ranks, instruction_set=default[0] if default else "unknown",
                load_at_start=round(os.getloadavg()[0], 2))
