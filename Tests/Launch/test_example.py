"""Tests/Example: a package of its own with a layer of its own, which trains over mpirun."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from checkout import LIMIT, ROOT, TRAINER, write_images  # noqa: E402 - found by the line above

BUILD = ROOT / ".build" / "example"
BUILD_LIMIT = 1800


def read(path):
    """The header and the rest of a safetensors file."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


class Example(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        swift = shutil.which("swift") or "/opt/swift/usr/bin/swift"
        built = subprocess.run([swift, "build", "--package-path", ROOT / "Tests" / "Example", "--scratch-path", BUILD],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=BUILD_LIMIT, check=False)
        if built.returncode != 0:
            raise AssertionError(built.stdout[-5000:])

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="example "))
        self.addCleanup(shutil.rmtree, self.folder)
        write_images(self.folder / "data")

    def train(self, name, *launcher):
        """The checkpoint of a training in a folder of its own."""
        folder = self.folder / name
        folder.mkdir()
        (folder / "data").symlink_to(self.folder / "data")
        done = subprocess.run([*launcher, BUILD / "debug" / "Example", "20"], cwd=folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        found = list(folder.glob("runs/*/checkpoint-000000020.safetensors"))
        self.assertEqual(len(found), 1, done.stdout)
        return found[0]

    def test_same_bytes_with_a_layer_of_its_own(self):
        alone = self.train("alone")
        header, numbers = read(alone)
        for ranks in ("2", "3"):
            self.assertEqual(read(self.train(ranks, "mpirun", "-np", ranks))[1], numbers, f"{ranks} ranks")
        for layer in (1, 3):
            slopes = header[f"discriminator.main.{layer}.weight"]
            self.assertEqual((slopes["dtype"], slopes["shape"]), ("F32", [256]))
            first, end = slopes["data_offsets"]
            values = memoryview(numbers[first:end]).cast("f")
            self.assertGreater(sum(value != 0.25 for value in values), 200, "slopes that training has changed")
            self.assertTrue(all(-1 < value < 1 for value in values))

    def test_others_name_the_layer_that_they_do_not_know(self):
        done = subprocess.run([TRAINER, "hash", "--checkpoint", self.train("alone")], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 65, done.stdout)
        self.assertRegex(done.stdout, r'field discriminator\.\[1\]: unknown layer type "prelu"; known are linear, ')

    def test_it_is_as_short_as_the_documentation_says(self):
        lines = [line for path in (ROOT / "Tests" / "Example" / "Sources").rglob("*.swift") for line in path.read_text().splitlines()]
        self.assertLessEqual(sum(bool(re.search(r"\S", line)) for line in lines), 42)


if __name__ == "__main__":
    unittest.main()
