"""What launch/speedrun asks of gan-dist, without training: a machine that trains 1,000 images a second, and figures of the seed.
A test gives it a first line that names an interpreter. The words of FAULTS in its environment are what it does wrong: a seed
that fails, as in "70:3", or hang, other-weights, other-data, mute."""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

FAULTS = os.environ.get("FAULTS", "").split()
RATE = 1000


def options_of(words):
    found, word = {}, None
    for text in words:
        if text.startswith("--"):
            word, found[text] = text, None
        else:
            found[word] = text
    return found


def configuration_of(options):
    found = dict(preset="dcgan28", batch_size=50, critic_steps=1, seed=0, version="0.0.0", dataset="mnist")
    if "--config" in options:
        found.update(json.loads(Path(options["--config"]).read_text()))
    for option, key in ("--batch-size", "batch_size"), ("--seed", "seed"), ("--steps", "steps"):
        if option in options:
            found[key] = int(options[option])
    for option in "--preset", "--lr-decay":
        if option in options:
            found[option[2:].replace("-", "_")] = options[option]
    return found


def end(code, message):
    print(f"gan-dist: Error: {message}", file=sys.stderr)
    sys.exit(code)


def train(options):
    found = configuration_of(options)
    if found["preset"] == "nothing":
        end(64, "unknown preset")
    if "--dry-run" in options:
        print(json.dumps(found))
        return
    while "hang" in FAULTS:
        time.sleep(1)
    for fault in FAULTS:
        code, _, seed = fault.partition(":")
        if seed == str(found["seed"]) and found["steps"] > 1:
            end(int(code), f"a fault of seed {seed}")
    run = Path(options["--outdir"], "00000-made-up")
    run.mkdir()
    found["data_sha256"] = "other" if "other-data" in FAULTS else "data of " + Path(options["--data"]).name
    (run / "training_options.json").write_text(json.dumps(found))
    (run / "status.json").write_text("{}")
    seconds = [step * found["batch_size"] / RATE for step in (found["steps"] / 2, found["steps"])]
    lines = [{"step": found["steps"] // 2, "seconds": 1 + seconds[0]}, {"step": found["steps"], "seconds": 1 + seconds[1]}]
    (run / "stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    kept = {key: value for key, value in found.items() if key != "data_sha256"}
    (run / "checkpoint-000000001.safetensors").write_text(json.dumps(kept, sort_keys=True))


def evaluate(options):
    if "mute" in FAULTS:
        print("what is no JSON")
        return
    seed = json.loads(Path(options["--checkpoint"]).read_text())["seed"]
    figures = dict(fid=2.0 + seed, fid_floor=1.0, fid_floor_sd=0.1, precision=0.9 - seed / 10, precision_floor=0.95,
                   nearest=1.0 - seed / 100, class_accuracy=0.5, extractor_sha256="e", images=int(options["--images"]))
    print(json.dumps(figures))


def main():
    words = sys.argv[1:]
    options = options_of(words[1:])
    if words[0] == "--version":
        print("0.0.0")
    elif words[0] == "info":
        print("Instruction sets:\n  avx2: available, the default\n  portable: available")
    elif words[0] == "train":
        train(options)
    elif words[0] == "hash":
        content = Path(options["--checkpoint"]).read_bytes() + b"!" * ("other-weights" in FAULTS)
        print(hashlib.sha256(content).hexdigest())
    else:
        evaluate(options)


main()
