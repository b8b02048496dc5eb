"""What `export` writes, others read: onnx's checker, ONNX Runtime, and NumPy with the layers written out."""

import contextlib
import hashlib
import importlib
import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import venv
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from checkout import LIMIT, ROOT, TRAINER  # noqa: E402 - found by the line above

PACKAGES = ["onnx==1.23.2", "onnxruntime==1.32.0", "numpy==2.4.6"]
TOLERANCE = 1e-5
CODES = 1000
FOLDER = None  # of all files, from setUpModule to tearDownModule
RUNS = {}

# Layers that no preset has.
SQUARE = dict(kernel=3, stride=1, padding=0)
MODEL = {
    "preset": "mlp", "latent_dim": 12, "batch_size": 32,
    "generator": [
        dict(type="sign"), dict(type="label", classes=10), dict(type="linear", inputs=22, outputs=4 * 49),
        dict(type="layer_norm", channels=4 * 49), dict(type="leaky_relu", slope=0.3),
        dict(type="reshape", channels=4, height=7, width=7), dict(type="label", classes=10),
        dict(type="conv2d", inputs=14, outputs=6, kernel=3, stride=1, padding=1), dict(type="layer_norm", channels=6),
        dict(type="upsample", factor=2),
        dict(type="residual", layers=[
            dict(type="reflection_pad", padding=2), dict(type="conv2d", inputs=6, outputs=6, **SQUARE),
            dict(type="instance_norm", channels=6, affine=True), dict(type="relu"),
            dict(type="conv2d", inputs=6, outputs=6, **SQUARE), dict(type="batch_norm", channels=6)]),
        dict(type="sigmoid"), dict(type="dropout", probability=0.2),
        dict(type="conv_transpose2d", inputs=6, outputs=1, kernel=5, stride=2, padding=2, output_padding=1), dict(type="tanh")],
    "discriminator": [
        dict(type="label", classes=10), dict(type="conv2d", inputs=11, outputs=4, kernel=4, stride=2, padding=1, bias=False),
        dict(type="leaky_relu", slope=0.2), dict(type="reshape", channels=4 * 196, height=1, width=1),
        dict(type="linear", inputs=4 * 196, outputs=16), dict(type="batch_norm", channels=16),
        dict(type="residual", layers=[dict(type="relu"), dict(type="linear", inputs=16, outputs=16)]),
        dict(type="minibatch_discrimination", inputs=16, kernels=5, dimensions=3),
        dict(type="linear", inputs=21, outputs=11), dict(type="projection", classes=10)],
}


def packages():
    """Where the pinned packages are, in an environment that is made once, all or nothing."""
    digest = hashlib.sha256("\n".join([*PACKAGES, sys.version]).encode()).hexdigest()[:12]
    folder = ROOT / ".build" / f"export-{digest}"
    if not folder.exists():
        partial = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
        try:
            venv.create(partial, with_pip=True)
            subprocess.run([partial / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
                            "--only-binary=:all:", *PACKAGES], stdin=subprocess.DEVNULL, check=True, timeout=1200)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return next(folder.glob("lib/python*/site-packages"))


def setUpModule():
    if not TRAINER.exists():
        raise unittest.SkipTest("the program is not built")
    global FOLDER, np, onnx, onnxruntime
    sys.path.insert(0, str(packages()))
    np, onnx, onnxruntime = map(importlib.import_module, ("numpy", "onnx", "onnxruntime"))
    FOLDER = Path(tempfile.mkdtemp(prefix="export-"))
    random = np.random.default_rng(21)
    for name, count in (("train", 640), ("t10k", 100)):
        pixels = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        write_idx(FOLDER / "data" / f"{name}-images-idx3-ubyte", pixels)
        write_idx(FOLDER / "data" / f"{name}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8) % 10)
    (FOLDER / "layers.json").write_text(json.dumps(MODEL))


def tearDownModule():
    if FOLDER:
        shutil.rmtree(FOLDER)


def write_idx(path, array):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes())


def gan_dist(*arguments, code=0):
    done = subprocess.run([TRAINER, *map(str, arguments)], cwd=FOLDER, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, check=False)
    if done.returncode != code:
        raise AssertionError(f"{arguments} ended with {done.returncode}, not {code}: {done.stderr}")
    return done.stderr if code else done.stdout


