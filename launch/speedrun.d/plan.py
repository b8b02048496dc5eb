"""What is trained, for how many steps: from budgets and a machine's rate."""

import json
import re
import statistics
import subprocess
from collections import namedtuple
from pathlib import Path

from program import BINARY, Failed

# Of a run: what this script sets, and what would make its bytes depend on the machine.
RESERVED = ["--preset", "--config", "--data", "--outdir", "--seed", "--epochs", "--steps", "--quiet", "--dry-run", "--resume",
            "--log-interval", "--sample-interval", "--checkpoint-interval", "--hash-interval", "--reduction"]
LINES = 10  # of statistics a run: each takes some time
SHARE = re.compile(r"\{(\d*\.?\d+)\}")


class Recipe:
    """A preset or a model file, with further options of gan-dist train, on some data."""

    def __init__(self, name, options, data):
        self.name, self.options, self.data = name, options, data
        self.is_file = name.endswith(".json")
        self.title = Path(name).stem if self.is_file else name

    def fit_schedule(self):
        """Lets a preset's learning rates fall to 0 at the end of a run of any length. Options of the user's come first."""
        given = {option.partition("=")[0] for option in self.options}
        share = None if self.is_file or given & {"--lr-flat", "--lr-decay", "--lr-half-life"} else flat_share(self.configuration())
        if share is not None:
            self.options = [*self.options, "--lr-flat", f"{{{share:.4f}}}", "--lr-decay", f"{{{1 - share:.4f}}}"]

    def arguments(self, steps, seed, lines=LINES):
        """Of gan-dist train. A number in braces is that share of the steps."""
        name = ["--config", str(Path(self.name).resolve())] if self.is_file else ["--preset", self.name]
        options = [SHARE.sub(lambda share: str(max(1, round(float(share[1]) * steps))), option) for option in self.options]
        return [*name, *options, "--data", self.data, "--seed", str(seed), "--steps", str(steps),
                "--log-interval", str(max(1, steps // lines)), "--sample-interval", "0", "--checkpoint-interval", "0",
                "--hash-interval", "0"]

    def configuration(self, steps=1000):
        """The whole of it, asked of the program."""
        done = subprocess.run([BINARY, "train", *self.arguments(steps, 0), "--dry-run"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise Failed(f"gan-dist refuses preset {self.name} with these arguments", done.returncode)
        return json.loads(done.stdout)


def flat_share(configuration):
    """The share of a schedule in which the learning rates stay as they are; None where they do not fall."""
    flat, decay = (str(configuration.get(key, 0)) for key in ("lr_flat", "lr_decay"))
    (flat, flat_unit), (decay, decay_unit) = ((int(text.rstrip("e")), text.endswith("e")) for text in (flat, decay))
    if not decay or flat and flat_unit != decay_unit:
        return None
    return flat / (flat + decay)


def images_of_a_step(configuration):
    return configuration["batch_size"] * configuration.get("critic_steps", 1)


class Rate(namedtuple("Rate", "images_per_second spread")):
    """Images a second that a machine trains, and how far measurements lie apart: (largest - smallest) / median."""

    @classmethod
    def of(cls, rates):
        median = statistics.median(rates)
        return cls(median, (max(rates) - min(rates)) / median)


# A budget in seconds, which are those of a reference machine where one is named; what it comes to here.
Plan = namedtuple("Plan", "budget recipe steps images seconds")


def plan(budget, recipe, configuration, rate, reference_rate=None):
    """As many images as the reference machine trains in the budget, or this one does, in whole steps."""
    batch = images_of_a_step(configuration)
    steps = max(1, round(budget * (reference_rate or rate.images_per_second) / batch))
    return Plan(budget, recipe, steps, steps * batch, steps * batch / rate.images_per_second)


# ---- options --------------------------------------------------------------------------------------------------------


def positive(text):
    number = float(text)
    if not 0 < number < 1e9:
        raise ValueError
    return number


def budget_list(text):
    return sorted({positive(part) for part in text.split(",")})


def seed_list(text):
    """A number of seeds, from 0, or a list: 5 is 0,1,2,3,4, and "7," the seed 7 alone."""
    if text.isdecimal():
        return list(range(count)) if (count := int(text)) else seed_list("")
    seeds = [int(part) for part in text.removesuffix(",").split(",")]
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ValueError
    return seeds


def presets(text, budgets):
    """The preset of each budget: one name for all, or 60=mlp,120=dcgan28."""
    if "=" not in text:
        return dict.fromkeys(budgets, text)
    found = {}
    for part in text.split(","):
        budget, _, name = part.partition("=")
        found[positive(budget)] = name
    if found.keys() != set(budgets) or not all(found.values()):
        raise ValueError
    return found


def reserved(options):
    """The first of the further options that this script keeps for itself."""
    return next((option for option in options if option.partition("=")[0] in RESERVED), None)
