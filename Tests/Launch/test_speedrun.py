"""launch/speedrun plans, trains, sums up and repeats as it says. All but one test go without training."""

import csv
import gzip
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
LAUNCH = HERE.parents[1] / "launch"
sys.path[:0] = [str(HERE), *(str(LAUNCH / f"{name}.d") for name in ("speedrun", "verify", "compare"))]

import peer  # noqa: E402 - found by the line above
import plan as planning  # noqa: E402
import program  # noqa: E402
import receipt  # noqa: E402
import summary  # noqa: E402
from checkout import LIMIT, MPIRUN, TRAINER, Checkout, descendants, until, write_images, write_script  # noqa: E402


def recipe(name="dcgan28", *options):
    return planning.Recipe(name, list(options), "/data")


def row(seed, fid=None, problem=None, budget=60, **figures):
    plan = planning.Plan(budget, recipe(), 100, 6400, 60.0)
    facts = {} if problem else dict(seconds=60.0 + seed, images_per_second=1000 + seed, weights_sha256="w", cpu="a CPU")
    if fid is not None:
        figures.update(fid=fid, fid_floor=2.0, fid_floor_sd=0.5)
    return summary.Row("gan-dist", plan, seed, facts, figures, problem)


class Plans(unittest.TestCase):
    CONFIGURATION = dict(batch_size=64, critic_steps=1)

    def test_rate(self):
        rate = planning.Rate.of([900, 1000, 1200])
        self.assertEqual(rate, (1000, 0.3))

    def test_steps_of_a_rate(self):
        plan = planning.plan(60, recipe(), self.CONFIGURATION, planning.Rate(3230, 0.02))
        self.assertEqual((plan.steps, plan.images), (3028, 193_792))
        self.assertAlmostEqual(plan.seconds, 60, delta=0.1)

    def test_critic_steps_take_images_too(self):
        plan = planning.plan(60, recipe(), dict(batch_size=64, critic_steps=5), planning.Rate(3200, 0))
        self.assertEqual((plan.steps, plan.images), (600, 192_000))

    def test_seconds_of_a_reference_machine(self):
        plan = planning.plan(60, recipe(), self.CONFIGURATION, planning.Rate(3230, 0.02), 4680)
        self.assertEqual(plan.steps, round(60 * 4680 / 64))
        self.assertAlmostEqual(plan.seconds, 60 * 4680 / 3230, delta=0.1)
        # The machine's own rate plays no part in what is trained.
        self.assertEqual(planning.plan(60, recipe(), self.CONFIGURATION, planning.Rate(10, 0), 4680).steps, plan.steps)

    def test_a_step_at_least(self):
        self.assertEqual(planning.plan(1, recipe(), self.CONFIGURATION, planning.Rate(3, 0)).steps, 1)

    def test_arguments(self):
        arguments = recipe("mlp", "--lr-flat", "{0.4}", "--lr-decay", "{.6}", "--beta1", "0.5").arguments(500, 7)
        text = " ".join(arguments)
        expected = "--preset mlp --lr-flat 200 --lr-decay 300 --beta1 0.5 --data /data --seed 7 --steps 500 "
        self.assertTrue(text.startswith(expected), text)
        self.assertEqual(recipe("folder/recipe.json").arguments(1, 0)[:2], ["--config", str(Path("folder/recipe.json").resolve())])

    def test_schedules_that_end_with_the_run(self):
        for schedule, share in (({}, None), ({"lr_flat": "5e"}, None), ({"lr_decay": "10e"}, 0), (
                {"lr_flat": "5e", "lr_decay": "15e"}, 0.25), ({"lr_flat": "100", "lr_decay": "15e"}, None)):
            self.assertEqual(planning.flat_share(schedule), share, schedule)
        own = recipe("mlp", "--lr-decay", "10")
        own.fit_schedule()
        self.assertEqual(own.options, ["--lr-decay", "10"])

    def test_lists(self):
        self.assertEqual(planning.budget_list("120,60,0.5"), [0.5, 60, 120])
        self.assertEqual(planning.seed_list("3"), [0, 1, 2])
        self.assertEqual(planning.seed_list("7,"), [7])
        self.assertEqual(planning.seed_list("7,3"), [7, 3])
        refused = {planning.budget_list: ["", "0", "-1", "x", "60,"], planning.seed_list: ["", "0", "1,1", "-1", "a", ","]}
        for read, texts in refused.items():
            for text in texts:
                with self.assertRaises(ValueError, msg=text):
                    read(text)

    def test_presets_of_budgets(self):
        self.assertEqual(planning.presets("mlp", [60, 120]), {60: "mlp", 120: "mlp"})
        self.assertEqual(planning.presets("60=a,120=b.json", [60, 120]), {60: "a", 120: "b.json"})
        for text in ("60=a", "60=a,120=b,300=c", "60=a,120=", "60=a,x=b"):
            with self.assertRaises(ValueError, msg=text):
                planning.presets(text, [60, 120])


