"""The same recipe in PyTorch, at its fastest setting on the same cores: what is there without gan-dist.

Its workers, its Python and its settings are launch/compare's.
"""

import gzip
import importlib.machinery
import importlib.util
import json
import shutil
import statistics
from pathlib import Path

import environment
import settings
from plan import Rate, plan
from program import LAUNCH, Failed, Trouble, evaluate


TREES = {"mnist": "MNIST/raw", "fashion": "FashionMNIST/raw", "kmnist": "KMNIST/raw"}  # as torchvision lays them out
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
ROUNDS, SECONDS = 2, 4  # in which a setting shows how fast it is
UNKNOWN = "the PyTorch recipe does not know"  # what pytorch_recipe.py refuses a configuration with


def load_compare():
    """launch/compare, which has no suffix, as a module."""
    loader = importlib.machinery.SourceFileLoader("compare", str(LAUNCH / "compare"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
    loader.exec_module(module)
    return module


def find_file(data, dataset, name, scratch):
    """The file that a worker reads of the images or the labels; one that is packed is unpacked into the scratch folder."""
    data = Path(data)
    if data.suffix == ".npy":
        return data if name == IMAGES else data.with_name("labels.npy")
    for folder in data / TREES.get(dataset, "."), data:
        file = folder / name
        if file.is_file():
            return file
        if (packed := file.with_name(f"{file.name}.gz")).is_file():
            unpacked = Path(scratch, file.name)
            with gzip.open(packed) as source, open(unpacked, "wb") as target:
                shutil.copyfileobj(source, target)
            return unpacked
    raise Failed(f"--peer reads IDX files (mnist, fashion, kmnist) and NumPy arrays of bytes; {data} has no {name}", 64)


class PyTorch:
    """The worker of the fastest setting, kept warm for all runs of a recipe."""

    def __init__(self, recipe, ranks, scratch, say):
        self.recipe, self.scratch, self.say = recipe, scratch, say
        self.configuration = recipe.configuration()
        self.best = None
        compare = load_compare()
        python = environment.python(say)
        mkl = environment.mkl_on_amd(say)
        counted = [compare.parameters(self.configuration[name]) for name in ("generator", "discriminator")]
        cores = compare.cores_to_use()[:ranks]
        self.task = dict(configuration=self.configuration, cores=cores, parameters=counted)
        is_conditional = any("classes" in layer for layer in self.configuration["generator"])
        for key, name in [("images", IMAGES), ("labels", LABELS)][:1 + is_conditional]:
            self.task[key] = str(find_file(recipe.data, self.configuration["dataset"], name, scratch).resolve())
        self.candidates = [peer for peer in settings.pytorch(len(cores), self.configuration, mkl, True, say)
                           if peer.precision == "fp32"]
        for peer in self.candidates:
            peer.script = "pytorch_recipe.py"
            peer.prepare(self.task, python, scratch)

    def choose(self):
        """Measures every setting; the fastest one's rate."""
        rates = {}
        for peer in self.candidates:
            self.say(f"trying {peer.name}")
            try:
                peer.start()
                found = [peer.measure(SECONDS) for _ in range(ROUNDS) if not peer.problem]
            finally:
                peer.stop()
            if peer.problem and peer.problem.startswith(UNKNOWN):
                raise Failed(f"--peer: {peer.problem}", 64)
            if peer.problem:
                self.say(f"{peer.name} did not run: {peer.problem}")
            else:
                rates[peer] = found
                self.say(f"{peer.name}: {statistics.median(found):,.0f} images/s")
        if not rates:
            raise Failed(f"no setting of PyTorch trains {self.recipe.name}", 70)
        self.best = max(rates, key=lambda peer: statistics.median(rates[peer]))
        self.best.start()
        return Rate.of(rates[self.best])

    @property
    def name(self):
        return self.best.name

    def plan(self, budget, rate, seconds):
        """As many steps as fit into the seconds that gan-dist has."""
        return plan(seconds, self.recipe, self.configuration, rate)._replace(budget=budget)

    def train(self, planned, seed, count, ranks):
        """(seconds of training, figures of so many pictures)."""
        pictures = Path(self.scratch, "pictures.npy")
        request = dict(configuration=self.recipe.configuration(planned.steps), seed=seed, steps=planned.steps, count=count,
                       out=str(pictures))
        if self.best.problem:  # an earlier run ended it
            self.best.stop()
            self.best.problem = None
            self.best.start()
        answer = self.best.ask(json.dumps(request), 300 + 4 * planned.seconds)
        if self.best.problem:
            raise Trouble(self.best.problem)
        return answer["seconds"], evaluate(ranks, ["--pictures", pictures, "--data", self.recipe.data])

    def stop(self):
        for peer in self.candidates:
            peer.stop()