class Run:
    """A short training: its folder, its checkpoint, and its options."""

    def __init__(self, name, *options):
        gan_dist("train", "--data", FOLDER / "data", "--outdir", FOLDER / name, "--steps", 3, "--quiet",
                 "--sample-interval", 0, "--evaluate-interval", 0, *options)
        self.folder = next((FOLDER / name).iterdir())
        self.checkpoint = next(self.folder.glob("checkpoint-*3.safetensors"))
        self.options = json.loads((self.folder / "training_options.json").read_text())

    def export(self, name, *options):
        path = self.folder / name
        gan_dist("export", "--checkpoint", self.checkpoint, "--out", path, *options)
        return path

    def sample(self, *options, out="pictures.npy"):
        gan_dist("sample", "--checkpoint", self.checkpoint, "--out", self.folder / out, *options)
        return np.load(self.folder / out)


def trained(name):
    if name not in RUNS:
        options = ["--config", FOLDER / "layers.json"] if name == "layers" else ["--preset", name]
        if name.startswith("cyclegan"):
            options += ["--domain-b", "mnist:coloured" if name == "cyclegan28" else "mnist:inverse"]
        RUNS[name] = Run(name, *options, *([] if name == "layers" else ["--batch-size", 8]))
    return RUNS[name]


def infer(path, **inputs):
    """What ONNX Runtime makes of a model that passes the checker."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [output] = session.run(None, {input.name: inputs[input.name] for input in session.get_inputs()})
    return output


def load_tensors(path):
    blob = path.read_bytes()
    size = struct.unpack("<Q", blob[:8])[0]
    header = json.loads(blob[8:8 + size])
    metadata = header.pop("__metadata__")
    def tensor(entry):
        begin, end = entry["data_offsets"]
        return np.frombuffer(blob[8 + size:][begin:end], "<f4").reshape(entry["shape"]).astype(np.float64)
    return {name: tensor(entry) for name, entry in header.items()}, metadata


class Network:
    """The layers in double precision, each as its paper has it."""

    def __init__(self, layers, tensors, player):
        self.layers = layers
        self.tensors = {name.removeprefix(f"{player}.main."): value for name, value in tensors.items()}

    def __call__(self, x, classes=None):
        self.classes = classes
        return self.chain(self.layers, "", x.astype(np.float64))

    def chain(self, layers, prefix, x):
        for number, layer in enumerate(layers):
            x = getattr(self, layer["type"])(x, f"{prefix}{number}.", layer)
        return x

    def weight(self, name):
        if name + "weight_orig" not in self.tensors:
            return self.tensors[name + "weight"]
        weight, u, v = (self.tensors[name + part] for part in ("weight_orig", "weight_u", "weight_v"))
        return weight / (u @ weight.reshape(len(u), -1) @ v)

    def scaled(self, x, name):
        if name + "weight" not in self.tensors:
            return x
        shape = [-1] + [1] * (x.ndim - 2)
        return x * self.tensors[name + "weight"].reshape(shape) + self.tensors[name + "bias"].reshape(shape)

    def biased(self, x, name):
        return x + self.tensors.get(name + "bias", np.zeros(1)).reshape([-1] + [1] * (x.ndim - 2))

    def linear(self, x, name, layer):
        return self.biased(x.reshape(len(x), -1) @ self.weight(name).T, name)

    def conv2d(self, x, name, layer):
        padding = layer["padding"]
        x = np.pad(x.reshape(len(x), layer["inputs"], *(x.shape[2:] or (1, 1))), [(0, 0), (0, 0), (padding, padding), (padding, padding)])
        windows = np.lib.stride_tricks.sliding_window_view(x, (layer["kernel"],) * 2, axis=(2, 3))
        windows = windows[:, :, ::layer["stride"], ::layer["stride"]]
        return self.biased(np.einsum("nchwij,ocij->nohw", windows, self.weight(name), optimize=True), name)

    def conv_transpose2d(self, x, name, layer):
        x = x.reshape(len(x), layer["inputs"], *(x.shape[2:] or (1, 1)))
        n, _, h, w = x.shape
        kernel, stride, padding = layer["kernel"], layer["stride"], layer["padding"]
        height, width = ((side - 1) * stride + kernel for side in (h, w))
        extra = layer.get("output_padding", 0)
        y = np.zeros((n, layer["outputs"], height + extra, width + extra))
        for i in range(kernel):
            for j in range(kernel):
                y[:, :, i:i + (h - 1) * stride + 1:stride, j:j + (w - 1) * stride + 1:stride] += np.einsum(
                    "nchw,co->nohw", x, self.weight(name)[:, :, i, j], optimize=True)
        return self.biased(y[:, :, padding:height + extra - padding, padding:width + extra - padding], name)

    def batch_norm(self, x, name, layer):
        if x.shape[1] != layer["channels"]:
            x = x.reshape(len(x), -1)
        shape = [-1] + [1] * (x.ndim - 2)
        mean, variance = (self.tensors[name + part].reshape(shape) for part in ("running_mean", "running_var"))
        return self.scaled((x - mean) / np.sqrt(variance + 1e-5), name)

    def normalized(self, x, axes, name):
        return self.scaled((x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5), name)

    def layer_norm(self, x, name, layer):
        return self.normalized(x, tuple(range(1, x.ndim)), name)

    def instance_norm(self, x, name, layer):
        return self.normalized(x, (2, 3), name)

    def minibatch_discrimination(self, x, name, layer):
        m = (x @ self.weight(name).T).reshape(len(x), layer["kernels"], layer["dimensions"])
        distances = np.abs(m[:, None] - m[None]).sum(axis=3)
        return np.concatenate([x, np.exp(-distances).sum(axis=1) - 1], axis=1)

    def reshape(self, x, name, layer):
        return x.reshape(len(x), layer["channels"], layer["height"], layer["width"]) if layer["height"] > 1 else x.reshape(len(x), -1)

    def upsample(self, x, name, layer):
        return x.repeat(layer["factor"], axis=2).repeat(layer["factor"], axis=3)

    def reflection_pad(self, x, name, layer):
        padding = layer["padding"]
        return np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)], mode="reflect")

    def label(self, x, name, layer):
        one = np.eye(layer["classes"])[self.classes].reshape(len(x), -1, *[1] * (x.ndim - 2))
        return np.concatenate([x, np.broadcast_to(one, (*one.shape[:2], *x.shape[2:]))], axis=1)

    def projection(self, x, name, layer):
        x = x.reshape(len(x), -1)
        return x[:, :1] + np.take_along_axis(x, 1 + self.classes[:, None], axis=1)

    def residual(self, x, name, layer):
        return x + self.chain(layer["layers"], f"{name}conv_block.", x)

    def sign(self, x, name, layer):
        return np.where(x < 0, -1.0, 1.0)

    def dropout(self, x, name, layer):
        return x

    def leaky_relu(self, x, name, layer):
        return np.where(x > 0, x, layer["slope"] * x)

    def relu(self, x, name, layer):
        return np.maximum(x, 0)

    def tanh(self, x, name, layer):
        return np.tanh(x)

    def sigmoid(self, x, name, layer):
        return 1 / (1 + np.exp(-x))


def presets():
    text = gan_dist("train", "--preset", "nothing", "--dry-run", code=64)
    return text.split("known are ")[1].strip().rstrip(".").split(", ")


def run_block(number):
    """What the page's block of Python defines, run beside a generator of preset mlp."""
    blocks = re.findall("```python\n(.*?)```", (ROOT / "Sources" / "GAN" / "GAN.docc" / "Export.md").read_text(), re.DOTALL)
    defined = {}
    with contextlib.chdir(FOLDER):
        exec(blocks[number], defined)
    return defined


