"""The tables, the ratios and the JSON file."""

import json
import os
import statistics


class Series:
    """A contender's rates, one a round, and gan-dist's ratios over them, round by round."""

    def __init__(self, contender):
        self.contender, self.rates, self.ratios = contender, [], []

    def close(self, base):
        self.ratios = [ours / theirs for ours, theirs in zip(base.rates, self.rates)]

    @property
    def median(self):
        return statistics.median(self.rates)

    @property
    def spread(self):
        return (max(self.rates) - min(self.rates)) / self.median


def ratio(values):
    return f"{statistics.median(values):.2f}x ({min(values):.2f} ... {max(values):.2f})"


def best_of(series):
    """The fastest fp32 setting of each peer that ran, and how many of its settings did."""
    peers = {}
    for one in series[1:]:
        if one.contender.precision == "fp32" and one.contender.peer != "gan-dist":
            peers.setdefault(one.contender.peer, []).append(one)
    return {peer: (max(found, key=lambda one: one.median), len(found)) for peer, found in peers.items()}


def on_cores(cores):
    return f"{cores} core" + "s" * (cores > 1)


class Report:
    """Collects the series of every number of cores; gan-dist's is the first of each."""

    def __init__(self, facts):
        self.facts, self.sections = facts, []

    def add(self, cores, series, problems):
        # What rounds to bf16 is compared with what does the same, where gan-dist has the instructions for it.
        bases = {one.contender.precision: one for one in series if one.contender.peer == "gan-dist"}
        for one in series:
            one.close(bases.get(one.contender.precision, series[0]))
        self.sections.append((cores, series, problems))
        self.table(cores, series, problems)

    def table(self, cores, series, problems):
        best = [one for one, _ in best_of(series).values()]
        width = max(len(one.contender.name) for one in series) + 2
        print(f"\n{on_cores(cores)}, batch {self.facts['batch_size']}")
        print(f"  {'':{width}} {'images/s':>9} {'spread':>7}   gan-dist over it")
        for one in series:
            over = ratio(one.ratios) if one.contender.peer != "gan-dist" else ""
            name = one.contender.name + " *" * (one in best)
            print(f"  {name:{width}} {one.median:>9,.0f} {one.spread:>7.1%}   {over}".rstrip())
        for contender, problem in problems:
            print(f"  {contender.name}: did not run: {problem}")
        print("  * the peer's best in fp32", flush=True)

    def summary(self):
        print()
        print(f"Load at the end: {os.getloadavg()[0]:.1f}")
        for cores, series, _ in self.sections:
            for peer, (best, count) in best_of(series).items():
                settings = f"best of {count} settings" if count > 1 else "1 setting"
                print(f"gan-dist over {peer} ({settings}), {on_cores(cores)}: {ratio(best.ratios)}")
        for cores, series, _ in self.sections:
            low, high = min(series[0].rates), max(series[0].rates)
            print(f"Noise: gan-dist on {on_cores(cores)} {low:,.0f} ... {high:,.0f} images/s, "
                  f"{series[0].spread:.1%} of its median; rounds: {len(series[0].rates)}")

    def write(self, path):
        content = dict(self.facts, results=[])
        for cores, series, problems in self.sections:
            best = [one for one, _ in best_of(series).values()]
            for one in series:
                contender = one.contender
                content["results"].append(dict(
                    cores=cores, peer=contender.peer, name=contender.name, precision=contender.precision,
                    setting=getattr(contender, "setting", None), images_per_second=one.rates,
                    median=one.median, spread=one.spread, ratios=one.ratios, best=one in best))
            for contender, problem in problems:
                content["results"].append(dict(cores=cores, peer=contender.peer, name=contender.name, problem=problem))
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