class Summaries(unittest.TestCase):
    def test_median_and_worst(self):
        group = summary.Group([row(seed, fid, precision=precision, nearest=nearest) for seed, (fid, precision, nearest) in
                               enumerate([(4, 0.8, 1.1), (9, 0.9, 0.7), (5, 0.7, 1.2)])])
        self.assertEqual(group.figures(group.median), dict(fid=5, fid_floor=2, fid_floor_sd=0.5, precision=0.8, nearest=1.1))
        worst = group.figures(group.worst)
        # Of precision the least; of the nearest what is farthest from 1.
        self.assertEqual((worst["fid"], worst["precision"], worst["nearest"]), (9, 0.7, 0.7))

    def test_table(self):
        text = "\n".join(summary.Group([row(0, 4.0), row(1, 6.0)]).lines())
        self.assertIn("2.50 x its floor, worst 3.00 x", text)
        self.assertNotIn("KID", text)  # was not measured
        failed = "\n".join(summary.Group([row(0, 4.0), row(1, problem="not a number")]).lines())
        self.assertIn("failed", failed)
        self.assertIn("seed 1 failed: not a number", failed)
        self.assertNotIn("worst 2", failed)

    def test_nothing_but_failures(self):
        self.assertIn("seed 3 failed: it hangs", "\n".join(summary.Group([row(3, problem="it hangs")]).lines()))

    def test_csv(self):
        with tempfile.TemporaryDirectory() as folder:
            rows = [row(0, 4.0), row(1, 6.0), row(2, problem="a, b"), row(0, 3.0, budget=120)]
            summary.write_csv(Path(folder, "table.csv"), rows)
            found = list(csv.DictReader(Path(folder, "table.csv").read_text().splitlines()))
            self.assertEqual(os.listdir(folder), ["table.csv"])
        self.assertEqual([line["seed"] for line in found], ["0", "1", "2", "0", "median", "worst", "median", "worst"])
        self.assertEqual([line["fid"] for line in found], ["4.0", "6.0", "", "3.0", "5.0", "6.0", "3.0", "3.0"])
        self.assertEqual(found[1]["fid_over_floor"], "3.0")
        self.assertEqual(found[2]["problem"], "a, b")
        self.assertEqual(found[4]["problem"], "1 of 3 failed")
        self.assertEqual((found[0]["weights_sha256"], found[4]["weights_sha256"], found[4]["cpu"]), ("w", "", "a CPU"))


class Receipts(unittest.TestCase):
    def test_what_is_no_receipt(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "receipt.json")
            refused = {"{": "not JSON", "[]": "no receipt", '{"format": 2}': "no receipt", '{"format": 1}': "lacks budget"}
            for text, said in refused.items():
                path.write_text(text)
                with self.assertRaisesRegex(program.Failed, said) as caught:
                    receipt.read(path)
                self.assertEqual(caught.exception.args[1], 65)

    def test_a_figure_that_differs(self):
        old = dict(weights_sha256="w", figures=dict(fid=1.5, images=10))
        with mock.patch("builtins.print"):
            self.assertTrue(receipt.compare(old, "w", dict(fid=1.5, images=10)))
            self.assertFalse(receipt.compare(old, "v", dict(fid=1.5, images=10)))
            self.assertFalse(receipt.compare(old, "w", dict(fid=1.5000000000000002, images=10)))
            self.assertFalse(receipt.compare(old, "w", dict(fid=1.5)))
            self.assertFalse(receipt.compare(old, "w", dict(fid=1.5, images=10, kid=0)))


