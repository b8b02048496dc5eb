"""Films of a run's grids, as Pillow reads them."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("GAN_DIST_BINARY", ROOT / ".build" / "release" / "gan-dist"))
REQUIREMENT = "Pillow==13.0.0"
LIMIT = 300  # seconds

# What Pillow's Python runs: writes made-up grids, or prints what a film holds.
WRITE = """
import random, sys
from PIL import Image
folder, mode, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
rng = random.Random(mode)
for step in range(count):
    shape = (122, 92)
    picture = Image.frombytes(mode, shape, bytes(rng.randrange(256) for _ in range(shape[0] * shape[1] * len(mode))))
    name = "init" if step == 0 else f"{step * 100:06}"
    picture.save(f"{folder}/fakes-{name}.png")
"""
READ = """
import glob, json, sys
from PIL import Image
folder, film = sys.argv[1:]
names = [f"{folder}/fakes-init.png"] + sorted(glob.glob(f"{folder}/fakes-0*.png"))
shown = Image.open(film)
frames = []
for number, name in enumerate(names):
    shown.seek(number)
    pairs = zip(shown.convert("RGB").tobytes(), Image.open(name).convert("RGB").tobytes())
    worst = max(abs(a - b) for a, b in pairs)
    frames.append((shown.info["duration"], worst))
print(json.dumps({"format": shown.format, "count": shown.n_frames, "size": shown.size, "loop": shown.info["loop"], "frames": frames}))
"""


def pillow():
    """The Python that has Pillow; installs it where this is the first time. All or nothing."""
    key = hashlib.sha256(f"{REQUIREMENT} {sys.version}".encode()).hexdigest()[:12]
    folder = ROOT / ".build" / f"pillow-{key}"
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            subprocess.run([sys.executable, "-m", "venv", partial], check=True, timeout=LIMIT)
            subprocess.run([partial / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                            "--no-input", "--only-binary=:all:", REQUIREMENT], check=True, timeout=LIMIT)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder / "bin" / "python"


class Animate(unittest.TestCase):
    def film(self, mode, suffix):
        """What Pillow finds in a film of five grids."""
        python = pillow()
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([python, "-c", WRITE, folder, mode, "5"], check=True, timeout=LIMIT)
            film = f"{folder}/film.{suffix}"
            done = subprocess.run([BINARY, "animate", folder, "--out", film, "--fps", "8", "--hold", "1.5"], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            found = subprocess.run([python, "-c", READ, folder, film], check=True, stdout=subprocess.PIPE, timeout=LIMIT).stdout
        return json.loads(found)

    def test_frames(self):
        for mode, suffix, worst in (("L", "gif", 0), ("RGB", "gif", 26), ("L", "png", 0), ("RGB", "png", 0)):
            with self.subTest(mode=mode, suffix=suffix):
                found = self.film(mode, suffix)
                self.assertEqual(found["format"], suffix.upper())
                self.assertEqual(found["count"], 5)
                self.assertEqual(found["size"], [122, 92])
                self.assertEqual(found["loop"], 0)
                # An eighth of a second is 12 or 13 hundredths.
                times = [time for time, _ in found["frames"]]
                self.assertTrue(all(abs(time - 125) <= 5 for time in times[:-1]), times)
                self.assertAlmostEqual(times[-1], 1500, delta=5)
                self.assertTrue(all(off <= worst for _, off in found["frames"]), found["frames"])
                self.assertTrue(worst == 0 or max(off for _, off in found["frames"]) > 0)


if __name__ == "__main__":
    unittest.main()
