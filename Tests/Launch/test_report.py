"""report.html in a headless Chromium without a network: it draws what gan-dist draws, and shows what files hold as text."""

import array
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import chromium  # noqa: E402 - found by the line above
from checkout import LIMIT, TRAINER  # noqa: E402

HOSTILE = "</script><script>window.isHostile = true</script><img src=x onerror='window.isHostile = true'>"

# The largest difference between the canvas and the grid of an element with a PNG.
GRID_DIFFERENCE = """(async () => {
  const image = new Image();
  image.src = imageSource({ id: %s });
  await image.decode();
  const canvas = document.querySelector("canvas.grid");
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [image.naturalWidth, image.naturalHeight];
  if (copy.width !== canvas.width || copy.height !== canvas.height) return `${copy.width} x ${copy.height}, not ${canvas.width}`;
  copy.getContext("2d").drawImage(image, 0, 0);
  const pixels = (one) => one.getContext("2d").getImageData(0, 0, copy.width, copy.height).data;
  const [a, b] = [pixels(canvas), pixels(copy)];
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
})()"""


def write_images(folder, count=320):
    folder.mkdir()
    sizes = b"".join(n.to_bytes(4, "big") for n in (count, 28, 28))
    pixels = bytes((31 * i + 7 * p + i * p // 50) % 256 for i in range(count) for p in range(784))
    Path(folder, "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + sizes + pixels)
    labels = bytes(i % 10 for i in range(count))
    Path(folder, "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + count.to_bytes(4, "big") + labels)


def gan_dist(*arguments):
    done = subprocess.run([TRAINER, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=LIMIT, check=False)
    if done.returncode:
        raise AssertionError(f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def pictures(path):
    """The numbers of an .npy file of float32, [pictures, C, H, W], and their shape."""
    data = path.read_bytes()
    length = int.from_bytes(data[8:10], "little")
    shape = eval(data[10:10 + length].decode(), {"False": False})["shape"]  # a literal that gan-dist wrote
    values = array.array("f")
    values.frombytes(data[10 + length:])
    return values, shape


@unittest.skipUnless(TRAINER.exists(), "the program is not built")
@unittest.skipUnless(chromium.find(), "there is no Chromium")
class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.scratch.name)
        write_images(cls.folder / "data")

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def train(self, outdir, *arguments):
        gan_dist("--data", self.folder / "data", "--outdir", self.folder / outdir, "--quiet", *arguments)
        return max((self.folder / outdir).iterdir())

    def opened(self, path, **options):
        """The page of a file, loaded, and with its pictures drawn."""
        self.assertLess(path.stat().st_size, 6_000_000)
        page = chromium.Page(**options)
        page.__enter__()
        self.addCleanup(page.__exit__)
        page.open(path)
        page.wait("document.getElementById('page').childElementCount > 0 && (!window.ganDist || window.ganDist.isDrawn)")
        return page

    def expect_silence(self, page):
        # Reading a canvas is this test's doing.
        self.assertEqual([error for error in page.errors if "getImageData" not in error], [])
        self.assertEqual([url for url in page.requests if not url.startswith(("file:", "data:"))], [])
        self.assertFalse(page.evaluate("window.isHostile === true"))

    def expect_same_pictures(self, preset, *arguments, count=96):
        run = self.train(preset, "--preset", preset, "--steps", "12", "--batch-size", "16", "--sample-interval", "4", *arguments)
        page = self.opened(run / "report.html")
        # How long the page takes, and not how long others keep the cores: the best of three.
        seconds = []
        for _ in range(3):
            page.open(run / "report.html")
            page.wait("window.ganDist?.isDrawn")
            seconds.append(page.evaluate("window.ganDist.firstPicture / 1000"))
        self.assertLess(min(seconds), 1, "seconds to the first picture")
        self.assertLessEqual(page.evaluate(GRID_DIFFERENCE % "'grid-0-12'"), 2)
        gan_dist("sample", "--checkpoint", run / "checkpoint-000000012.safetensors", "--count", count, "--out", self.folder / "x.npy")
        values, shape = pictures(self.folder / "x.npy")
        self.assertEqual(shape[0], count)
        classes = page.evaluate("JSON.parse(document.getElementById('content').textContent).runs[0].generator.classes ?? 1")
        columns = classes if classes > 1 else 8
        drawn = page.evaluate(f"""Array.from({{ length: {count} }}, (_, i) => (
            Array.from(window.ganDist.generate(window.ganDist.noise(i), i % {columns} % {classes}))))""")
        size, pixels = shape[1] * shape[2] * shape[3], shape[2] * shape[3]
        worst = 0
        for number, picture in enumerate(drawn):
            for place, byte in enumerate(picture):
                channel, pixel = place % shape[1], place // shape[1]
                value = values[number * size + channel * pixels + pixel]
                worst = max(worst, abs(byte - (value + 1) * 127.5))
        self.assertLess(worst, 2.5)  # half a level is rounding to bytes
        self.expect_silence(page)
        return run, page

    def test_a_convolutional_generator_draws_as_sample_does(self):
        run, page = self.expect_same_pictures("dcgan28", "--seed", "18446744073709551615")
        # The slider over time shows the files of the run.
        self.assertEqual(page.evaluate("document.getElementById('time').max"), "3")
        self.assertIn("fakes-000012.png", page.evaluate("document.body.innerText"))
        page.evaluate("{ const time = document.getElementById('time'); time.value = 0; time.dispatchEvent(new Event('input')); }")
        self.assertIn("fakes-init.png", page.evaluate("document.body.innerText"))
        # A slider of the noise changes its picture, and nothing else.
        before = page.evaluate("document.querySelector('canvas.single').toDataURL()")
        page.evaluate("{ const z = document.querySelector('input.noise'); z.value = -2.5; z.dispatchEvent(new Event('input')); }")
        self.assertNotEqual(page.evaluate("document.querySelector('canvas.single').toDataURL()"), before)
        self.assertEqual(page.evaluate("document.querySelectorAll('input.noise').length"), 12)
        # Another 64, and the first ones again.
        self.press(page, "Another 64")
        self.assertIn("Pictures 64 to 127", page.evaluate("document.body.innerText"))
        self.assertGreater(page.evaluate(GRID_DIFFERENCE % "'grid-0-12'"), 2)
        self.press(page, "The first ones")
        self.assertLessEqual(page.evaluate(GRID_DIFFERENCE % "'grid-0-12'"), 2)
        # A walk ends at the other picture.
        page.evaluate("document.querySelector('input[type=number]').value = 9")
        self.press(page, "Walk")
        page.wait("document.querySelector('input[aria-label^=\"How far\"]').value === '1'")
        same = page.evaluate("""(() => {
            const canvas = document.querySelector("canvas.single");
            const seen = canvas.getContext("2d").getImageData(0, 0, 28, 28).data;
            return window.ganDist.generate(window.ganDist.noise(9)).every((byte, i) => Math.abs(seen[4 * i] - byte) <= 1);
        })()""")
        self.assertTrue(same)
        self.expect_silence(page)

    def press(self, page, text):
        page.evaluate(f"Array.from(document.querySelectorAll('button')).find((one) => one.textContent === {json.dumps(text)}).click()")
        page.wait("window.ganDist.isDrawn")

    def test_a_class_is_chosen(self):
        _, page = self.expect_same_pictures("cgan")
        page.evaluate("{ const menu = document.querySelector('select'); menu.value = 7; menu.dispatchEvent(new Event('change')); }")
        page.wait("window.ganDist.isDrawn")
        same = page.evaluate("""[0, 33].map((i) => {
            const [left, top] = [2 + 30 * (i % 10), 2 + 30 * Math.floor(i / 10)];
            const seen = document.querySelector("canvas.grid").getContext("2d").getImageData(left, top, 28, 28).data;
            return window.ganDist.generate(window.ganDist.noise(i), 7).every((byte, p) => byte === seen[4 * p]);
        })""")
        self.assertEqual(same, [True, True])

    def test_factors_rounded_to_bf16(self):
        self.expect_same_pictures("mlp", "--precision", "bf16")

    def test_a_conditional_convolutional_generator(self):
        self.expect_same_pictures("cdcgan")

    def test_colours(self):
        self.expect_same_pictures("mlp-reuse", "--channels", "3")

    def test_a_generator_that_is_too_large_is_left_out(self):
        run = self.train("large", "--preset", "mlp-wide", "--steps", "2", "--batch-size", "16", "--image-size", "64")
        page = self.opened(run / "report.html")
        self.assertIn("holds at most 1,800,000", page.evaluate("document.body.innerText"))
        self.assertFalse(page.evaluate("Boolean(window.ganDist)"))
        self.expect_silence(page)

    def test_games_without_noise(self):
        for preset, told in (("classifier28", "A classifier draws no pictures"), ("cyclegan28", "A CycleGAN translates pictures")):
            domain = ["--domain-b", "mnist:inverse"] if preset == "cyclegan28" else []
            run = self.train(preset, "--preset", preset, "--steps", "2", "--batch-size", "8", *domain)
            page = self.opened(run / "report.html")
            self.assertIn(told, page.evaluate("document.body.innerText"))
            changed = page.evaluate("""JSON.parse(document.getElementById("content").textContent).runs[0].settings.settings
                .filter((one) => one.preset !== undefined).map((one) => one.key)""")
            self.assertEqual(set(changed), {"steps", "batch_size"} | ({"domain_b"} if domain else set()))
            self.assertGreater(page.evaluate("document.images.length"), 0)
            self.expect_silence(page)

    def test_text_of_files_is_text(self):
        run = self.train("named", "--preset", "cgan", "--steps", "2", "--batch-size", "16")
        options = json.loads((run / "training_options.json").read_text())
        options["class_names"] = [HOSTILE] * 10
        options["data_path"] = HOSTILE
        (run / "training_options.json").write_text(json.dumps(options))
        with (run / "log.txt").open("a") as log:
            log.write(f"Warning: {HOSTILE}\n")
        status = json.loads((run / "status.json").read_text())
        (run / "status.json").write_text(json.dumps({**status, "message": HOSTILE}))
        named = run.parent / "00009-<img src=x onerror=alert(1)>'\"&"
        run.rename(named)
        gan_dist("report", named)
        page = self.opened(named / "report.html")
        text = page.evaluate("document.body.innerText")
        self.assertEqual(page.evaluate("document.querySelector('h1').textContent"), named.name)
        self.assertIn(named.name, page.evaluate("document.title"))
        self.assertIn(HOSTILE, text)
        self.assertIn(HOSTILE, page.evaluate("document.querySelector('select').textContent"))
        self.expect_silence(page)

    def test_damaged_and_empty_runs(self):
        run = self.train("damaged", "--preset", "mlp", "--steps", "20", "--batch-size", "16", "--log-interval", "1")
        with (run / "stats.jsonl").open("a") as stats:
            stats.write("{\"step\": 21, \"loss_d\":")
        (run / "status.json").write_text("{")
        (run / "reals.png").write_text("no picture")
        (run / "training_options.json").unlink()
        newest = max(run.glob("checkpoint-*"))
        newest.write_bytes(newest.read_bytes()[:-100])
        empty = run.parent / "00001-mlp-b64"
        empty.mkdir()
        for folder, wanted in ((run, ["1 lines of stats.jsonl", "status.json", "reals.png is no PNG", newest.name]),
                               (empty, ["stats.jsonl", "no checkpoint yet", "no pictures yet"])):
            gan_dist("report", folder)
            page = self.opened(folder / "report.html")
            text = page.evaluate("document.body.innerText")
            for part in wanted:
                self.assertIn(part, text)
            self.expect_silence(page)
        gan_dist("report", run.parent, "--out", self.folder / "both.html")
        self.expect_silence(self.opened(self.folder / "both.html"))

    def test_runs_are_compared(self):
        for seed in (1, 2, 3):
            self.train("compared", "--preset", "mlp", "--steps", "8", "--batch-size", "16", "--seed", seed, "--log-interval", "2")
        self.train("compared", "--preset", "mlp", "--steps", "8", "--batch-size", "16", "--lr", "1e-3")
        self.assertEqual(gan_dist("report", self.folder / "compared").strip(), f"{self.folder}/compared/report.html")
        page = self.opened(self.folder / "compared" / "report.html")
        rows = page.evaluate("Array.from(document.querySelectorAll('tbody tr'), (row) => row.innerText)")
        self.assertEqual(len(rows), 5)
        self.assertIn("mean ± sd of 3 seeds", rows[3])
        self.assertRegex(rows[3], r"\d ± \d")
        self.assertGreater(page.evaluate("document.querySelectorAll('.chart svg path').length"), 12)
        self.expect_silence(page)

    def test_a_phone_and_paper(self):
        run = self.train("phone", "--preset", "mlp", "--steps", "8", "--batch-size", "16", "--log-interval", "1")
        page = self.opened(run / "report.html", width=360, height=740, phone=True, dark=True)
        self.assertEqual(page.evaluate("document.scrollingElement.scrollWidth"), 360)
        small = page.evaluate("""Array.from(document.querySelectorAll(".chart svg text")).filter((text) => (
            text.getBoundingClientRect().height < 9)).length""")
        self.assertEqual(small, 0, "text in charts that is too small to read")
        self.assertGreater(len(page.printed()), 10_000)
        self.expect_silence(page)

    def test_what_is_not_a_run(self):
        for arguments, code in (([self.folder / "nothing"], 66), ([self.folder / "data"], 66), ([], 64)):
            done = subprocess.run([TRAINER, "report", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  timeout=LIMIT, check=False)
            self.assertEqual(done.returncode, code, done.stderr)

    def test_a_page_that_cannot_be_written_is_a_warning_once(self):
        (self.folder / "full").mkdir()
        run = self.train("full", "--preset", "mlp", "--steps", "2", "--batch-size", "16")
        (run / "report.html").unlink()
        (run / "report.html").mkdir()  # a folder is in the way
        gan_dist("--data", self.folder / "data", "--outdir", self.folder / "full", "--resume", run / "checkpoint-000000002.safetensors",
                 "--steps", "6", "--sample-interval", "1")
        log = (run / "log.txt").read_text()
        self.assertEqual(log.count("the run's page is not written"), 1, log)
        self.assertIn("Finished: 6 steps", log)
        shutil.rmtree(run / "report.html")


if __name__ == "__main__":
    unittest.main()
