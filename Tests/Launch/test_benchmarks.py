"""The scripts that measure run, and refuse what they must; how fast anything is, no test says."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "launch" / "compare.d"))

from contenders import Peer  # noqa: E402 - found by the line above
from networks import networks, parameters  # noqa: E402
from report import Report, Series  # noqa: E402

LIMIT = 400  # seconds


def run(script, *arguments, **variables):
    return subprocess.run([ROOT / "launch" / script, *map(str, arguments)], env={**os.environ, **variables}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, check=False)


def write_images(folder, count=640):
    sizes = [count, 28, 28]
    pixels = bytes((31 * i + i // 784) % 256 for i in range(count * 784))
    Path(folder, "train-images-idx3-ubyte").write_bytes(
        b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in sizes) + pixels)
    Path(folder, "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + count.to_bytes(4, "big") + bytes(count))


class Scaling(unittest.TestCase):
    def test_splits_every_step_and_traces_it(self):
        with tempfile.TemporaryDirectory() as folder:
            write_images(folder)
            done = run("scaling", "--preset", "mlp", "--ranks", "1,2", "--steps", 40, "--repeats", 1, "--strong",
                       "--csv", f"{folder}/table.csv", "--trace", f"{folder}/trace.json", "--", "--data", folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("time by rank", done.stdout)
            rows = list(csv.DictReader(Path(folder, "table.csv").read_text().splitlines()))
            self.assertEqual([row["ranks"] for row in rows], ["1", "2"])
            for row in rows:
                shares = [float(share) for key in ("communication_by_rank", "waiting_by_rank") for share in row[key].split()]
                self.assertEqual(len(shares), 2 * int(row["ranks"]))
                self.assertTrue(all(0 <= share < 1 for share in shares), shares)
            events = json.loads(Path(folder, "trace.json").read_text())["traceEvents"]
            self.assertEqual({event["tid"] for event in events}, {0, 1, 2, 3})

    def test_a_failed_run_gives_its_code(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run("scaling", "--preset", "mlp", "--ranks", "1", "--steps", 20, "--repeats", 1, "--", "--data", folder)
            self.assertEqual(done.returncode, 66, done.stderr)

    def test_arguments_that_the_preset_refuses(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run("scaling", "--preset", "dcgan28", "--ranks", "1", "--", "--data", folder, "--image-size", 30)
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertIn("refuses preset dcgan28", done.stderr)


class Compare(unittest.TestCase):
    def test_usage_errors(self):
        for arguments in (["--ranks", "0"], ["--peers", "caffe"], ["--preset", "nothing"], ["--seconds", "-1"],
                          ["--channels", "2"], ["--image-size", "0"], ["--preset", "dcgan28", "--image-size", "30"]):
            done = run("compare", *arguments)
            self.assertEqual(done.returncode, 64, done.stderr)

    def test_parameters_of_residual_blocks_count(self):
        convolution = dict(type="conv2d", inputs=4, outputs=4, kernel=3, bias=False)
        block = dict(type="residual", layers=[convolution, dict(type="instance_norm", channels=4)])
        plan = dict(game="cyclegan", generator_ab=[block], generator_ba=[block, block], discriminator_a=[convolution],
                    discriminator_b=[dict(convolution, bias=True), dict(type="instance_norm", channels=4, affine=True)])
        self.assertEqual([parameters(layers) for _, layers in networks(plan)], [144, 288, 144, 156])

    def test_a_report_that_cannot_be_written(self):
        self.assertEqual(run("compare", "--json", "/nowhere/report.json").returncode, 74)

    def test_a_peer_that_hangs_is_left_out(self):
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "worker.py")
            script.write_text("import sys, time\nprint('{}', flush=True)\nsys.stdin.readline()\ntime.sleep(1000)\n")
            peer = Peer("PyTorch", "sleeper", script, {})
            peer.prepare(dict(cores=[0], parameters=[1, 1]), sys.executable, folder)
            try:
                peer.start()
                self.assertIsNone(peer.problem)
                peer.workers[0].stdin.write("1\n")
                peer.workers[0].stdin.flush()
                self.assertEqual(peer.answer(0.5), {})
                self.assertIn("no answer within 0.5 s", peer.problem)
            finally:
                peer.stop()

    def test_bf16_is_compared_with_bf16(self):
        class Contender:
            def __init__(self, peer, precision):
                self.peer, self.name, self.precision = peer, f"{peer} {precision}", precision

        def series(peer, precision, rate):
            one = Series(Contender(peer, precision))
            one.rates = [rate]
            return one

        found = [series("gan-dist", "fp32", 100), series("gan-dist", "bf16", 180), series("PyTorch", "fp32", 50),
                 series("PyTorch", "bf16", 60)]
        Report(dict(batch_size=64)).add(1, found, [])
        self.assertEqual([one.ratios for one in found[2:]], [[2], [3]])
        without = [found[0], found[3]]
        Report(dict(batch_size=64)).add(1, without, [])
        self.assertEqual(without[1].ratios, [100 / 60])

    @unittest.skipUnless(importlib.util.find_spec("ensurepip") and sys.version_info >= (3, 11), "no venv, or an old Python")
    def test_without_a_way_to_the_packages_nothing_is_left(self):
        with tempfile.TemporaryDirectory() as cache:
            # Nobody listens there.
            done = run("compare", "--preset", "mlp", XDG_CACHE_HOME=cache, PIP_INDEX_URL="http://127.0.0.1:9/simple",
                       PIP_CONFIG_FILE=os.devnull)
            self.assertEqual(done.returncode, 66, done.stderr)
            self.assertIn("pip", done.stderr)
            self.assertEqual(list(Path(cache, "gan-dist").iterdir()), [])


if __name__ == "__main__":
    unittest.main()
