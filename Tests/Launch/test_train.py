"""launch/train as it is used: in a terminal, in a pipe, under a bare environment, moved elsewhere."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from checkout import CALLED, LIMIT, MPIRUN, PROGRAM, ROOT, SWIFT, TRAINER  # noqa: E402 - found by the line above
from checkout import Checkout, Terminal, descendants, fields, ranks, until, write_images, write_script  # noqa: E402

SCRIPTS = ["check-symbols", "compare", "fetch-mnist", "fuzz", "hosts", "scaling", "test", "train", "verify"]


def fake():
    """A checkout that trains by stand-ins, and notes what would install, build or fetch."""
    checkout = Checkout()
    checkout.tool("mpirun", MPIRUN)
    for name in ("swift", "swiftly", "apt-get", "sudo", "curl"):
        checkout.tool(name, CALLED)
    write_script(checkout.root / "launch" / "fetch-mnist", CALLED)
    return checkout


class Arguments(unittest.TestCase):
    def mpirun(self, *arguments, **variables):
        """What mpirun was called with."""
        with fake() as checkout:
            done = checkout.run("launch/train", "--data=d", *arguments, **variables)
            self.assertEqual(done.returncode, 0, done.stderr)
            return checkout.recorded()

    def test_ranks_anywhere(self):
        for words in (["-np", "3", "--steps", "5"], ["--steps", "5", "-np", "3"], ["--quiet", "-n", "3", "--steps", "5"],
                      ["--steps", "5", "--np=3"], ["-np=3", "--steps", "5"], ["-np", "2", "--steps", "5", "-np", "3"]):
            called, program, command = self.mpirun(*words)
            self.assertIn("mpirun -np 3 ", called)
            self.assertTrue(program.startswith("train --data=d"), program)
            self.assertNotIn("3", program)
            self.assertIn("--steps 5", program)
            self.assertTrue(command.endswith("launch/train -np 3"), command)

    def test_ranks_that_are_none(self):
        with fake() as checkout:
            for words in (["-np"], ["-np", "0"], ["-n", "x"], ["--np="], ["--steps", "5", "-np", "-1"], ["-np", "²"]):
                done = checkout.run("launch/train", *words)
                self.assertEqual(done.returncode, 64, words)
                self.assertIn("ranks", done.stderr)
            self.assertEqual(checkout.recorded(), [])

    def test_what_the_trainer_is_told(self):
        command = self.mpirun()[-1]
        self.assertTrue(command.startswith("GAN_DIST_COMMAND=/"), command)
        # It can be typed as it is.
        word = subprocess.run(["bash", "-c", f'set -- {command.partition("=")[2]}; printf "%s\n" $# "$1"'],
                              stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
        self.assertEqual(word[0], "1")
        self.assertTrue(word[1].endswith("repository/launch/train"), word)
        self.assertEqual(self.mpirun(GAN_DIST_COMMAND="mine")[-1], "GAN_DIST_COMMAND=mine")

    def test_other_commands(self):
        with fake() as checkout:
            checkout.run("launch/train", "train", "--data=d")
            checkout.run("launch/train", "sample", "--count", 3)
            recorded = checkout.recorded()
            self.assertEqual([recorded[1], recorded[3]], ["train --data=d", "sample --count 3"])
            self.assertEqual(checkout.run("launch/train", "sample", "--help").stdout, "the help of sample --help\n")

    def test_help(self):
        with fake() as checkout:
            for words in (["--help"], ["help"], ["--steps", "3", "-h"], ["train", "--help"]):
                done = checkout.run("launch/train", *words)
                self.assertEqual(done.returncode, 0)
                self.assertIn("launch/train [-np RANKS]", done.stdout)
                self.assertIn("the help of train", done.stdout)
            shutil.rmtree(checkout.root / ".build")
            done = checkout.run("launch/train", "--help")
            self.assertEqual(done.returncode, 0)
            self.assertIn("launch/train [-np RANKS]", done.stdout)
            self.assertEqual(checkout.recorded(), [])


class Data(unittest.TestCase):
    def test_fetched_only_where_no_folder_was_named(self):
        with fake() as checkout:
            for words in (["--data", "pictures"], ["--data=pictures"], ["--data", "data"]):
                done = checkout.run("launch/train", *words)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertFalse([line for line in checkout.recorded() if line.startswith("fetch-mnist")], words)
            checkout.run("launch/train")
            self.assertEqual(checkout.recorded()[-1], "fetch-mnist --dataset mnist")

    def test_images_that_are_there_are_not_fetched(self):
        for place in ("data", "data/MNIST/raw"):
            for name in ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "train-images.idx3-ubyte"):
                with fake() as checkout:
                    write_images(checkout.folder / place, 1)
                    (checkout.folder / place / "train-images-idx3-ubyte").rename(checkout.folder / place / name)
                    self.assertEqual(checkout.run("launch/train").returncode, 0, (place, name))

    def test_only_what_can_be_fetched_is(self):
        with fake() as checkout:
            for name in ("kmnist", "emnist-letters", "cifar10", "data"):
                done = checkout.run("launch/train", FAKE_DATASET=name)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertFalse([line for line in checkout.recorded() if line.startswith("fetch-mnist")], name)
            checkout.run("launch/train", FAKE_DATASET="fashion")
            self.assertEqual(checkout.recorded()[-1], "fetch-mnist --dataset fashion")

    @unittest.skipUnless(TRAINER.exists(), "the program is not built")
    def test_a_folder_that_holds_two_sets(self):
        with Checkout(TRAINER) as checkout:
            write_script(checkout.root / "launch" / "fetch-mnist", CALLED)
            for place in ("data/MNIST/raw", "data/FashionMNIST/raw"):
                write_images(checkout.folder / place)
            done = checkout.run("launch/train", "-np", 1, "--preset", "mlp", "--steps", 1)
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertIn("--dataset", done.stderr)
            for name in ("mnist", "fashion"):
                done = checkout.run("launch/train", "-np", 1, "--preset", "mlp", "--steps", 1, "--dataset", name)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
            done = checkout.run("launch/train", "-np", 1, "--preset", "mlp", "--steps", 1, "--dataset", "kmnist")
            self.assertEqual(done.returncode, 66, done.stderr)
            self.assertEqual(checkout.recorded(), [])

    @unittest.skipUnless(TRAINER.exists(), "the program is not built")
    def test_what_a_named_folder_lacks_is_the_trainers_word(self):
        with Checkout(TRAINER) as checkout:
            pictures = checkout.folder / "my pictures"
            pictures.mkdir()
            (pictures / "1.png").write_bytes(b"")
            for folder in (pictures, checkout.folder / "misspelt"):
                done = checkout.run("launch/train", "-np", 1, "--data", folder)
                self.assertIn(done.returncode, (65, 66), done.stderr)
                self.assertIn("gan-dist: ", done.stderr)
            self.assertEqual([path.name for path in pictures.iterdir()], ["1.png"])
            self.assertFalse((checkout.folder / "misspelt").exists())


class Environment(unittest.TestCase):
    """Nothing that is exported, and nothing that is not, changes what the scripts do."""

    def test_bare(self):
        for kept in (["HOME"], []):
            with fake() as checkout:
                environment = {name: checkout.environment[name] for name in kept if name in checkout.environment}
                environment |= dict(RECORD=str(checkout.record), PATH=f"{checkout.tools}:/usr/bin:/bin")
                done = checkout.run("launch/train", "--data", "d", environment=environment)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(checkout.recorded()[1], "train --data d")

    def test_swift_is_not_wanted_where_nothing_is_to_be_built(self):
        with fake() as checkout:
            self.assertEqual(checkout.run("launch/train", "--data", "d").returncode, 0)
            self.assertFalse([line for line in checkout.recorded() if line.startswith(("swift", "apt-get"))])

    @unittest.skipUnless(TRAINER.exists() and shutil.which("mpirun", path="/usr/bin:/bin"), "no program or mpirun")
    def test_real_ranks_under_a_bare_environment(self):
        for environment in ({"PATH": "/usr/bin:/bin", "HOME": "/root"}, {"PATH": "/usr/bin:/bin"}, {}):
            with Checkout(TRAINER) as checkout:
                write_images(checkout.folder / "data")
                done = checkout.run("launch/train", "-np", 2, "--preset", "mlp", "--steps", 2, environment=environment)
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_callers_shell(self):
        with fake() as checkout:
            decoy = checkout.folder / "decoy"
            write_script(decoy / "repository/launch/common.sh", "echo decoy; exit 9\n")
            (decoy / "repository/launch/../.build").mkdir()
            noise = write_script(checkout.folder / "noise", "echo noise; shopt -s nullglob; set -f\n")
            for variables in (dict(CDPATH=f".:{decoy}"), dict(CDPATH=str(decoy)), dict(BASH_ENV=str(noise)), dict(POSIXLY_CORRECT="1"),
                              {"BASH_FUNC_find%%": "() {  echo decoy; }"}, dict(SHELLOPTS="noglob:noclobber:errexit"),
                              dict(BASHOPTS="nullglob:failglob:nocasematch"), dict(GREP_OPTIONS="--color=always"), dict(LC_ALL="xx"),
                              dict(TMPDIR="/nonexistent"), dict(IFS="/")):
                # `env`, for bash keeps some of these names for itself.
                command = ["env", *(f"{name}={value}" for name, value in variables.items()), "repository/launch/train", "--data", "d"]
                checkout.record.write_text("")
                done = subprocess.run(command, cwd=checkout.folder, env=checkout.environment, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT, check=False)
                self.assertEqual((done.returncode, done.stdout), (0, "gan-dist 0.0.0: a line\n"), (variables, done.stderr))
                self.assertEqual(checkout.recorded()[1], "train --data d", variables)

    def test_through_a_symbolic_link(self):
        with fake() as checkout:
            (checkout.folder / "elsewhere").mkdir()
            for name in SCRIPTS:
                if name == "fetch-mnist":
                    continue  # a stand-in
                link = checkout.folder / "elsewhere" / f"linked-{name}"
                link.symlink_to(checkout.root / "launch" / name)
                done = checkout.run(link, "--help", cwd="/")
                self.assertEqual(done.returncode, 0, (name, done.stderr))
            done = checkout.run(checkout.folder / "elsewhere" / "linked-train", "--data", "d")
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_help_does_nothing_else(self):
        for name in SCRIPTS:
            with Checkout() as checkout:
                shutil.rmtree(checkout.root / ".build")
                for tool in ("swift", "apt-get", "mpirun", "curl", "shellcheck", "git"):
                    checkout.tool(tool, CALLED)
                for environment in (checkout.environment, {"PATH": f"{checkout.tools}:/usr/bin:/bin", "RECORD": str(checkout.record)}):
                    done = checkout.run(f"launch/{name}", "--help", environment=environment)
                    self.assertEqual(done.returncode, 0, (name, done.stderr))
                    self.assertIn(name, done.stdout)
                    self.assertEqual(done.stderr, "", name)
                self.assertEqual(checkout.recorded(), [], name)
                self.assertFalse((checkout.root / ".build").exists())

    def test_closed_descriptors(self):
        with fake() as checkout:
            for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
                done = subprocess.run(["bash", "-c", f'"$0" --data d {closed}', checkout.root / "launch/train"], cwd=checkout.folder,
                                      env=checkout.environment, timeout=LIMIT, check=False)
                self.assertEqual(done.returncode, 0, closed)


class Build(unittest.TestCase):
    @contextlib.contextmanager
    def checkout(self):
        with fake() as checkout:
            checkout.tool("swift", SWIFT)
            checkout.tool("pkg-config", "#!/bin/bash\n")
            checkout.environment["FAKE_PROGRAM"] = str(write_script(checkout.folder / "program", PROGRAM))
            self.version(checkout)
            checkout.record.write_text("")
            yield checkout

    def version(self, checkout, **variables):
        """What a call after a change of the sources has Swift do, and says."""
        checkout.record.write_text("")
        os.utime(checkout.root / "Package.swift", (2e9, 2e9))
        done = checkout.run("launch/train", "--version", **variables)
        self.assertEqual((done.returncode, done.stdout), (0, "0.0.0\n"), done.stderr)
        os.utime(checkout.root / "Package.swift", (1e9, 1e9))
        return checkout.recorded(), done.stderr

    def move(self, checkout):
        new = checkout.folder / "moved"
        shutil.copytree(checkout.root, new, symlinks=True)
        checkout.root = new

    def test_a_change_builds_what_it_must(self):
        with self.checkout() as checkout:
            self.assertEqual(self.version(checkout)[0], ["build"])

    def test_moved_elsewhere(self):
        with self.checkout() as checkout:
            old = checkout.root
            self.move(checkout)
            # As long as nothing is to be built, what is built will do.
            self.assertEqual(checkout.run("launch/train", "--version").stdout, "0.0.0\n")
            self.assertEqual(checkout.recorded(), [])
            recorded, said = self.version(checkout)
            self.assertEqual(recorded, ["clean", "build"])
            self.assertEqual(len(said.splitlines()), 2, said)
            self.assertIn(f".build was made in {old}", said)
            self.assertEqual(self.version(checkout)[0], ["build"])

    def test_built_by_hand_then_moved(self):
        with self.checkout() as checkout:
            (checkout.root / ".build" / "launch.origin").unlink()
            self.assertEqual(self.version(checkout)[0], ["build"])
            (checkout.root / ".build" / "launch.origin").unlink()
            self.move(checkout)
            self.assertEqual(self.version(checkout)[0], ["clean", "build"])

    def test_another_compiler(self):
        with self.checkout() as checkout:
            recorded, said = self.version(checkout, FAKE_SWIFT="7.0")
            self.assertEqual(recorded, ["clean", "build"])
            self.assertIn("by Swift version 6.3.1", said)

    def test_a_program_of_another_machine(self):
        with self.checkout() as checkout:
            program = checkout.root / ".build" / "release" / "gan-dist"
            for foreign in (b"\x7fELF\0", b"#!/bin/sh\necho 'GLIBC_2.99 not found' >&2\nexit 1\n"):
                checkout.record.write_text("")
                program.write_bytes(foreign)
                done = checkout.run("launch/train", "--version")
                self.assertEqual((done.returncode, done.stdout), (0, "0.0.0\n"), done.stderr)
                self.assertEqual(checkout.recorded(), ["clean", "build"])
                self.assertIn("does not run", done.stderr)


class Cores(unittest.TestCase):
    def ask(self, command, *prefix):
        script = f'set -euo pipefail; source "$0"; {command}'
        done = subprocess.run([*prefix, "bash", "-p", "-c", script, ROOT / "launch/common.sh"], stdout=subprocess.PIPE, text=True,
                              env={k: v for k, v in os.environ.items() if not k.startswith("OMPI_MCA")}, check=True, timeout=LIMIT)
        return done.stdout.split()

    def test_a_mask_may_name_cpus_that_are_not_there(self):
        self.assertEqual(self.ask("cpus 0-2,7"), ["0", "1", "2", "7"])
        found = self.ask('online_cpus() { echo 0; }; allowed_cpus() { grep -xF -f <(online_cpus) <(cpus 0-127); }; affinity_cores')
        self.assertEqual(found, ["1"])
        self.assertEqual({int(cpu) for cpu in self.ask("allowed_cpus")}, os.sched_getaffinity(0))

    def test_ranks_are_bound_only_where_they_have_the_whole_machine(self):
        whole = "quota_cores() { :; }; usable_cores() { echo 1; }; mpi_environment 1; echo ${mpirun_options[@]}"
        self.assertIn("core:if-supported", self.ask("allowed_cpus() { online_cpus; }; " + whole))
        part = "online_cpus() { seq 0 999; }; " + whole
        self.assertIn("none", self.ask(part))
        self.assertIn("none", self.ask("PIN_RANKS=1; " + part))

    @unittest.skipUnless(len(os.sched_getaffinity(0)) > 1 and shutil.which("taskset"), "one CPU")
    def test_inside_the_mask(self):
        with Checkout() as checkout:
            for cpu in os.sched_getaffinity(0):
                done = subprocess.run(
                    ["taskset", "--cpu-list", str(cpu), "bash", "-p", "-c", 'set -euo pipefail; source "$0"; run_ranks 1 "$@"',
                     checkout.root / "launch/common.sh", "grep", "Cpus_allowed_list", "/proc/self/status"],
                    env=checkout.environment, stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT)
                self.assertEqual(done.stdout.split(), ["Cpus_allowed_list:", str(cpu)])


@unittest.skipUnless(TRAINER.exists(), "the program is not built")
class Endings(unittest.TestCase):
    ENDLESS = ["-np", 2, "--preset", "mlp", "--steps", 1_000_000, "--log-interval", 10, "--checkpoint-interval", 0]

    def setUp(self):
        self.checkout = Checkout(TRAINER)
        self.addCleanup(self.checkout.__exit__)
        write_images(self.checkout.folder / "data")

    def train(self, *arguments, **options):
        job = self.checkout.start("launch/train", *self.ENDLESS, *arguments, **options)
        self.addCleanup(self.end, job)
        return job

    def end(self, job):
        for one in [*descendants(job.pid), job.pid]:
            with contextlib.suppress(OSError):
                os.kill(one, signal.SIGKILL)
        job.wait()
        for stream in (job.stdout, job.stderr):
            if stream:
                stream.close()

    def started(self, steps=3):
        until(lambda: self.checkout.steps() >= steps, "steps")

    def test_asked_to_stop(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU, signal.SIGUSR1):
            shutil.rmtree(self.checkout.folder / "runs", ignore_errors=True)
            job = self.train(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.started()
            job.send_signal(number)
            output, errors = job.communicate(timeout=LIMIT)
            self.assertEqual(job.returncode, 75, errors)
            self.assertEqual(len(self.checkout.checkpoints()), 1)
            # The trainer has said how to go on.
            self.assertEqual((output + errors).count("--resume latest"), 1, output + errors)
            self.assertNotIn("-----", errors)
            self.assertNotIn("mpirun: ", errors)

    def test_asked_twice(self):
        job = self.train(stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.started()
        trainers = ranks(job.pid)
        # Ranks that cannot answer: the first request alone would wait for ever.
        for rank in trainers:
            os.kill(rank, signal.SIGSTOP)
        job.send_signal(signal.SIGINT)
        job.stderr.readline()
        job.send_signal(signal.SIGINT)
        _, errors = job.communicate(timeout=LIMIT)
        self.assertEqual(job.returncode, 130, errors)
        until(lambda: not any(fields(rank) and fields(rank)[0] != "Z" for rank in trainers), "the end of the ranks")

    def test_asked_before_the_trainer_can_hear(self):
        def mpirun(job):
            for one in descendants(job.pid):
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{one}/comm").read_text() == "mpirun\n":
                        return True
            return False

        for condition in (mpirun, lambda job: ranks(job.pid)):
            job = self.train(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            until(lambda job=job, condition=condition: condition(job), "a process")
            job.send_signal(signal.SIGINT)
            _, errors = job.communicate(timeout=LIMIT)
            self.assertEqual(job.returncode, 75, errors)

    def test_a_reader_that_goes_away(self):
        for both in (False, True):
            shutil.rmtree(self.checkout.folder / "runs", ignore_errors=True)
            job = self.train(stdout=subprocess.PIPE, stderr=subprocess.STDOUT if both else subprocess.PIPE)
            job.stdout.readline()
            job.stdout.close()
            job.stdout = None
            self.started(30)
            job.send_signal(signal.SIGINT)
            if not both:
                self.assertIn("stopping after a checkpoint", job.stderr.readline())
                job.stderr.close()
                job.stderr = None
            self.assertEqual(job.wait(timeout=LIMIT), 75)
            self.assertEqual(len(self.checkout.checkpoints()), 1)

    def test_a_full_disk_below_the_output(self):
        with open("/dev/full", "w") as full:
            job = self.train(stdout=full, stderr=full)
            self.started(10)
            job.send_signal(signal.SIGTERM)
            self.assertEqual(job.wait(timeout=LIMIT), 75)
        self.assertEqual(len(self.checkout.checkpoints()), 1)

    def test_a_rank_is_killed(self):
        for saves in (False, True):
            shutil.rmtree(self.checkout.folder / "runs", ignore_errors=True)
            # An older run's checkpoints are not this one's.
            (self.checkout.folder / "runs" / "00000-old").mkdir(parents=True)
            (self.checkout.folder / "runs" / "00000-old" / "checkpoint-000000001.safetensors").write_text("")
            job = self.train(*(["--checkpoint-interval", 10, "--keep", 1000] if saves else []), "--resume", "auto",
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) if saves else self.train(
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.started()
            os.kill(ranks(job.pid)[1], signal.SIGKILL)
            _, errors = job.communicate(timeout=LIMIT)
            self.assertEqual(job.returncode, 137, errors)
            said = [line for line in errors.splitlines() if not line.startswith("gan-dist: ")]
            self.assertRegex(said[0], r"^train: rank \d on .* was ended by signal 9 \(Killed\)$")
            self.assertIn("ended with code 137", said[1])
            if saves:
                self.assertEqual(len(said), 3, errors)
                self.assertIn("newest checkpoint", said[1])
                self.assertIn("-np 2 ", said[2])
                self.assertTrue(said[2].endswith(" --resume latest"), said[2])
                self.assertEqual(said[2].count("--resume"), 1)
            else:
                self.assertEqual(len(said), 2, errors)
                self.assertIn("before the first checkpoint", said[1])

    def terminal(self):
        terminal = Terminal(self.checkout.folder, self.checkout.environment)
        self.addCleanup(terminal.__exit__)
        terminal.expect("> ")
        return terminal

    def line(self, *arguments):
        return " ".join(["repository/launch/train", *map(str, self.ENDLESS), *map(str, arguments)])

    def test_a_terminal_that_stops_what_writes_in_the_background(self):
        terminal = self.terminal()
        terminal.type("stty tostop\n" + self.line("--steps", 20) + "; echo code=$?.\n")
        terminal.expect("code=0.")
        terminal.type(self.line("--steps", 20) + " & wait $!; echo background=$?.\n")
        terminal.expect("background=0.")

    def test_job_control(self):
        terminal = self.terminal()
        terminal.type(self.line() + "; echo code=$?.\n")
        self.started()
        trainers = ranks(terminal.pid)
        self.assertEqual(len(trainers), 2)
        for back in ("fg", "bg", "fg"):
            terminal.type("\x1a")
            terminal.expect("Stopped")
            until(lambda: all(fields(rank)[0] == "T" for rank in trainers), "ranks that are stopped")
            terminal.type(back + "\n")
            self.started(self.checkout.steps() + 3)
            if back == "bg":
                terminal.type("fg\n")
                until(lambda: os.tcgetpgrp(terminal.descriptor) != terminal.pid, "a job in the foreground")
        terminal.type("\x03")
        terminal.expect("stopping after a checkpoint")
        until(lambda: not ranks(terminal.pid), "the end")
        self.assertEqual(len(self.checkout.checkpoints()), 1)
        terminal.type("echo code=$?.\n")
        terminal.expect("code=75.")

    def test_ctrl_c_in_a_pipe(self):
        terminal = self.terminal()
        terminal.type("{ trap : INT; " + self.line() + "; echo $? >code; } 2>&1 | tee log\n")
        self.started()
        terminal.type("\x03")  # tee dies of it
        until(lambda: (self.checkout.folder / "code").exists(), "the end")
        until(lambda: (self.checkout.folder / "code").read_text(), "the code")
        self.assertEqual((self.checkout.folder / "code").read_text(), "75\n")
        self.assertEqual(len(self.checkout.checkpoints()), 1)

    def test_a_terminal_that_is_closed(self):
        terminal = self.terminal()
        terminal.type(self.line() + "\n")
        self.started()
        trainers = ranks(terminal.pid)
        os.close(terminal.descriptor)
        until(lambda: not any(fields(rank) and fields(rank)[0] != "Z" for rank in trainers), "the end of the ranks")
        self.assertEqual(len(self.checkout.checkpoints()), 1)


if __name__ == "__main__":
    unittest.main()
