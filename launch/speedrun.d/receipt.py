"""What a run came of, for anyone to repeat it bit for bit; and whether a repetition is the same."""

import json
import os
import shlex
from pathlib import Path

from program import Failed, evaluate, train, weights_hash

FORMAT = 1
KEYS = ["budget_seconds", "command", "configuration", "data", "data_sha256", "evaluation", "figures", "seconds", "seed", "steps",
        "version", "weights_sha256"]


def command_line(ranks, arguments):
    return shlex.join(["mpirun", "-np", str(ranks), "gan-dist", *map(str, arguments)])


def make(plan, seed, run, facts, figures, evaluation, machine):
    """All that a repetition needs, and what it was made on.

    evaluation: the options of gan-dist evaluate but for the checkpoint.
    """
    return dict(
        format=FORMAT, preset=plan.recipe.name, budget_seconds=plan.budget, reference_rate=facts["reference_rate"], seed=seed,
        steps=plan.steps, images=plan.images, seconds=facts["seconds"], images_per_second=facts["images_per_second"],
        command=facts["command"], evaluation=evaluation, data=plan.recipe.data, data_sha256=run.configuration["data_sha256"],
        version=run.configuration["version"], weights_sha256=facts["weights_sha256"], figures=figures, machine=machine,
        configuration=run.configuration)


def write(folder, receipt):
    title = Path(receipt["preset"]).stem
    path = Path(folder, f"{title}-{receipt['budget_seconds']:g}s-seed{receipt['seed']}.json")
    partial = Path(f"{path}.partial-{os.getpid()}")
    partial.write_text(json.dumps(receipt, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.rename(path)
    return path


def read(path):
    try:
        receipt = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise Failed(f"{path} is not JSON: {error}", 65) from error
    if not isinstance(receipt, dict) or receipt.get("format") != FORMAT:
        raise Failed(f"{path} is no receipt of format {FORMAT}", 65)
    missing = [key for key in KEYS if key not in receipt]
    if missing:
        raise Failed(f"{path} lacks {', '.join(missing)}", 65)
    return receipt


def repeat(receipt, ranks, data, outdir, version, say):
    """Trains and measures again: whether the weights and all figures are the same."""
    if version != receipt["version"]:
        say(f"this is gan-dist {version}, the receipt is of {receipt['version']}: the bytes may differ")
    model = Path(outdir, "configuration.json")
    model.write_text(json.dumps(receipt["configuration"]), encoding="utf-8")
    arguments = ["--config", model, "--data", data]
    # A step tells what the data are, before minutes are spent on others.
    found = train(ranks, [*arguments, "--steps", 1], outdir, 60).configuration["data_sha256"]
    if found != receipt["data_sha256"]:
        raise Failed(f"{data} holds other data than the receipt's: SHA-256 {found}, expected {receipt['data_sha256']}", 65)
    say(f"training {receipt['steps']:,} steps, which took {receipt['seconds']:.0f} s where the receipt was made")
    # The machine may be slow.
    run = train(ranks, [*arguments, "--steps", receipt["steps"]], outdir, 600 + 20 * receipt["seconds"])
    weights = weights_hash(run.checkpoint)
    figures = evaluate(ranks, ["--checkpoint", run.checkpoint, "--data", data, *receipt["evaluation"]])
    return compare(receipt, weights, figures)


def compare(receipt, weights, figures):
    """Prints what is the same and what differs; whether all is the same."""
    pairs = [("weights_sha256", receipt["weights_sha256"], weights)]
    pairs += [(key, receipt["figures"].get(key), figures.get(key)) for key in {**receipt["figures"], **figures}]
    for key, old, new in pairs:
        print(f"  {key:24} " + (f"the same: {new}" if old == new else f"DIFFERS: {new}, in the receipt {old}"))
    different = sum(old != new for _, old, new in pairs)
    print("all is the same" if not different else f"NOT the same: {different} of {len(pairs)} differ")
    return not different