class Script(unittest.TestCase):
    """With a made-up gan-dist and mpirun."""

    def setUp(self):
        self.checkout = Checkout(f"#!{sys.executable}\n" + (HERE / "made_up_measures.py").read_text())
        self.addCleanup(self.checkout.__exit__)
        self.checkout.tool("mpirun", MPIRUN)
        self.folder = self.checkout.folder
        self.checkout.environment["TMPDIR"] = str(self.folder)
        self.checkout.environment.pop("GAN_DIST_BINARY", None)

    def run_script(self, *arguments, code=0, **variables):
        done = self.checkout.run("launch/speedrun", *arguments, **variables)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(list(self.folder.glob("speedrun-*")), [])
        return done

    def test_help_and_usage(self):
        self.assertIn("--reference-rate", self.run_script("--help").stdout)
        for arguments in (["--budgets", "0"], ["--seeds", "x"], ["--preset", "60=a"], ["--ranks", "0"], ["--reference-rate", "-1"],
                          ["--", "--steps", "3"], ["--", "--seed=3"], ["--repeat", "r.json", "--", "--lr", "1"],
                          ["--preset", "nothing"]):
            self.run_script(*arguments, code=64)

    def test_plan(self):
        done = self.run_script("--budgets", "60,120", "--dry-run", "--preset", "60=mlp,120=dcgan28")
        self.assertIn("mlp on ", done.stdout)
        self.assertIn("1,000 images/s", done.stdout)
        self.assertIn("60 s, mlp: 1,200 steps, 60,000 images, 60 s here", done.stdout)
        self.assertIn("120 s, dcgan28: 2,400 steps", done.stdout)
        self.assertIn("10 runs, 15.0 min", done.stdout)
        self.assertNotIn("FID", done.stdout)

    def test_plan_of_a_reference_machine(self):
        done = self.run_script("--budgets", "60", "--dry-run", "--reference-rate", 2000, "--", "--batch-size", 100)
        self.assertIn("seconds of a reference machine that trains 2,000 images/s", done.stdout)
        self.assertIn("1,200 steps, 120,000 images, 120 s here", done.stdout)

    def test_rows_and_receipts(self):
        done = self.run_script("--budgets", "10,20", "--seeds", 3, "--csv", "table.csv", "--receipts", "receipts", "--images", 500,
                               "--data", "pictures", "--", "--lr-decay", "{0.5}")
        for said in ("10 s, gan-dist, dcgan28: 200 steps", "20 s, gan-dist, dcgan28: 400 steps", "3.00 x its floor, worst 4.00 x",
                     "named as asked", "nearest"):
            self.assertIn(said, done.stdout)
        rows = list(csv.DictReader((self.folder / "table.csv").read_text().splitlines()))
        self.assertEqual([row["seed"] for row in rows], ["0", "1", "2"] * 2 + ["median", "worst"] * 2)
        self.assertEqual(rows[-1]["fid"], "4.0")
        self.assertEqual(rows[0]["instruction_set"], "avx2")
        names = sorted(path.name for path in (self.folder / "receipts").iterdir())
        self.assertEqual(names, [f"dcgan28-{budget}s-seed{seed}.json" for budget in (10, 20) for seed in range(3)])
        found = json.loads((self.folder / "receipts" / names[-1]).read_text())
        self.assertEqual((found["steps"], found["seed"], found["figures"]["images"]), (400, 2, 500))
        self.assertEqual(found["configuration"]["lr_decay"], "200")
        self.assertIn("--lr-decay 200", found["command"])
        self.assertEqual(found["weights_sha256"], rows[5]["weights_sha256"])
        self.repeat(f"receipts/{names[-1]}")

    def repeat(self, path):
        done = self.run_script("--repeat", path)
        self.assertIn("all is the same", done.stdout)
        done = self.run_script("--repeat", path, code=1, FAULTS="other-weights")
        self.assertIn("NOT the same: 1 of ", done.stdout)
        done = self.run_script("--repeat", path, "--data", "others", code=65)
        self.assertIn("other data than the receipt's", done.stderr)
        self.assertIn("cannot be repeated", self.run_script("--repeat", path, code=70, FAULTS="70:2").stderr)
        self.run_script("--repeat", "nowhere.json", code=74)

    def test_runs_are_kept(self):
        self.run_script("--budgets", "1", "--seeds", 2, "--outdir", "kept")
        self.assertEqual(len(list(self.folder.glob("kept/*/*/checkpoint-*"))), 2)

    def test_a_seed_that_fails(self):
        done = self.run_script("--budgets", "1", "--seeds", "0,3,4", "--csv", "table.csv", code=1, FAULTS="70:3")
        self.assertIn("seed 3 failed: ended with code 70: Error: a fault of seed 3", done.stdout)
        self.assertIn("FID                      4    failed", done.stdout)
        self.assertEqual(len((self.folder / "table.csv").read_text().splitlines()), 1 + 3 + 2)

    def test_what_no_seed_would_do_better(self):
        done = self.run_script("--budgets", "1", "--seeds", "1,3", code=66, FAULTS="66:3")
        self.assertIn("a fault of seed 3", done.stderr)
        self.assertIn("1 s, gan-dist", done.stdout)  # what was done is not lost
        self.assertIn("no line of JSON", self.run_script("--budgets", "1", code=70, FAULTS="mute").stderr)

    def test_folders_that_cannot_be_written(self):
        self.run_script("--csv", "/nowhere/table.csv", code=74)
        self.run_script("--receipts", "/proc/nothing", code=74)

    def test_ctrl_c(self):
        for number, code in (signal.SIGINT, 130), (signal.SIGTERM, 143):
            self.checkout.environment["FAULTS"] = "hang"
            job = self.checkout.start("launch/speedrun", "--budgets", 1, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            found = until(lambda job=job: [pid for pid in descendants(job.pid) if b"--quiet" in command(pid)], "a training")
            job.send_signal(number)
            self.assertEqual(job.wait(timeout=LIMIT), code)
            until(lambda found=found: not any(command(pid) for pid in found), "the end of the ranks")
            self.assertEqual(list(self.folder.glob("speedrun-*")), [])


def command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Limits(unittest.TestCase):
    def test_a_run_that_hangs(self):
        with tempfile.TemporaryDirectory() as folder:
            mark = Path(folder, "process")
            binary = write_script(Path(folder, "gan-dist"), f"#!{sys.executable}\nimport os, time\n"
                                  f"open({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(1000)\n")
            tools = write_script(Path(folder, "tools", "mpirun"), MPIRUN).parent
            variables = {"PATH": f"{tools}:{os.environ['PATH']}", "RECORD": os.devnull}
            with mock.patch.object(program, "BINARY", binary), mock.patch.dict(os.environ, variables):
                start = time.monotonic()
                with self.assertRaisesRegex(program.Trouble, "not done after 5 s"):
                    program.run(1, ["train"], 5)
                self.assertLess(time.monotonic() - start, 30)
            until(lambda: not command(int(mark.read_text())), "the end of the rank")


class PeerFiles(unittest.TestCase):
    def test_images_and_labels(self):
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder, "FashionMNIST", "raw")
            raw.mkdir(parents=True)
            (raw / peer.IMAGES).write_text("images")
            with gzip.open(raw / f"{peer.LABELS}.gz", "wb") as file:
                file.write(b"labels")
            self.assertEqual(peer.find_file(folder, "fashion", peer.IMAGES, folder), raw / peer.IMAGES)
            self.assertEqual(peer.find_file(raw, "fashion", peer.IMAGES, folder), raw / peer.IMAGES)
            self.assertEqual(peer.find_file(folder, "fashion", peer.LABELS, folder).read_bytes(), b"labels")
            self.assertEqual(peer.find_file("x/a.npy", "pictures", peer.LABELS, folder), Path("x/labels.npy"))
            with self.assertRaisesRegex(program.Failed, "has no train-images"):
                peer.find_file(folder, "mnist", peer.IMAGES, folder)


