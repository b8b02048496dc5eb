"""The batch scripts and the launcher of the MPIJob, with stand-ins for Slurm and mpirun."""

import re
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from checkout import LIMIT, ROOT, Checkout, until  # noqa: E402 - found by the line above

# Lists what it speaks, at length: a reader that stops at the first match would end it by SIGPIPE. As a job it runs TASK.
SRUN = r"""#!/bin/bash
if [[ $1 == --mpi=list ]]; then
    printf 'MPI plugin types are...\n\tnone\n\t%s\n' "${KIND:-pmix}"
    seq 100000
    exit
fi
printf 'srun %s\n' "$*" >>"$RECORD"
printf 'GAN_DIST_COMMAND=%s\n' "${GAN_DIST_COMMAND-}" >>"$RECORD"
eval "$TASK"
"""
MPIRUN = SRUN.replace("srun %s", "mpirun %s")
SCONTROL = '#!/bin/bash\nprintf "scontrol %s\\n" "$*" >>"$RECORD"\nexit "${SCONTROL_CODE:-0}"\n'
# Slurm ends the script while it waits for that.
SLEEP = '#!/bin/bash\n[[ $1 == 60 ]] || exec /bin/sleep "$@"\n'

LISTENS = "trap 'exit 75' USR1; echo the first line; while :; do /bin/sleep 0.1; done"