def players(options):
    return {"gan": ["generator", "discriminator"], "classifier": ["classifier"],
            "cyclegan": ["generator_ab", "generator_ba", "discriminator_a", "discriminator_b"]}[options.get("game", "gan")]


class Models(unittest.TestCase):
    def assert_close(self, found, expected, what):
        self.assertEqual(found.shape, expected.shape, what)
        scale = np.maximum(1, np.abs(expected))
        self.assertLess(float((np.abs(found - expected) / scale).max()), TOLERANCE, what)

    def test_every_preset_and_layer(self):
        for name in [*presets(), "layers"]:
            for player in players(trained(name).options):
                with self.subTest(preset=name, player=player):
                    self.check(trained(name), player)

    def check(self, run, player):
        """ONNX Runtime gives what sample gives, and both what the exported weights give in NumPy."""
        plan = run.options
        model = run.export(f"{player}.onnx", "--player", player)
        tensors, metadata = load_tensors(run.export(f"{player}.safetensors", "--player", player))
        self.assertTrue(all(tensor.startswith(f"{player}.main.") for tensor in tensors))
        network = Network(plan[player], tensors, player)
        rows = CODES if player == "generator" else 24
        classes = np.arange(rows) % 10
        if player == "generator":
            pictures = run.sample("--count", CODES, "--save-noise", run.folder / "noise.npy")
            x = np.load(run.folder / "noise.npy")
            self.assertEqual((x.dtype, x.shape), (np.float32, (CODES, plan["latent_dim"])))
            found = infer(model, noise=x, classes=classes)
            self.assert_close(found, pictures, player)
            self.assertEqual(run.sample("--noise", run.folder / "noise.npy").tobytes(), pictures.tobytes())
        else:
            channels = plan.get("channels_b") if player in ("generator_ba", "discriminator_b") else None
            x = np.random.default_rng(3).uniform(-1, 1, (rows, channels or plan.get("channels", 1), *[plan["image_size"]] * 2)).astype(
                np.float32)
            found = infer(model, pictures=x, classes=classes)
        few = slice(0, 24)
        expected = network(x[few], classes[few])
        self.assert_close(found[few].reshape(expected.shape), expected, player)
        described = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
        self.assertEqual(described, {key: value for key, value in metadata.items() if key != "sha256"})
        self.assertEqual(described["weights_sha256"], gan_dist("hash", "--checkpoint", run.checkpoint).strip())
        self.assertEqual((described["run"], described["step"], described["player"]), (run.folder.name, "3", player))

    def test_only_the_batch_is_free(self):
        run = trained("cdcgan")
        model = onnx.load(run.export("form.onnx"))
        self.assertEqual((model.ir_version, [(entry.domain, entry.version) for entry in model.opset_import]), (8, [("", 17)]))
        def form(value):
            tensor = value.type.tensor_type
            return value.name, tensor.elem_type, [size.dim_param or size.dim_value for size in tensor.shape.dim]
        self.assertEqual([form(value) for value in model.graph.input], [("noise", 1, ["N", 64]), ("classes", 7, ["N"])])
        self.assertEqual([form(value) for value in model.graph.output], [("pictures", 1, ["N", 1, 28, 28])])
        noise = np.random.default_rng(4).standard_normal((7, 64)).astype(np.float32)
        whole = infer(run.folder / "form.onnx", noise=noise, classes=np.full(7, 3))
        for rows in (1, 7):
            part = infer(run.folder / "form.onnx", noise=noise[:rows], classes=np.full(rows, 3))
            self.assert_close(part, whole[:rows], f"{rows} rows")

    def test_the_page_runs(self):
        shutil.copy(trained("mlp").export("page.onnx"), FOLDER / "generator.onnx")
        self.assertEqual(run_block(0)["pictures"].shape, (64, 1, 28, 28))

    def test_the_average_is_written_or_the_trained_weights(self):
        run = trained("dcgan28")
        run.sample("--count", 8, "--save-noise", run.folder / "few.npy", out="few-pictures.npy")
        noise = np.load(run.folder / "few.npy")
        made = {}
        for options in ([], ["--raw"]):
            model = run.export(f"weights{len(options)}.onnx", *options)
            made[len(options)] = infer(model, noise=noise)
            self.assert_close(made[len(options)], run.sample("--count", 8, *options), options)
            tensors, metadata = load_tensors(run.export(f"weights{len(options)}.safetensors", *options))
            self.assertEqual(metadata["weights"], "trained" if options else "average")
            source = load_tensors(run.checkpoint)[0]
            name = "generator.main.3.weight"
            np.testing.assert_array_equal(tensors[name], source[name if options else f"ema.{name}"])
        self.assertGreater(np.abs(made[0] - made[1]).max(), 1e-3)

    def test_classes_and_translations_are_those_of_the_other_commands(self):
        run = trained("classifier28")
        test = FOLDER / "data" / "t10k-images-idx3-ubyte"
        pixels = np.frombuffer(test.read_bytes()[16:], np.uint8).reshape(-1, 1, 28, 28)
        pictures = (pixels.astype(np.float32) / 127.5 - 1).astype(np.float32)
        gan_dist("classify", "--checkpoint", run.checkpoint, "--data", FOLDER / "data", "--out", run.folder / "labels.npy")
        logits = infer(run.export("named.onnx"), pictures=pictures)
        np.testing.assert_array_equal(logits.argmax(axis=1), np.load(run.folder / "labels.npy"))
        run = trained("cyclegan28")
        gan_dist("translate", "--checkpoint", run.checkpoint, "--to", "b", "--data", FOLDER / "data", "--out", run.folder / "b.npy")
        self.assert_close(infer(run.export("b.onnx"), pictures=pictures), np.load(run.folder / "b.npy"), "translations")


