"""The table and its file: each figure's median and worst over the seeds, beside its floor."""

import csv
import os
import statistics
from collections import namedtuple
from pathlib import Path


def farthest_from_one(values):
    return max(values, key=lambda value: abs(value - 1))


# Which of several values of a figure is the worst. `nearest` is 1 where pictures are as new as real ones.
Measure = namedtuple("Measure", "key name worst")
MEASURES = [
    Measure("fid", "FID", max), Measure("kid", "KID", max), Measure("precision", "precision", min),
    Measure("recall", "recall", min), Measure("coverage", "coverage", min), Measure("class_kl", "class KL", max),
    Measure("nearest", "nearest", farthest_from_one), Measure("class_accuracy", "named as asked", min),
]
# What a row of the file says before and behind its figures.
RUN = ["trainer", "preset", "budget_seconds", "reference_rate", "seed", "steps", "images", "seconds", "images_per_second",
       "problem"]
ORIGIN = ["weights_sha256", "data_sha256", "extractor_sha256", "version", "cpu", "cores", "ranks", "instruction_set",
          "load_at_start", "machine_images_per_second", "machine_spread", "command"]
COLUMNS = (RUN + [f"{measure.key}{suffix}" for measure in MEASURES for suffix in ("", "_floor", "_floor_sd")]
           + ["fid_over_floor"] + ORIGIN)


class Row:
    """A run and its figures, or why there are none."""

    def __init__(self, trainer, plan, seed, facts, figures=None, problem=None):
        self.trainer, self.plan, self.seed, self.facts = trainer, plan, seed, facts
        self.figures, self.problem = figures or {}, problem

    def cells(self):
        plan = self.plan
        return dict(self.facts, trainer=self.trainer, preset=plan.recipe.name, budget_seconds=plan.budget, seed=self.seed,
                    problem=self.problem, **{"steps": plan.steps, "images": plan.images}, **picked(self.figures))


def picked(figures):
    """Those that the file has columns for."""
    cells = {key: value for key, value in figures.items() if key in COLUMNS and key not in RUN}
    if figures.get("fid_floor"):
        cells["fid_over_floor"] = figures["fid"] / figures["fid_floor"]
    return cells


class Group:
    """The rows of one trainer and budget."""

    def __init__(self, rows):
        self.rows = rows
        self.ran = [row for row in rows if not row.problem]
        self.failed = [row for row in rows if row.problem]

    def values(self, key):
        return [row.figures[key] for row in self.ran if row.figures.get(key) is not None]

    def median(self, measure):
        return statistics.median(self.values(measure.key))

    def worst(self, measure):
        return measure.worst(self.values(measure.key))

    def figures(self, choose):
        """One value of each figure; floors are medians, as they hardly differ."""
        found = {}
        for measure in MEASURES:
            if self.values(measure.key):
                found[measure.key] = choose(measure)
                for key in (f"{measure.key}_floor", f"{measure.key}_floor_sd"):
                    if self.values(key):
                        found[key] = statistics.median(self.values(key))
        return found

    def lines(self):
        """The table of this group."""
        yield f"{'':18}{'median':>10}{'worst':>10}{'floor':>10}{'floor sd':>10}"
        median, worst = self.figures(self.median), self.figures(self.worst)
        for key, name, _ in MEASURES:
            if key not in median:
                continue
            last = "failed" if self.failed else number(worst[key])
            line = f"  {name:16}{number(median[key]):>10}{last:>10}"
            line += "".join(f"{number(median.get(f'{key}_{what}')):>10}" for what in ("floor", "floor_sd"))
            if key == "fid" and median.get("fid_floor"):
                line += f"   {median[key] / median['fid_floor']:.2f} x its floor"
                line += "" if self.failed else f", worst {worst[key] / median['fid_floor']:.2f} x"
            yield line
        for row in self.failed:
            yield f"  seed {row.seed} failed: {row.problem}"


def number(value):
    return "-" if value is None else f"{value:.4g}"


def spread(values, pattern):
    """The median, and from the smallest to the largest."""
    text = pattern.format(statistics.median(values))
    return text if len(values) == 1 else f"{text} ({pattern.format(min(values))} ... {pattern.format(max(values))})"


def groups(rows):
    """By trainer and budget, in the order in which they come."""
    found = {}
    for row in rows:
        found.setdefault((row.plan.budget, row.trainer), []).append(row)
    return [Group(rows) for _, rows in sorted(found.items(), key=lambda item: item[0][0])]


def print_table(rows):
    for group in groups(rows):
        row = group.rows[0]
        seeds = f"{len(group.rows)} seed" + "s" * (len(group.rows) > 1)
        print(f"\n{row.plan.budget:g} s, {row.trainer}, {row.plan.recipe.name}: {row.plan.steps:,} steps, "
              f"{row.plan.images:,} images, {seeds}")
        if group.ran:
            print(f"  trained in {spread([row.facts['seconds'] for row in group.ran], '{:.1f}')} s, "
                  f"{spread([row.facts['images_per_second'] for row in group.ran], '{:,.0f}')} images/s")
        for line in group.lines():
            print(line)


def write_csv(path, rows):
    """A row for each run, then a group's medians and worst figures."""
    partial = Path(f"{path}.partial-{os.getpid()}")
    with open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row.cells() for row in rows)
        for group in groups(rows):
            for name, choose in ("median", group.median), ("worst", group.worst):
                first = group.rows[0]
                same = {key: first.cells().get(key) for key in RUN + ORIGIN}
                same.update(seed=name, seconds=None, images_per_second=None, weights_sha256=None, command=None,
                            problem=f"{len(group.failed)} of {len(group.rows)} failed" if group.failed else None)
                writer.writerow({**same, **picked(group.figures(choose))})
    partial.rename(path)