class Slurm(unittest.TestCase):
    def setUp(self):
        self.checkout = Checkout()
        self.addCleanup(self.checkout.__exit__)
        for name, text in dict(srun=SRUN, mpirun=MPIRUN, scontrol=SCONTROL, sleep=SLEEP).items():
            self.checkout.tool(name, text)
        for name in [name for name in self.checkout.environment if name.startswith("SLURM_")]:
            del self.checkout.environment[name]
        self.checkout.environment |= dict(SLURM_SUBMIT_DIR=str(self.checkout.root), SLURM_JOB_ID="7", SLURM_NTASKS="2")

    def start(self, *arguments, script="gan-dist", **variables):
        """As Slurm does: a copy of the script, somewhere else."""
        copy = self.checkout.folder / "slurm_script"
        copy.write_bytes((self.checkout.root / "cluster" / f"{script}.sbatch").read_bytes())
        return subprocess.Popen(["bash", copy, *arguments], cwd="/", env={**self.checkout.environment, **variables}, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self, job):
        self.output, self.errors = job.communicate(timeout=LIMIT)
        return job.returncode

    def submit(self, *arguments, **variables):
        self.checkout.record.write_text("")
        return self.end(self.start(*arguments, **variables))

    def called(self, name):
        return [line for line in self.checkout.recorded() if line.startswith(name + " ")]

    def test_the_launcher(self):
        self.assertEqual(self.submit("--preset", "mlp", TASK="echo line"), 0)
        [call] = self.called("srun")
        self.assertIn("--mpi=pmix", call)
        self.assertIn("--kill-on-bad-exit=1", call)
        self.assertIn("train --resume auto --preset mlp", call)
        self.assertEqual(self.output, "line\n")
        self.assertIn("GAN_DIST_COMMAND=sbatch cluster/gan-dist.sbatch", self.checkout.recorded())
        self.assertEqual(self.submit(TASK="echo line", KIND="pmi2"), 0)
        [call] = self.called("mpirun")
        self.assertIn("-np 2 --bind-to none", call)
        self.assertEqual(self.submit(TASK="", LAUNCHER="mpirun", CDPATH="/tmp", POSIXLY_CORRECT="1"), 0)
        self.assertEqual(len(self.called("mpirun")), 1)
        self.assertEqual(self.submit(TASK="", LAUNCHER="ssh"), 64)
        self.assertEqual(self.submit(TASK="", GAN_DIST="/nowhere"), 66)

    def test_what_goes_back_into_the_queue(self):
        for code in (0, 64, 65, 66, 70, 74, 75, 137, 139, 205, 255):
            self.assertEqual(self.submit(TASK=f"echo line; exit {code}"), code)
            self.assertEqual(self.called("scontrol"), ["scontrol requeue 7"] * (code in (75, 137, 205, 255)), code)
            self.assertEqual(len(self.called("srun")), 1)
        self.assertEqual(self.submit(TASK="exit 75", SLURM_RESTART_COUNT="100"), 75)
        self.assertEqual(self.called("scontrol"), [])
        self.assertIn("sbatch again", self.errors)
        self.assertEqual(self.submit(TASK="exit 75", SCONTROL_CODE="1"), 75)
        self.assertIn("sbatch again", self.errors)

    def test_a_member_of_an_array_queues_itself_alone(self):
        self.submit(TASK="exit 75", SLURM_JOB_ID="7", SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="3")
        self.assertEqual(self.called("scontrol"), ["scontrol requeue 7_3"])

    def test_a_start_that_crashes_is_tried_once_more(self):
        for code in (134, 137, 139):
            self.assertEqual(self.submit(TASK=f'[[ $(grep -c ^srun "$RECORD") == 2 ]] && echo line && exit 0; exit {code}'), 0)
            self.assertEqual(len(self.called("srun")), 2)
            self.assertIn(f"crashed with code {code}", self.errors)
            self.assertEqual(self.submit(TASK=f"exit {code}"), code)
            self.assertEqual(len(self.called("srun")), 2)
        # What was under way, or says what is wrong, would only come again.
        self.assertEqual(self.submit(TASK="echo line; exit 139"), 139)
        self.assertEqual(len(self.called("srun")), 1)
        self.assertEqual(self.submit(TASK="exit 65"), 65)
        self.assertEqual(len(self.called("srun")), 1)

    def test_a_resume_of_the_users_holds_once(self):
        for words in (["--resume", "file"], ["--resume=file"]):
            self.submit(*words, "--lr", "1", TASK="")
            self.assertTrue(self.called("srun")[0].endswith(f"train {' '.join(words)} --lr 1"))
            self.submit(*words, "--lr", "1", TASK="", SLURM_RESTART_COUNT="1")
            self.assertTrue(self.called("srun")[0].endswith("train --resume auto --lr 1"))

    def test_signals(self):
        for number, requeued in ((signal.SIGUSR1, True), (signal.SIGTERM, False)):
            self.checkout.record.write_text("")
            job = self.start(TASK=LISTENS)
            self.assertEqual(job.stdout.readline(), "the first line\n")
            job.send_signal(number)
            self.assertEqual(self.end(job), 75, self.errors)
            self.assertEqual(bool(self.called("scontrol")), requeued)

    def test_a_signal_that_the_start_does_not_hear(self):
        # It is deaf, then it listens: what came in between must come again.
        deaf = "trap '' USR1; exec python3 -c '" + (
            "import os, signal, sys, time; open(os.environ[\"RECORD\"] + \".up\", \"w\").close(); time.sleep(1); "
            "signal.signal(signal.SIGUSR1, lambda *_: os._exit(75)); time.sleep(1000)") + "'"
        job = self.start(TASK=deaf)
        until((self.checkout.folder / "record.up").exists, "the start")
        job.send_signal(signal.SIGUSR1)
        self.assertEqual(self.end(job), 75, self.errors)
        self.assertEqual(self.called("scontrol"), ["scontrol requeue 7"])

    def test_a_signal_that_ends_the_start(self):
        job = self.start(TASK='touch "$RECORD.up"; while :; do /bin/sleep 0.1; done')
        until((self.checkout.folder / "record.up").exists, "the start")
        job.send_signal(signal.SIGUSR1)
        self.assertEqual(self.end(job), 75, self.errors)
        self.assertEqual(len(self.called("srun")), 1)
        self.assertEqual(self.called("scontrol"), ["scontrol requeue 7"])

    def test_a_signal_before_the_start(self):
        self.checkout.tool("srun", SRUN.replace("seq 100000", 'touch "$RECORD.up"; /bin/sleep 1'))
        job = self.start(TASK="exit 1")
        until((self.checkout.folder / "record.up").exists, "the question what srun speaks")
        job.send_signal(signal.SIGUSR1)
        self.assertEqual(self.end(job), 75, self.errors)
        self.assertEqual(self.called("srun"), [])
        self.assertEqual(self.called("scontrol"), ["scontrol requeue 7"])

    def test_a_log_that_cannot_be_written(self):
        copy = self.checkout.root / "cluster" / "gan-dist.sbatch"
        with open("/dev/full", "w") as full:
            done = subprocess.run(["bash", copy], stdout=full, stderr=full, timeout=LIMIT, check=False,
                                  env={**self.checkout.environment, "TASK": "seq 100000 && exit 65"})
        self.assertEqual(done.returncode, 65)

    def test_the_members_of_a_sweep(self):
        found = set()
        for member in range(9):
            self.assertEqual(self.submit("--preset", "mlp", script="sweep", TASK="", SLURM_ARRAY_JOB_ID="7",
                                         SLURM_ARRAY_TASK_ID=str(member)), 0, self.errors)
            lr, seed, outdir = re.search(r"--lr (\S+) --seed (\S+) --outdir (\S+) --preset mlp$", self.called("srun")[0]).groups()
            self.assertEqual(outdir, f"runs/sweep/lr{lr}-seed{seed}")
            found.add((lr, seed))
        self.assertEqual(found, {(lr, seed) for lr in ("1e-4", "2e-4", "4e-4") for seed in "012"})
        directives = (ROOT / "cluster" / "sweep.sbatch").read_text()
        self.assertIn("#SBATCH --array=0-8\n", directives)
        for member in ("9", None):
            variables = dict(SLURM_ARRAY_TASK_ID=member) if member else {}
            self.assertEqual(self.submit(script="sweep", TASK="", **variables), 64)
            self.assertIn("--array=0-8", self.errors)
        self.submit(script="sweep", TASK="", SLURM_ARRAY_TASK_ID="3", SEEDS="5 6", LEARNING_RATES="1e-3 2e-3", OUTDIR="o")
        self.assertTrue(self.called("srun")[0].endswith("--lr 2e-3 --seed 6 --outdir o/lr2e-3-seed6"))

    def test_a_member_of_a_sweep_hears_signals(self):
        job = self.start(script="sweep", TASK=LISTENS, SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="0")
        self.assertEqual(job.stdout.readline(), "the first line\n")
        job.send_signal(signal.SIGUSR1)
        self.assertEqual(self.end(job), 75, self.errors)
        self.assertEqual(self.called("scontrol"), ["scontrol requeue 7_0"])

    def test_both_scripts_ask_slurm_for_the_same(self):
        def asked(name):
            text = (ROOT / "cluster" / f"{name}.sbatch").read_text()
            return {line for line in text.splitlines() if line.startswith("#SBATCH")
                    and not re.search("job-name|ntasks|array|output", line)}

        self.assertEqual(asked("gan-dist"), asked("sweep"))