class Commands(unittest.TestCase):
    def test_what_is_there_is_kept(self):
        run = trained("mlp")
        path = FOLDER / "kept.onnx"
        path.write_text("mine")
        self.assertIn("--force", gan_dist("export", "--checkpoint", run.checkpoint, "--out", path, code=64))
        self.assertEqual(path.read_text(), "mine")
        gan_dist("export", "--checkpoint", run.checkpoint, "--out", path, "--force")
        onnx.checker.check_model(onnx.load(path), full_check=True)
        first = path.read_bytes()
        gan_dist("export", "--checkpoint", run.checkpoint, "--out", path, "--force")
        self.assertEqual(path.read_bytes(), first)
        before = run.checkpoint.read_bytes()
        gan_dist("export", "--checkpoint", run.checkpoint, "--out", run.checkpoint, "--force", code=64)
        self.assertEqual(run.checkpoint.read_bytes(), before)

    def test_refusals(self):
        checkpoint = trained("mlp").checkpoint
        cases = [
            ((checkpoint, "x.onnx", "--player", "generator_ab"), 64, "generator, discriminator"),
            ((trained("cyclegan28").checkpoint, "x.onnx", "--player", "generator"), 64, "generator_ab, generator_ba, discriminator_a"),
            ((checkpoint, "x.pt"), 64, ".safetensors"),
            ((checkpoint, "x.onnx", "--format", "pickle"), 64, "onnx, safetensors"),
            ((FOLDER / "nothing.safetensors", "x.onnx"), 66, "nothing.safetensors"),
            ((FOLDER / "layers.json", "x.onnx"), 65, "layers.json"),
            ((checkpoint, "nowhere/x.onnx"), 74, "nowhere"),
        ]
        for (path, out, *options), code, text in cases:
            with self.subTest(out=out, options=options):
                self.assertIn(text, gan_dist("export", "--checkpoint", path, "--out", out, *options, code=code))
                self.assertFalse((FOLDER / out).exists())
        gan_dist("export", "--checkpoint", checkpoint, "--out", "any.name", "--format", "safetensors")
        self.assertTrue(load_tensors(FOLDER / "any.name")[0])