@unittest.skipUnless(importlib.util.find_spec("torch"), "no PyTorch")
class PyTorchRecipe(unittest.TestCase):
    # Pictures of 4 x 4, of two classes.
    CONFIGURATION = dict(
        batch_size=4, latent_dim=3, image_size=4, loss="bce", generator_step="fresh", lr=0.01, beta1=0.5, beta2=0.9, epsilon=1e-8,
        label_smoothing=0.1, instance_noise=0.2, instance_noise_decay="10", ema=0.9, ema_ramp=True, lr_flat="1e", lr_decay="8",
        generator=[dict(type="label", classes=2),
                   dict(type="conv_transpose2d", inputs=5, outputs=1, kernel=4, stride=1, padding=0, bias=True), dict(type="tanh")],
        discriminator=[dict(type="conv2d", inputs=1, outputs=3, kernel=4, stride=1, padding=0, bias=True),
                       dict(type="projection", classes=2)])

    def setUp(self):
        import numpy
        import pytorch_recipe
        import settings

        self.numpy, self.module = numpy, pytorch_recipe
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        numpy.save(f"{self.folder}/images.npy", (numpy.arange(32 * 16) % 256).astype(numpy.uint8).reshape(32, 1, 4, 4))
        numpy.save(f"{self.folder}/labels.npy", numpy.arange(32) % 2)
        self.task = dict(configuration=self.CONFIGURATION, setting=settings.FUSED, images=f"{self.folder}/images.npy",
                         labels=f"{self.folder}/labels.npy", rank=0, processes=1, cores=[0])
        self.recipe = pytorch_recipe.Recipe(self.task)

    def pictures(self, seed, steps=3):
        out = f"{self.folder}/x.npy"
        answer = self.recipe.run(dict(configuration=self.CONFIGURATION, seed=seed, steps=steps, count=7, out=out))
        self.assertTrue(all(0 < loss < 10 for loss in answer["losses"]), answer)
        return self.numpy.load(out)

    def test_a_run_starts_afresh(self):
        first = self.pictures(1)
        self.assertEqual((first.shape, first.dtype), ((7, 1, 4, 4), self.numpy.uint8))
        self.assertFalse((first == self.pictures(2)).all())
        self.assertTrue((first == self.pictures(1)).all())

    def test_schedules(self):
        self.recipe.begin(self.CONFIGURATION, 0)
        rates, noise = [], []
        for self.recipe.t in 0, 8, 12, 16, 20:  # 8 steps are an epoch
            self.recipe.schedule()
            rates.append(self.recipe.generator_adam.param_groups[0]["lr"])
            noise.append(round(float(self.recipe.sigma), 6))
        self.assertEqual(rates, [0.01, 0.01, 0.005, 0, 0])
        self.assertEqual(noise, [0.2, 0.04, 0, 0, 0])

    def test_what_it_does_not_know(self):
        layer = dict(type="upsample")
        for change, said in (dict(r1=0.1), "r1 0.1"), (dict(loss="hinge"), "the loss hinge"), (dict(generator=[layer]), "upsample"):
            with self.assertRaisesRegex(SystemExit, f"^{peer.UNKNOWN}.*{said}"):
                self.module.Recipe(dict(self.task, configuration=dict(self.CONFIGURATION, **change)))


def measures():
    """Whether the program is built, and knows how to evaluate."""
    if not TRAINER.exists():
        return False
    done = subprocess.run([TRAINER, "evaluate", "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return "--pictures" in done.stdout


@unittest.skipUnless(measures(), "the program is not built, or does not evaluate")
class EndToEnd(unittest.TestCase):
    def test_trains_measures_and_repeats(self):
        with Checkout(TRAINER) as checkout:
            write_images(checkout.folder / "pictures")
            variables = {"XDG_CACHE_HOME": str(checkout.folder / "cache")}
            done = checkout.run("launch/speedrun", "--preset", "mlp", "--budgets", "1", "--seeds", "1", "--ranks", "1", "--images",
                                "60", "--data", "pictures", "--receipts", "receipts", **variables)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("x its floor", done.stdout)
            done = checkout.run("launch/speedrun", "--repeat", "receipts/mlp-1s-seed0.json", "--ranks", "2", **variables)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("all is the same", done.stdout)


if __name__ == "__main__":
    unittest.main()
