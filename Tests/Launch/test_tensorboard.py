"""TensorBoard's own reader finds in a run's folder what stats.jsonl says, each step once, however often the run was killed.

TensorBoard comes from PyPI, in pinned versions, into a virtual environment under .build/; without a way to PyPI the tests fail.
"""

import hashlib
import json
import math
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True

from checkout import LIMIT, ROOT, TRAINER, until, write_images  # noqa: E402

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "tensorboard_requirements.txt"
KILLS = 20
MODEL = {
    "preset": "mlp", "batch_size": 16, "latent_dim": 4, "log_interval": 5, "sample_interval": 10, "checkpoint_interval": 15,
    "hash_interval": 1000,
    "generator": [{"type": "linear", "inputs": 4, "outputs": 8}, {"type": "relu"},
                  {"type": "linear", "inputs": 8, "outputs": 784}, {"type": "tanh"}],
    "discriminator": [{"type": "linear", "inputs": 784, "outputs": 8}, {"type": "leaky_relu", "slope": 0.2},
                      {"type": "linear", "inputs": 8, "outputs": 1}],
}
TENSORS = [f"{player}.main.{layer}.{part}" for player in ("generator", "discriminator") for layer in (0, 2)
           for part in ("weight", "bias")]


def python():
    """The Python that has TensorBoard; all or nothing is installed."""
    name = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = ROOT / ".build" / f"tensorboard-{name}"
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as scratch:
            partial = Path(scratch, "environment")
            for command in ([sys.executable, "-m", "venv", partial],
                            [partial / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
                             "--only-binary=:all:", "--retries=2", "--timeout=30", f"--requirement={REQUIREMENTS}"]):
                done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      text=True, timeout=1800, check=False)
                if done.returncode:
                    raise AssertionError("TensorBoard cannot be installed, so that nothing is tested; it needs python3-venv and a "
                                         f"way to PyPI:\n{done.stdout}")
            partial.rename(folder)
    return folder / "bin" / "python"