class Noise(unittest.TestCase):
    def sample(self, noise, *options, code=0, out="made.npy"):
        path = FOLDER / "given.npy"
        if isinstance(noise, bytes):
            path.write_bytes(noise)
        else:
            np.save(path, noise)
        return gan_dist("sample", "--checkpoint", trained("mlp").checkpoint, "--noise", path, "--out", out, *options, code=code)

    def noise(self, count):
        return np.random.default_rng(5).standard_normal((count, 64)).astype(np.float32)

    def test_the_noise_that_is_drawn_is_numbered_as_the_page_says(self):
        trained("mlp").sample("--seed", 0, "--count", 64, "--save-noise", FOLDER / "drawn.npy")
        np.testing.assert_allclose(np.load(FOLDER / "drawn.npy"), run_block(-1)["noise"], rtol=1e-5, atol=1e-6)

    def test_types_and_byte_orders(self):
        self.sample(self.noise(20))
        expected = np.load(FOLDER / "made.npy")
        for kind in (">f4", "<f8", ">f8"):
            self.sample(self.noise(20).astype(kind))
            self.assertEqual(np.load(FOLDER / "made.npy").tobytes(), expected.tobytes())
        self.sample(self.noise(20), "--count", 5)
        self.assertEqual(np.load(FOLDER / "made.npy").tobytes(), expected[:5].tobytes())
        self.sample(self.noise(20), "--grid", "3x4")
        self.assertEqual(np.load(FOLDER / "made.npy").tobytes(), expected[:12].tobytes())

    def test_walks_between_given_ends(self):
        ends = self.noise(4)
        self.sample(ends)
        pictures = np.load(FOLDER / "made.npy")
        self.sample(ends, "--interpolate", "--grid", "2x5", "--save-noise", FOLDER / "walk.npy")
        walk = np.load(FOLDER / "made.npy")
        for end, place in enumerate((0, 4, 5, 9)):
            self.assertEqual(walk[place].tobytes(), pictures[end].tobytes())
        self.assertEqual(np.load(FOLDER / "walk.npy").shape, (10, 64))
        self.sample(np.load(FOLDER / "walk.npy"))
        self.assertEqual(np.load(FOLDER / "made.npy").tobytes(), walk.tobytes())
        self.sample(ends, "--interpolate")
        self.assertEqual(len(np.load(FOLDER / "made.npy")), 16)

    def test_classes_and_folders(self):
        run, noise = trained("cgan"), np.random.default_rng(6).standard_normal((12, 100)).astype(np.float32)
        np.save(FOLDER / "codes.npy", noise)
        model = run.export("classes.onnx")
        for options, classes in (([], np.arange(12) % 10), (["--class", 7], np.full(12, 7))):
            made = run.sample("--noise", FOLDER / "codes.npy", *options)
            np.testing.assert_allclose(infer(model, noise=noise, classes=classes), made, atol=TOLERANCE)
        gan_dist("sample", "--checkpoint", run.checkpoint, "--noise", FOLDER / "codes.npy", "--out", f"{FOLDER}/single/")
        self.assertEqual(len(list((FOLDER / "single").glob("*.png"))), 12)
        gan_dist("sample", "--checkpoint", run.checkpoint, "--noise", FOLDER / "codes.npy", "--out", FOLDER / "grid.png")

    def test_hostile_files(self):
        good = self.noise(3)
        bad = good.copy()
        bad[2, 60] = np.nan
        np.save(FOLDER / "good.npy", good)
        blob = (FOLDER / "good.npy").read_bytes()
        cases = [
            (bad, 65, "element 188"), (np.full((2, 64), np.inf), 65, "inf"), (np.full((2, 64), 1e300), 65, "1e+300"),
            (good.astype(np.int64), 65, "float32"), (good.astype(np.float16), 65, "float32"), (good.astype(complex), 65, "float32"),
            (good[0], 65, "[vectors, 64]"), (good[:, :63], 65, "[3, 63]"), (good[:, :, None], 65, "[vectors, 64]"),
            (good[:0], 65, "[0, 64]"), (np.float32(1), 65, "[vectors, 64]"), (np.asfortranarray(good), 65, "Fortran"),
            (blob[:-1], 65, "cut short"), (blob + b"x", 65, "damaged"), (blob[:40], 65, "given.npy"), (b"", 65, "empty"),
            (b"PK\3\4", 65, "numpy.save"),
        ]
        for noise, code, text in cases:
            with self.subTest(text=text):
                self.assertIn(text, self.sample(noise, code=code, out="none.npy"))
                self.assertFalse((FOLDER / "none.npy").exists())

    def test_options_that_make_no_sense(self):
        cases = [
            (["--count", 4], "ask for fewer"), (["--grid", "2x2"], "ask for fewer"), (["--interpolate", "--grid", "2x4"], "4 ends"),
            (["--seed", 1], "leave one of them away"), (["--save-noise", "x.txt"], ".npy"), (["--save-noise", "none.npy"], "--out"),
        ]
        for options, text in cases:
            with self.subTest(options=options):
                self.assertIn(text, self.sample(self.noise(3), *options, code=64, out="none.npy"))
        self.sample(self.noise(1), "--interpolate", code=64)
        checkpoint = trained("mlp").checkpoint
        gan_dist("sample", "--checkpoint", checkpoint, "--noise", "missing.npy", "--out", "none.npy", code=66)
        gan_dist("sample", "--checkpoint", checkpoint, "--save-noise", "nowhere/x.npy", "--out", "none.npy", code=74)
        self.assertFalse((FOLDER / "none.npy").exists())


if __name__ == "__main__":
    unittest.main()
