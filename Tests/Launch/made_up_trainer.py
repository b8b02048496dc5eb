"""What Tests/hostile-life asks of a trainer, without training: a number a step. A test gives it a first line that names an
interpreter. The words of FAULTS in its environment are what it does wrong, PACE how many seconds a step takes."""

import fcntl
import hashlib
import json
import os
import re
import signal
import sys
import time
from pathlib import Path

FAULTS = os.environ.get("FAULTS", "").split()
PACE = float(os.environ.get("PACE", "0"))
SIGNALS = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU]
NAME = re.compile(r"checkpoint-\d{9}\.safetensors")
asked = []  # signals that came


def tell(text, descriptor=1):
    """A reader that has gone costs the output, nothing else."""
    try:
        os.write(descriptor, text.encode() + b"\n")
    except OSError:
        pass


def end(code, message):
    tell("gan-dist: Error: " + message, 2)
    os._exit(code)


def weights(step):
    return hashlib.sha256(b"%d" % step).digest()


def checkpoint(step, is_resumed):
    header = {"__metadata__": {"sha256": "0" * 64}, "generator.w": {"data_offsets": [0, 32]}}
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + weights(step + ("weights" in FAULTS and is_resumed)) + bytes(6 << 20)
    return content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode(), 1)


def is_intact(path):
    content = path.read_bytes()
    digest = re.search(rb'"sha256": "(\w{64})"', content)
    return digest and hashlib.sha256(content.replace(digest[1], b"0" * 64, 1)).hexdigest().encode() == digest[1]


def write(path, content):
    partial = Path(f"{path}.partial-{os.urandom(8).hex()}")
    try:
        partial.write_bytes(content)
        os.rename(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def append(path, text):
    with open(path, "a") as file:
        file.write(text + "\n")


def find(outdir):
    """The run to go on with, its newest intact checkpoint's step, and the damaged ones in the way."""
    damaged = []
    for run in sorted((outdir / name for name in os.listdir(outdir)), reverse=True):
        for name in sorted(filter(NAME.fullmatch, os.listdir(run)), reverse=True):
            if is_intact(run / name):
                return run, int(name[11:-12]), damaged
            damaged.append(name)
    return None, 0, damaged


def lock(run):
    """Takes the run for this process, as long as it lives."""
    descriptor = os.open(run / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if "lock" not in FAULTS:
            end(75, f"{run} is being written by process {os.pread(descriptor, 99, 0).decode()}")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d" % os.getpid(), 0)


def prepare(outdir):
    """The run's folder, and the step to go on from."""
    run, first, damaged = (None, 0, []) if "afresh" in FAULTS else find(outdir)
    if not run:
        run = outdir / f"{len(os.listdir(outdir)):05}-mlp-b64"
        run.mkdir()
        lock(run)
    else:
        lock(run)
        run, first, damaged = find(outdir)  # who held it may have written more
    for name in os.listdir(run):
        if ".partial-" in name and "leftovers" not in FAULTS:
            os.unlink(run / name)
    stats = run / "stats.jsonl"
    lines = stats.read_text().splitlines(keepends=True) if stats.exists() else []
    write(stats, "".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= first).encode())
    announcement = [f"{name} is damaged" for name in damaged if "mute" not in FAULTS] + [f"Run: {run}"]
    if first:
        announcement.append(f"Resumed from {run}/checkpoint-{first:09}.safetensors at step {first}")
    for line in announcement:
        tell(line)
        append(run / "log.txt", line)
    return run, first


def train(options):
    outdir, steps, keep = Path(options["--outdir"]), int(options["--steps"]), int(options.get("--keep", "5"))
    due = {name: int(options[f"--{name}-interval"]) for name in ("log", "hash", "checkpoint")}
    outdir.mkdir(exist_ok=True)
    run, first = prepare(outdir)
    Path(options["--data"], "train-images-idx3-ubyte").read_bytes()
    for step in range(first + 1, steps + 1):
        while "hang" in FAULTS:
            time.sleep(1)
        time.sleep(PACE)
        requests, asked[:] = asked[:], []
        is_due = {name: step == steps or (interval > 0 and step % interval == 0) for name, interval in due.items()}
        if is_due["log"] or is_due["hash"]:
            line = {"step": step, **dict.fromkeys(["loss_d", "loss_g", "d_real", "d_fake"], step / 7)}
            line.update({"weights_sha256": hashlib.sha256(weights(step)).hexdigest()} if is_due["hash"] else {})
            for _ in range(2 if "stats" in FAULTS and first else 1):
                append(run / "stats.jsonl", json.dumps(line))
            append(run / "log.txt", f"Epoch [{step}/{step}], Step [1/1], d_loss: 1")
            tell(f"Epoch [{step}/{step}], Step [1/1], d_loss: 1")
        if is_due["checkpoint"] or requests:
            write(run / f"checkpoint-{step:09}.safetensors", checkpoint(step, "--resume" in options))
            own = sorted(name for name in os.listdir(run) if NAME.fullmatch(name) and int(name[11:-12]) <= step)
            for name in own[:-keep]:
                os.unlink(run / name)
        if set(requests) - {signal.SIGUSR2} and step < steps:
            append(run / "log.txt", f"Stopped after step {step} of {steps}; go on with: --resume latest")
            write(run / "status.json", json.dumps({"state": "stopped", "step": step}).encode())
            os._exit(0 if "code" in FAULTS else 75)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    write(run / "status.json", json.dumps({"state": "finished", "step": max(first, steps)}).encode())


def main():
    for number in SIGNALS:
        signal.signal(number, lambda caught, _: asked.append(caught))
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:  # what is closed would be given to files
        pass
    os.close(descriptor)
    try:
        if sys.argv[1] == "hash":
            print(hashlib.sha256(Path(sys.argv[3]).read_bytes()).hexdigest())
        else:
            train(dict(zip(sys.argv[2::2], sys.argv[3::2])))
    except OSError as error:
        end(74, str(error))


main()
