"""Tests/hostile-life passes a trainer that does all that is asked, and tells what another one does wrong. No MPI is needed."""

import argparse
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

TESTS = Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TESTS / "hostile.d"))

import jobs  # noqa: E402 - found by the line above
import lives  # noqa: E402

SCRIPT = TESTS / "hostile-life"
LIMIT = 300  # seconds
hostile_life = jobs.load(SCRIPT)


def make_trainer(folder):
    """An executable that /proc calls by its own name, not by its interpreter's."""
    program = Path(folder, "gan-dist-made-up")
    program.write_text(f"#!{sys.executable}\n" + Path(__file__).with_name("made_up_trainer.py").read_text())
    program.chmod(0o755)
    return program


class Script(unittest.TestCase):
    def run_script(self, *arguments, faults=""):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "GAN_DIST_BINARY": str(make_trainer(folder)), "FAULTS": faults, "PACE": "0.01"}
            return subprocess.run([SCRIPT, *map(str, arguments)], env=environment, text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, check=False)

    def test_help_and_usage(self):
        done = self.run_script("--help")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("--keep-folder", done.stdout)
        for arguments in (["--ranks", "0"], ["--ranks", "1,x"], ["--steps", "0"], ["--nothing"]):
            self.assertEqual(self.run_script(*arguments).returncode, 64)

    def test_the_same_bytes(self):
        done = self.run_script("--seconds", 10, "--seed", 5, "--steps", 200, "--ranks", 1)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("the same bytes as the undisturbed run", done.stdout)
        self.assertIn("--seed 5", done.stdout)

    def test_other_bytes(self):
        done = self.run_script("--seconds", 0, "--steps", 50, "--ranks", 1, faults="weights")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for said in ("other weights after step 50", "another state than undisturbed", "To repeat", "NOT as it must be"):
            self.assertIn(said, done.stdout)

    def test_no_undisturbed_run(self):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "GAN_DIST_BINARY": str(Path("/bin/false")), "TMPDIR": folder}
            done = subprocess.run([SCRIPT, "--ranks", "1"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=LIMIT, check=False)
            self.assertEqual((done.returncode, os.listdir(folder)), (70, []), "nothing is left behind")


class Judgement(unittest.TestCase):
    """Single lives of a trainer with a fault."""

    def setUp(self):
        scratch = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(jobs.verify, "BINARY", make_trainer(scratch)))
        options = argparse.Namespace(seed=1, steps=200, ranks=[1])
        self.world = hostile_life.World(options, scratch)
        self.addCleanup(self.world.close)
        self.enterContext(mock.patch.object(hostile_life, "say", lambda text: None))
        self.world.train_undisturbed()
        self.training = jobs.Training(self.world.space / "training")
        self.training.outdir.mkdir()

    def live(self, limit, disturb=lives.Life.nothing, faults="", pace=0.0):
        """What is wrong after a life."""
        self.world.environment.update(FAULTS=faults, PACE=str(pace))
        life = lives.Life(self.world, self.training, 1)
        life.newest, life.limit, life.keep = self.training.newest(), limit, 3
        life.run(lambda: disturb(life))
        return " / ".join(life.problems)

    def assert_tells(self, said, *arguments, **how):
        self.assertEqual(self.live(30), "")
        self.assertIn(said, self.live(*arguments, **how))

    def test_a_fresh_start(self):
        self.assert_tells("started afresh", 60, faults="afresh")

    def test_lines_twice(self):
        self.assert_tells("steps twice", 60, faults="stats")

    def test_second_writer(self):
        self.assertEqual(self.live(30), "")
        self.assertEqual(self.live(100, lives.Life.second_writer, pace=0.05), "")
        self.assertIn("a second writer ends with 0", self.live(200, lives.Life.second_writer, faults="lock", pace=0.05))

    def test_leftovers(self):
        self.assertEqual(self.live(30), "")
        leftover = self.training.newest().path.with_name(lives.LEFTOVER)
        leftover.write_bytes(b"half")
        self.assertIn(lives.LEFTOVER, self.live(60, faults="leftovers"))
        leftover.write_bytes(b"half")
        self.assertEqual(self.live(90), "")

    def test_damaged_checkpoint(self):
        self.assertEqual(self.live(30), "")
        os.truncate(self.training.newest().path, 1000)
        self.assertEqual(self.live(60), "")
        os.truncate(self.training.newest().path, 0)
        self.assertIn("no line of the log says so", self.live(90, faults="mute"))

    def test_lost_checkpoints(self):
        def lose(life):
            code = life.nothing()
            for path in self.training.outdir.glob("*/checkpoint-*"):
                path.unlink()
            return code
        self.assert_tells("was safe, now only step 0 is", 60, lose)

    def test_code_of_a_signal(self):
        def stop(life):
            job = life.start()
            job.until(job.has_begun)
            jobs.send(job.process.pid, "TERM")
            life.allowed = life.codes_of({"TERM"}, "the process", is_heard=True, has_begun=True)
            return job.wait()
        self.assertEqual(self.live(100, stop, pace=0.05), "")
        self.assertIn("ended with 0", self.live(200, stop, faults="code", pace=0.05))

    def test_codes(self):
        life = lives.Life(self.world, self.training, 1)
        for ranks, names, target, is_heard, has_begun, codes in [
                (1, {"USR1"}, "the process", True, False, {75}), (1, {"HUP"}, "the process", True, True, {75}),
                (1, {"HUP"}, "the process", False, False, {75, 129}), (1, {"KILL"}, "the process", True, False, {137}),
                (5, {"USR1"}, "mpirun", True, False, {75}), (5, {"USR1"}, "mpirun", False, False, {lives.ANY}),
                (5, {"TERM"}, "mpirun", True, True, {lives.ANY}), (5, {"TERM"}, "a rank", True, True, {75, 143}),
                (5, {"USR1", "TERM"}, "a rank", True, True, {75}), (5, {"KILL"}, "a rank", True, True, {137}),
                (5, {"USR2"}, "mpirun", True, True, {0}), (5, {"STOP", "CONT"}, "a rank", True, False, {0})]:
            life.ranks = ranks
            self.assertEqual(life.codes_of(names, target, is_heard, has_begun), codes, (ranks, names, target))

    def test_a_hang(self):
        with mock.patch.object(jobs, "JOB_LIMIT", 2):
            said = self.live(30, faults="hang")
        self.assertRegex(said, r"hangs after 2 s: rank 0, process \d+, state \w")
        self.assertEqual(jobs.marked(f"GAN_DIST_LIFE={os.getpid()}."), [])


if __name__ == "__main__":
    unittest.main()
