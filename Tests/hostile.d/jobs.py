"""Jobs of the hostile lives: commands with a time limit, the processes that descend from them, and the files that they leave."""

import errno
import importlib.machinery
import importlib.util
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
JOB_LIMIT = 180  # seconds: lives take a few, and only what hangs takes so many


def load(path):
    """A script as a module."""
    sys.dont_write_bytecode = True  # no cache beside the script
    loader = importlib.machinery.SourceFileLoader(path.name.replace("-", "_"), str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


verify = load(ROOT / "launch" / "verify")


class Hang(Exception):
    """A job that did not end, and what its processes were doing."""


class Job:
    """A command and all that descends from it, with a time limit."""

    counter = itertools.count()

    def __init__(self, command, environment, scratch, output=None, prepare=None):
        """Starts it. `output` is a descriptor in place of a file of its own; `prepare` runs in the new process."""
        name = f"{os.getpid()}.{next(Job.counter)}."
        self.marker = f"GAN_DIST_LIFE={name}"
        self.deadline = time.monotonic() + JOB_LIMIT
        self.file = scratch / f"output.{name}txt"
        with open(self.file, "wb") as file:
            output = file if output is None else output
            self.process = subprocess.Popen(
                [str(part) for part in command], env={**environment, "GAN_DIST_LIFE": name}, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True, preexec_fn=prepare)

    def output(self):
        """All that was said, unless it went elsewhere."""
        return self.file.read_text(errors="replace")

    def words(self):
        """What the trainer had to say, or the end of what anyone said."""
        lines = self.output().splitlines()
        return " / ".join([line for line in lines if "gan-dist: " in line] or lines[-3:])[:500] or "not a word"

    def ranks(self):
        """Process numbers of the ranks, in their order."""
        return [pid for _, pid in verify.ranks_of(self.process)]

    def has_begun(self):
        """Whether the run has been announced: it then has its folder and its lock."""
        return "\nRun: " in "\n" + self.output()

    def until(self, condition):
        """Waits; false if the job ends first."""
        while not condition():
            if self.process.poll() is not None:
                return False
            self.check_time()
            time.sleep(0.005)
        return True

    def sleep(self, seconds):
        """False if the job ends first."""
        end = time.monotonic() + seconds
        return self.until(lambda: time.monotonic() > end)

    def wait(self):
        """The exit code, 128 + the signal's number where one ended the job, once nothing of it is left."""
        self.until(lambda: False)
        while marked(self.marker):
            self.check_time()
            time.sleep(0.02)
        return self.process.returncode if self.process.returncode >= 0 else 128 - self.process.returncode

    def check_time(self):
        if time.monotonic() < self.deadline:
            return
        ranks = {pid: f"rank {rank}, " for rank, pid in verify.ranks_of(self.process)}
        states = [ranks.get(pid, "") + verify.describe(pid) for pid in marked(self.marker)]
        kill_marked(self.marker)
        self.process.wait()
        raise Hang(f"hangs after {JOB_LIMIT} s: {'; '.join(states)}; it said: {self.words()}")


# ---- processes ------------------------------------------------------------------------------------------------------


def marked(marker):
    """The processes that carry a mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            pass  # ended, or another user's
    return found


def kill_marked(marker):
    while pids := marked(marker):
        for pid in pids:
            send(pid, "KILL")
        time.sleep(0.02)


def number(name):
    return getattr(signal, "SIG" + name)


def send(pid, name):
    try:
        os.kill(pid, number(name))
    except ProcessLookupError:
        pass


def is_stopped(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def catches(pid, name):
    """Whether a process has a handler for a signal: before its first line it has none, and dies of it."""
    try:
        mask = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.M)
        return bool(int(mask[1], 16) >> number(name) - 1 & 1)
    except OSError:
        return False


def has_line(descriptor):
    """Whether a line, or the end, has come through a pipe."""
    try:
        content = os.read(descriptor, 4096)
        return not content or b"\n" in content
    except BlockingIOError:
        return False


def strace(calls, fault, path=None):
    """Words that start a program some of whose system calls fail; only those on a path, if there is one."""
    return ["strace", "-f", "-o", "/dev/null", "-e", f"trace={calls}", *(["-P", path] if path else []),
            "-e", f"inject={calls}:{fault}"]


# ---- files ----------------------------------------------------------------------------------------------------------


def read_checkpoint(path):
    """SHA-256 of the weights in a checkpoint; nothing if it is damaged."""
    try:
        content = path.read_bytes()
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start])
        digest = header.pop("__metadata__")["sha256"]
        if sha256(content.replace(digest.encode(), b"0" * 64, 1)).hexdigest() != digest:
            return None
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if re.match("(gener|discrimin)ator", name)]
        return sha256(content[start:start + max(ends)]).hexdigest()
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def snapshot(folder):
    """Times and bytes of all files, by their names."""
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, sha256(path.read_bytes()).hexdigest())
            for path in sorted(folder.rglob("*")) if path.is_file()}


class Checkpoint:
    """A checkpoint's file: its step by its name, and its weights if it is intact."""

    def __init__(self, path):
        self.path, self.step, self.weights = path, int(path.name[11:-12]), read_checkpoint(path)


class Training:
    """The folder in which a training lives again and again."""

    def __init__(self, outdir):
        self.outdir = outdir
        self.notes = {}  # files of the user's, and what is in them

    def folders(self):
        """Of the runs, newest first."""
        return sorted((path for path in self.outdir.glob("[0-9]*-*") if path.is_dir()), reverse=True)

    def checkpoints(self, folder):
        """Damaged ones too, highest step first."""
        return [Checkpoint(path) for path in sorted(folder.glob("checkpoint-*.safetensors"), reverse=True)]

    def newest(self):
        """The newest intact checkpoint of the newest run that has one, where the next life must begin; or nothing."""
        return next((each for folder in self.folders() for each in self.checkpoints(folder) if each.weights), None)

    def logs(self):
        return {path: path.read_text(errors="replace") for path in self.outdir.glob("*/log.txt")}

    def unfinished(self):
        """What killed writers left."""
        return set(self.outdir.rglob("*.partial-*"))


def statistics(folder):
    """stats.jsonl, without a last line that is not complete."""
    file = folder / "stats.jsonl"
    text = file.read_text(errors="replace") if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def fill(path, free):
    """Makes a file so large that its disk has only so many bytes left, while others may be writing."""
    with open(path, "wb") as file:
        while (size := os.statvfs(path).f_bavail * os.statvfs(path).f_frsize - free) > 0:
            try:
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size + size)
            except OSError as error:
                if error.errno != errno.ENOSPC:  # another one was faster
                    raise
