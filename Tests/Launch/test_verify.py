"""What launch/verify's cases train on is what they say."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2] / "launch" / "verify.d")]

import cases  # noqa: E402 - found by the line above
from checkout import LIMIT, TRAINER  # noqa: E402

FOUND = {  # dataset, image_size, channels
    "grey-36x20": ("unlabelled", [36, 20], 1),
    "letters": ("emnist-letters", 28, 1),
    "colour-24x20": ("pictures", 16, 1),
    "jpeg": ("jpeg", 28, 3),
    "colour-32": ("pictures", 32, 3),
    "colour-64": ("cifar10", 64, 3),
}


class Data(unittest.TestCase):
    @unittest.skipUnless(TRAINER.exists(), "the program is not built")
    def test_the_trainer_finds_the_pictures_that_are_meant(self):
        self.assertEqual(FOUND.keys(), cases.DATA.keys())
        for case, make in cases.DATA.items():
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch, make.__name__)
                folder.mkdir()
                done = subprocess.run([TRAINER, "train", *cases.CASES[case], "--data", make(folder), "--dry-run"],
                                      stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=True)
            plan = json.loads(done.stdout)
            self.assertEqual((plan["dataset"], plan["image_size"], plan.get("channels", 1)), FOUND[case], case)

    def test_every_case_has_golden_hashes_where_decoders_agree(self):
        golden = json.loads(cases.GOLDEN.read_text())["short"]
        self.assertEqual(golden.keys(), cases.CASES.keys() - cases.NOT_GOLDEN)


if __name__ == "__main__":
    unittest.main()