def read(run):
    done = subprocess.run([python(), HERE / "tensorboard_reader.py", run], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=LIMIT, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


def single(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def stats(run):
    with open(run / "stats.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def tensors(path):
    """Arrays of a safetensors file of float32."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    found = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            found[name] = struct.unpack(f"{(last - first) // 4}f", data[8 + size + first:8 + size + last])
    return found


class TensorBoard(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        write_images(self.folder / "data")

    def command(self, *arguments, model=None, tensorboard=True):
        path = self.folder / "model.json"
        path.write_text(json.dumps({**MODEL, **(model or {})}))
        return [str(part) for part in (TRAINER, "train", "--config", path, "--data", self.folder / "data",
                                       "--outdir", self.folder / "runs", *(["--tensorboard"] if tensorboard else []), *arguments)]

    def train(self, *arguments, **options):
        before = options.pop("before", None)
        done = subprocess.run(self.command(*arguments, **options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=LIMIT, preexec_fn=before, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        return max((self.folder / "runs").iterdir()), done.stdout

    def check_scalars(self, run, found):
        """Each number of stats.jsonl, once, in order, and no other."""
        expected = {}
        for line in stats(run):
            for key, value in line.items():
                if isinstance(value, list):
                    expected.setdefault(f"{key}/mean", []).append([line["step"], single(math.fsum(value) / len(value))])
                    expected.setdefault(f"{key}/max", []).append([line["step"], single(max(value))])
                elif isinstance(value, (int, float)) and key != "step":
                    expected.setdefault(key, []).append([line["step"], single(value)])
        curves = {tag.partition("/")[2]: points for tag, points in found["scalars"].items()}
        self.assertEqual(sorted(curves), sorted(expected))
        for key, points in expected.items():
            self.assertEqual([step for step, _ in curves[key]], [step for step, _ in points], key)
            for (step, value), (_, right) in zip(curves[key], points):
                self.assertAlmostEqual(value, right, delta=1e-6 * abs(right), msg=f"{key} of step {step}")

    def check_pictures(self, run, found, steps):
        self.assertEqual([image[0] for image in found["images"]["pictures/reals"]], [0])
        images = found["images"]["pictures/fakes"]
        self.assertEqual([image[0] for image in images], steps)
        for step, width, height, digest in images:
            data = (run / ("fakes-init.png" if step == 0 else f"fakes-{step:06}.png")).read_bytes()
            self.assertEqual(hashlib.sha256(data).hexdigest(), digest)
            self.assertEqual(struct.unpack(">II", data[16:24]), (width, height))

    def check_histograms(self, found, steps):
        expected = [f"{kind}/{name}" for kind in ("gradients", "weights") for name in TENSORS]
        self.assertEqual(sorted(found["histograms"]), sorted(expected))
        for tag, histograms in found["histograms"].items():
            self.assertEqual([histogram[0] for histogram in histograms], steps[1:] if tag.startswith("gradients") else steps, tag)
            for _, low, high, count, _, _, limits, counts in histograms:
                self.assertEqual(sum(counts), count)
                self.assertEqual(limits, sorted(limits))
                self.assertLessEqual(low, high)

    def test_killed_and_resumed(self):
        chance = random.Random(20)
        for number in range(KILLS):
            with open(self.folder / "output", "w+") as output:
                process = subprocess.Popen(self.command("--steps", 10**6, "--keep", 2, "--resume", "auto"), stdin=subprocess.DEVNULL,
                                           stdout=output, stderr=output)
                try:
                    def newest():
                        self.assertIsNone(process.poll(), Path(output.name).read_text())
                        return max((self.folder / "runs").glob("*/status.json"), default=None)
                    status = until(newest, "a run's folder")
                    # At least one checkpoint later, and anywhere between two lines.
                    goal = (int(json.loads(status.read_text())["step"]) if number else 0) + 20 + chance.randrange(30)
                    until(lambda: newest() and stats(status.parent) and stats(status.parent)[-1]["step"] >= goal, f"step {goal}")
                    time.sleep(0.02 * chance.random())
                finally:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
            files = sorted(status.parent.glob("*tfevents*"))
            self.assertEqual(len(files), number + 1)
            if number % 3 == 0:  # as if the machine had lost a part of what was written last
                with open(files[-1], "ab") as file:
                    file.write(files[0].read_bytes()[:chance.randrange(1, 40)])
        last = 15 * (stats(status.parent)[-1]["step"] // 15) + 20
        run, output = self.train("--steps", last, "--resume", "latest")
        self.assertNotIn("Warning", output)
        self.assertEqual(stats(run)[-1]["step"], last)
        self.assertEqual(len(list(run.glob("*tfevents*"))), KILLS + 1)
        found = read(run)
        self.check_scalars(run, found)
        steps = sorted({*range(0, last + 1, 10), last})
        self.check_pictures(run, found, steps)
        self.check_histograms(found, steps)
        self.assertEqual(found["tensors"], {"_hparams_/session_start_info": [0], "_hparams_/session_end_info": [last]})

    def test_histograms_are_of_the_weights_and_gradients(self):
        run, _ = self.train("--steps", 4, "--sample-interval", 2, "--dump-steps", 4, "--critic-steps", 2)
        found = read(run)
        self.check_scalars(run, found)
        for step in (2, 4):
            dump = tensors(run / "dump" / f"step-{step:06}.safetensors")
            for name in TENSORS:
                # Of two updates of the discriminator the second one.
                suffix = ".2" if name.startswith("discriminator") else ""
                for kind, values in ("weights", dump[name + suffix]), ("gradients", dump[f"grad.{name}{suffix}"]):
                    histogram = next(one for one in found["histograms"][f"{kind}/{name}"] if one[0] == step)
                    _, low, high, count, total, squares, _, _ = histogram
                    self.assertEqual((low, high, count), (min(values), max(values), len(values)), f"{kind}/{name}")
                    scale = math.fsum(map(abs, values))
                    self.assertAlmostEqual(total, math.fsum(values), delta=1e-12 * scale)
                    right = math.fsum(value * value for value in values)
                    self.assertAlmostEqual(squares, right, delta=1e-12 * right)

    def test_hyperparameters(self):
        run, _ = self.train("--steps", 2, "--seed", 7)
        found = read(run)["hyperparameters"]
        expected = {"preset": "mlp", "batch_size": 16, "latent_dim": 4, "seed": 7, "steps": 2, "(end)": 1}
        self.assertEqual({name: found.get(name) for name in expected}, expected)
        self.assertIn("lr", found)
        self.assertFalse({"generator", "log_interval"} & set(found))

    def test_other_games(self):
        """Players, pictures and measures of a CycleGAN and a classifier are there too."""
        for preset, players, picture in (("cyclegan28", 4, "translations"), ("classifier28", 1, "reals")):
            with self.subTest(preset=preset):
                command = [TRAINER, "train", "--preset", preset, "--data", self.folder / "data", "--outdir", self.folder / preset,
                           "--steps", 2, "--batch-size", 8, "--log-interval", 1, "--tensorboard",
                           *(["--domain-b", "mnist:inverse"] if preset == "cyclegan28" else ["--evaluate-interval", 2])]
                done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False)
                self.assertEqual(done.returncode, 0, done.stdout)
                run = max((self.folder / preset).iterdir())
                found = read(run)
                self.check_scalars(run, found)
                self.assertIn(f"pictures/{picture}", found["images"])
                names = {tag.split("/")[1].split(".")[0] for tag in found["histograms"]}
                self.assertEqual(len(names), players)
                if preset == "classifier28":
                    self.assertEqual([step for step, _ in found["scalars"]["measures/test_accuracy"]], [2])

    def test_disk_is_full(self):
        """A file that cannot grow costs the run nothing but that file, which ends with a whole record."""
        def no_large_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        arguments = ("--steps", 40, "--sample-interval", 1, "--checkpoint-interval", 0, "--hash-interval", 40)
        run, _ = self.train(*arguments, tensorboard=False)
        largest = max(path.stat().st_size for path in run.iterdir())
        limit = largest + 1000
        plain = stats(run)[-1]["weights_sha256"]
        run, output = self.train(*arguments, before=no_large_files)
        self.assertEqual(output.count("TensorBoard gets no more of it"), 1, output)
        self.assertEqual(stats(run)[-1]["weights_sha256"], plain)
        file, = run.glob("*tfevents*")
        data, position = file.read_bytes(), 0
        while position < len(data):
            position += 16 + int.from_bytes(data[position:position + 8], "little")
        self.assertEqual(position, len(data))
        steps = [step for step, _ in read(run)["scalars"]["training/loss_g"]]
        self.assertTrue(0 < len(steps) < len(stats(run)))
        self.assertEqual(steps, [line["step"] for line in stats(run)][:len(steps)])


if __name__ == "__main__":
    unittest.main()