class Kubernetes(unittest.TestCase):
    """The launcher's command, out of the manifest."""

    def setUp(self):
        self.checkout = Checkout()
        self.addCleanup(self.checkout.__exit__)
        self.checkout.tool("mpirun", MPIRUN)
        text = (ROOT / "cluster" / "mpijob.yaml").read_text()
        block = re.search(r"\n +- \|\n((?: {18}.*\n)+)", text).group(1)
        self.script = re.sub(r"(?m)^ {18}", "", block)

    def start(self, task):
        return subprocess.Popen(["bash", "-c", self.script, "gan-dist", "--preset=mlp"], cwd=self.checkout.folder, text=True,
                                env={**self.checkout.environment, "TASK": task}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def end(self, job):
        job.communicate(timeout=LIMIT)
        return job.returncode

    def test_codes(self):
        for code in (0, 65, 75, 137, 139):
            self.assertEqual(self.end(self.start(f"exit {code}")), code)
        self.assertIn("train --resume auto --data /data --outdir /runs --preset=mlp", self.checkout.record.read_text())

    def test_an_eviction(self):
        job = self.start(LISTENS)
        self.assertEqual(job.stdout.readline(), "the first line\n")
        job.send_signal(signal.SIGTERM)
        self.assertEqual(self.end(job), 75)

    def test_an_eviction_during_the_start(self):
        job = self.start('touch "$RECORD.up"; while :; do /bin/sleep 0.1; done')
        until((self.checkout.folder / "record.up").exists, "the start")
        job.send_signal(signal.SIGTERM)
        self.assertEqual(self.end(job), 75)


if __name__ == "__main__":
    unittest.main()
