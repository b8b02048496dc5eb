"""The lives of a training: what is done to one, and what must hold after it whatever was done."""

import json
import os
import random
import re
import resource
import time

from jobs import Hang, Job, catches, fill, has_line, is_stopped, number, send, snapshot, statistics, strace, verify

CHECKPOINT, HASH, LOG, SAMPLE = 7, 50, 10, 100  # intervals, in steps
ANY = "any"  # where mpirun decides about the exit code

SIGNALS = [["USR1"], ["USR2"], ["TERM"], ["INT"], ["HUP"], ["XCPU"], ["KILL"], ["SEGV"], ["STOP", "CONT"],
           ["USR1", "USR1"], ["USR1", "TERM"]]
GOES_ON, KILLS, UNHEARD = {"USR2", "STOP", "CONT"}, {"KILL", "SEGV"}, {"KILL", "SEGV", "STOP", "CONT"}
FORWARDED = {"USR1", "USR2"}  # by mpirun, which ends the job itself on others

NOTES = "notes.txt"
FUTURE = "checkpoint-000099999.safetensors"
LEFTOVER = "checkpoint-000000001.safetensors.partial-0123456789abcdef"
# What may lie in the folder of a run that has ended well.
OURS = re.compile(r"log\.txt|stats\.jsonl|training_options\.json|status\.json|report\.html|lock|(reals|fakes-(init|\d{6}))\.png"
                  r"|checkpoint-\d{9}\.safetensors")


def train(world, outdir, steps, *arguments):
    """The command of a training."""
    return [verify.BINARY, "train", "--preset", "mlp", "--data", world.scratch, "--outdir", outdir, "--steps", steps,
            "--log-interval", LOG, *arguments]


class Life:
    """One start of a training. What it draws depends on the seed, its number and what it finds in the folder."""

    def __init__(self, world, training, count):
        self.world, self.training, self.count = world, training, count
        self.random = random.Random(f"{world.options.seed}, life {count}")
        self.ranks = self.random.choice(world.options.ranks)
        self.keep = self.random.choice([3, 3, 3, 1])
        self.resume = self.random.choice(["auto", "auto", "latest"]) if training.newest() else "auto"
        self.done = []  # what was done to it, and details
        self.allowed = {0}  # exit codes
        self.problems = []
        self.job = None

    def live(self):
        """Damages, starts, disturbs, waits and judges."""
        self.newest = self.training.newest()
        if self.newest and self.random.random() < 0.4:
            self.random.choice([self.damage_newest, self.damage_newest, self.plant])()
            self.newest = self.training.newest()
        self.limit = min(self.world.options.steps, self.first + self.random.randint(10, 100))
        disturbances = [self.signal] * 8 + [self.nothing, self.reader_leaves, self.closed, self.file_size, self.second_writer,
                                            self.two_at_once]
        if self.world.is_mounted:
            disturbances.append(self.full_disk)
        if self.world.has_strace:
            disturbances += [self.failing_call, self.signal_at_start]
        if self.world.has_strace or os.geteuid() != 0:
            disturbances.append(self.unreadable)
        self.run(self.random.choice(disturbances))

    def finish(self):
        """Goes on to the last step in peace."""
        self.newest = self.training.newest()
        self.limit, self.keep, self.ranks = self.world.options.steps, 3, min(self.ranks, 2)
        self.run(self.nothing)

    @property
    def first(self):
        """The step to go on from."""
        return self.newest.step if self.newest else 0

    def run(self, disturbance):
        self.damaged = [each.path for each in self.training.checkpoints(self.newest.path.parent)
                        if not each.weights and each.step > self.first] if self.newest else []
        before = set(self.training.folders()), self.training.logs(), self.training.unfinished()
        try:
            self.code = disturbance()
        except Hang as hang:
            self.code = "hang"
            self.problems.append(str(hang))
        self.judge(*before)

    def start(self, ranks=None, under=(), **how):
        """Starts a job; `under` are words before the program's."""
        ranks = ranks or self.ranks
        command = [*under, *train(
            self.world, self.training.outdir, self.limit, "--checkpoint-interval", CHECKPOINT, "--hash-interval", HASH,
            "--sample-interval", SAMPLE, "--keep", self.keep, "--resume", self.resume)]
        if ranks > 1:
            command = ["mpirun", "-np", ranks, *self.world.mpirun_options, *command]
        job = Job(command, self.world.environment, self.world.scratch, **how)
        self.job = self.job or job
        return job

    def note(self, what, detail=""):
        """What the table counts, and what only this life's line tells."""
        self.done.append((what, detail))

    def moment(self, job):
        """Waits for a random moment of the start, or of the training; false if the job ends first."""
        if self.random.random() < 0.4:
            return job.sleep(self.random.uniform(0.02, 1))
        return job.until(job.has_begun) and job.sleep(self.random.uniform(0, 0.6))

    # ---- disturbances: each starts a job and returns its exit code

    def nothing(self):
        self.note("left in peace")
        return self.start().wait()

    def signal(self):
        """Signals. The exit code is exact where the program hears them and mpirun does not end the job by itself."""
        names = self.random.choice(SIGNALS)
        target = "the process" if self.ranks == 1 else self.random.choice(["mpirun", "a rank", "a rank"])
        if "STOP" in names and target == "mpirun":
            target = "a rank"
        job = self.start()
        in_time = self.moment(job) and job.until(job.ranks)
        ranks = job.ranks()
        if not (in_time and ranks):
            self.note(f"{' '.join(names)} to {target}", "too late")
            return job.wait()
        pid = job.process.pid if target == "mpirun" else self.random.choice(ranks)
        has_begun = job.has_begun()
        listeners = [pid, *ranks] if target == "mpirun" else [pid]
        is_heard = has_begun or all(catches(each, name) for each in listeners for name in names if name not in UNHEARD)
        is_heard = is_heard and (target != "mpirun" or len(ranks) == self.ranks)
        for index, name in enumerate(names):
            if index:
                time.sleep(1 if name == "CONT" else self.random.uniform(0, 0.1))
            send(pid, name)
        self.note(f"{' '.join(names)} to {target}", "in training" if has_begun else "at the start" if is_heard else "very early")
        self.allowed = {0} | self.codes_of(set(names), target, is_heard, has_begun)
        return job.wait()

    def codes_of(self, names, target, is_heard, has_begun):
        """The codes after signals, beside the 0 of a run that was done before they came."""
        by_default = {128 + number(name) for name in names}
        if target == "mpirun" and not (is_heard and names <= FORWARDED):
            return {ANY}
        if names & KILLS:
            return by_default if has_begun or self.ranks == 1 else {ANY}
        if not is_heard:
            return {ANY} if self.ranks > 1 else {75} | by_default
        if names <= GOES_ON:
            return {0}
        # Many ranks may need longer to agree than TERM and its like leave them; USR1 is the promise.
        return {75} if "USR1" in names or self.ranks == 1 else {75} | by_default

    def reader_leaves(self):
        """Who reads the output goes away. mpirun ends a job then."""
        lines = self.random.randrange(2)
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        job = self.start(output=writer)
        os.close(writer)
        if lines:
            job.until(lambda: has_line(reader))
        os.close(reader)
        self.note("reader leaves" + (" mpirun" if self.ranks > 1 else ""), "after a line" if lines else "at once")
        self.allowed = {0} if self.ranks == 1 else {ANY}
        return job.wait()

    def closed(self):
        """Some of the descriptors 0, 1 and 2 are closed from the start."""
        self.ranks = 1
        which = self.random.choice(["<&- >&- 2>&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-"])
        self.note("closed descriptors", which)
        return self.start(under=["sh", "-c", f'exec "$@" {which}', "sh"]).wait()

    def file_size(self):
        """A limit on the size of files, too small for a checkpoint."""
        self.ranks = 1  # MPI's own files would be hit
        size = self.random.choice([200_000, 1_000_000, 5_000_000])
        self.note("limit on file sizes", f"{size:,} bytes")
        self.allowed = {74}
        return self.start(prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))).wait()

    def full_disk(self):
        """The disk fills up, before the start or later, so that it has no room for a checkpoint."""
        ballast, free = self.world.space / "ballast", self.random.choice([0, 100_000, 3_000_000])
        is_early = self.random.random() < 0.5
        self.note("full disk", f"{'from the start' if is_early else 'later'}, {free:,} bytes left")
        self.allowed = {74} if is_early else {0, 74}
        job = None
        if not is_early:
            job = self.start()
            self.moment(job)
        try:
            fill(ballast, free)
            return (job or self.start()).wait()
        finally:
            ballast.unlink()

    def unreadable(self):
        """The folder of the runs, that of the run or the newest checkpoint cannot be opened, once."""
        paths = {"outdir": self.training.outdir}
        if self.newest:
            paths.update({"run folder": self.newest.path.parent, "checkpoint": self.newest.path})
        kind, path = self.random.choice(sorted(paths.items()))
        self.allowed = {74}
        if self.world.has_strace:
            error = self.random.choice(["EIO", "EACCES", "ESTALE", "EMFILE"])
            self.note(f"unreadable {kind}", error)
            return self.start(under=strace("openat", f"error={error}:when=1", path)).wait()
        self.note(f"unreadable {kind}", "no permission")
        mode = path.stat().st_mode
        path.chmod(0)
        try:
            return self.start().wait()
        finally:
            path.chmod(mode)

    def failing_call(self):
        """System calls on the way to the disk fail, or the process dies in one."""
        self.ranks = 1  # MPI's own calls would be hit
        calls, fault, self.allowed = self.random.choice([
            ("fsync", "error=EIO", {0, 74}), ("fsync", "error=EOPNOTSUPP", {0}), ("fsync", "signal=KILL", {0, 137}),
            ("rename,renameat,renameat2", "signal=KILL", {0, 137}), ("unlink,unlinkat", "signal=KILL", {0, 137})])
        when, path = str(self.random.randint(1, 12)), None
        if "EOPNOTSUPP" in fault:  # there are file systems that do so with folders alone
            when, path = "1+", self.newest.path.parent if self.newest else self.training.outdir
        self.note(f"{calls.split(',')[0]}: {fault}", f"call {when}")
        return self.start(under=strace(calls, f"{fault}:when={when}", path)).wait()

    def signal_at_start(self):
        """A signal comes with the first look at the data, which is before any step."""
        self.ranks = 1
        name = self.random.choice(["USR1", "TERM", "INT", "HUP", "XCPU"])
        self.note(f"{name} as the data are opened")
        self.allowed = {75}
        return self.start(under=strace("openat", f"signal={name}:when=1", self.world.images)).wait()

    def second_writer(self):
        """While the ranks stand still in mid-training, a second run wants to go on from their folder."""
        self.limit = min(self.world.options.steps, self.limit + 60)
        job = self.start()
        if self.newest and job.until(job.has_begun) and job.sleep(self.random.uniform(0, 0.3)):
            ranks = job.ranks()
            for pid in ranks:
                send(pid, "STOP")
            job.until(lambda: all(is_stopped(pid) or not os.path.exists(f"/proc/{pid}/exe") for pid in ranks))
            newest = self.training.newest()
            # Before its last checkpoint it cannot have let go.
            in_time = len(ranks) == self.ranks and all(map(is_stopped, ranks)) and newest and newest.step < self.limit
            if in_time:
                self.try_second_writer(ranks[0])
            for pid in ranks:
                send(pid, "CONT")
            if in_time:
                return job.wait()
        self.note("second writer", "too late")
        return job.wait()

    def try_second_writer(self, holder):
        before = snapshot(self.training.outdir)
        second = self.start(ranks=self.random.choice([1, min(2, max(self.world.options.ranks))]))
        self.note("second writer", f"--resume {self.resume}")
        code, after = second.wait(), snapshot(self.training.outdir)
        self.expect(code == 75, f"a second writer ends with {code}: {second.words()}")
        self.expect(f"process {holder}" in second.output(), f"a second writer does not name process {holder}")
        changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        self.expect(not changed, f"a second writer changes {', '.join(changed)}")

    def two_at_once(self):
        """Two start together: one trains, the other is refused, or comes when all is done."""
        if not self.newest:  # each would rightly begin a run of its own
            return self.nothing()
        self.note("two at once")
        jobs = [self.start(), self.start(ranks=self.random.choice(self.world.options.ranks))]
        codes = [job.wait() for job in jobs]
        self.expect(sorted(codes) in ([0, 0], [0, 75]), f"two at once end with {codes}: {jobs[codes[0] == 0].words()}")
        self.job = jobs[codes[0] != 0]
        return min(codes)

    # ---- damage between lives

    def damage_newest(self):
        """The newest checkpoint is cut or emptied, or a bit of it is wrong, where there is an older one."""
        path = self.newest.path
        if sum(1 for each in self.training.checkpoints(path.parent) if each.weights) < 2:
            return
        size, how = path.stat().st_size, self.random.choice(["cut", "emptied", "a wrong bit"])
        self.note(f"newest checkpoint: {how}", f"step {self.first}")
        with open(path, "r+b") as file:
            if how == "a wrong bit":
                offset = self.random.randrange(size)
                byte = os.pread(file.fileno(), 1, offset)[0]
                os.pwrite(file.fileno(), bytes([byte ^ 1 << self.random.randrange(8)]), offset)
            else:
                file.truncate(self.random.randrange(1, size) if how == "cut" else 0)

    def plant(self):
        """Files appear: a cut checkpoint of a high step, what a killed writer left, notes of the user's."""
        path = self.newest.path
        name, what, size = self.random.choice([(FUTURE, "cut checkpoint of a high step", path.stat().st_size // 2),
                                               (LEFTOVER, "leftover of a killed writer", 1000), (NOTES, "the user's notes", 300)])
        self.keep = self.random.choice([1, 3])
        self.note(what, f"--keep {self.keep}")
        content = path.read_bytes()[:size]
        (path.parent / name).write_bytes(content)
        if name == NOTES:
            self.training.notes[path.parent / name] = content

    # ---- judgement

    def expect(self, is_so, otherwise):
        if not is_so:
            self.problems.append(otherwise)

    def judge(self, folders, logs, unfinished):
        """What must hold after any life; the arguments tell what there was before it."""
        newest, code, said = self.training.newest(), self.code, self.job.output()
        step = newest.step if newest else 0
        told = "\n" + "".join(text[len(logs.get(path, "")):] for path, text in self.training.logs().items())
        has_begun = "\nRun: " in told
        allowed = {code} - {64, 65, 66, 70, "hang"} if ANY in self.allowed else self.allowed
        wanted = " or ".join(map(str, self.allowed))
        self.expect(code in allowed or code == "hang", f"ended with {code}, not {wanted}: {self.job.words()}")
        self.expect(code != 74 or "gan-dist: " in said, "ended with 74 without a word")

        fresh = [path.name for path in set(self.training.folders()) - folders]
        self.expect(not (self.newest and fresh), f"started afresh in {fresh} though step {self.first} was there")
        if has_begun:
            self.judge_start(told)
        self.expect(step >= self.first, f"step {self.first} was safe, now only step {step} is")
        self.expect(code != 0 or step >= self.limit, f"ended with 0, and the newest checkpoint is of step {step} of {self.limit}")
        if code == 75:
            stops = re.findall(r"topped (?:by a signal )?after step ([\d,]+) of", said + told)
            self.expect(stops and int(stops[-1].replace(",", "")) == step,
                        f"says that it stopped after step {stops}, and the newest checkpoint is of step {step}")
        if newest:
            self.judge_files(newest, code in (0, 75) and has_begun)
        # Who has the folder tidies it up; otherwise a run that ends by itself leaves no more than there was.
        left = self.training.unfinished() - (set() if has_begun and code in (0, 75) else unfinished)
        if code in (0, 74, 75) and ANY not in self.allowed:
            self.expect(not left, f"leaves {sorted(path.name for path in left)}")
            for path in left:
                path.unlink()  # said once

    def judge_start(self, told):
        """Where it has gone on from, by its log, and what it said of what was in the way."""
        starts = re.findall(r"Resumed from \S*?([^/\s]+) at step", told)
        wanted = [self.newest.path.name] if self.newest else []
        self.expect(starts[:1] == wanted, f"resumed from {starts or 'nothing'}, not from {wanted or 'nothing'}")
        lines = re.findall(r"^Epoch .*?Step [^,]*", told, re.M)
        self.expect(len(lines) == len(set(lines)), "has lines twice in log.txt")
        for path in self.damaged:
            self.expect(path.name in told, f"{path.name} was damaged, and no line of the log says so")

    def judge_files(self, newest, has_ended):
        """The folder of the run, compared with the run that nobody disturbed."""
        reference, folder = self.world.reference, newest.path.parent
        self.expect(newest.weights == reference[newest.step]["weights_sha256"], f"other weights after step {newest.step}")
        for path, content in self.training.notes.items():
            self.expect(path.exists() and path.read_bytes() == content, f"{path.name} is not as the user left it")
        if has_ended and newest.step > self.first:
            found = self.training.checkpoints(folder)
            intact = sum(1 for each in found if each.weights)
            self.expect(intact <= self.keep, f"--keep {self.keep} left {intact} checkpoints")
            self.expect(len(found) >= min(self.keep, 2 if self.first else 1), f"--keep {self.keep} left {len(found)} checkpoints")
        try:
            lines = statistics(folder)
            steps = [line["step"] for line in lines]
            self.expect(steps == sorted(set(steps)), "stats.jsonl has steps twice, or out of order")
            missing = sorted(set(range(LOG, newest.step + 1, LOG)) - set(steps))
            self.expect(not missing, f"stats.jsonl lacks steps {missing}")
            unlike = [f"{key} of step {line['step']}" for line in lines
                      for key in ("loss_d", "loss_g", "d_real", "d_fake", *(["weights_sha256"] if "weights_sha256" in line else []))
                      if line[key] != reference[line["step"]][key]]
            self.expect(not unlike, f"stats.jsonl differs, first in {unlike[:1]}")
            unhashed = [line["step"] for line in lines if line["step"] % HASH == 0 and "weights_sha256" not in line]
            self.expect(not unhashed, f"stats.jsonl has no hash of steps {unhashed}")
            status = json.loads((folder / "status.json").read_text()) if (folder / "status.json").exists() else None
            if status and has_ended:
                wanted = ("finished" if self.code == 0 else "stopped", newest.step)
                self.expect((status["state"], status["step"]) == wanted,
                            f"status.json says {status['state']} at step {status['step']}, not {wanted}")
        except (ValueError, LookupError, TypeError) as error:
            self.problems.append(f"stats.jsonl or status.json make no sense: {error!r}")

    def judge_end(self):
        """What the end of a training shows."""
        newest = self.training.newest()
        if not newest or newest.step != self.world.options.steps:
            self.problems.append(f"the end is not reached: {newest.path.name if newest else 'no checkpoint'}")
            return
        strange = [path.name for path in newest.path.parent.iterdir() if not OURS.fullmatch(path.name) and path.name != NOTES]
        self.expect(not strange, f"leaves {strange}")
        self.expect((newest.path.parent / "status.json").exists(), "leaves no status.json")
        runs = [folder.name for folder in self.training.folders()
                if any(each.weights for each in self.training.checkpoints(folder))]
        self.expect(len(runs) == 1, f"there is more than one run: {runs}")
        for option, name in ((), "weights"), (("--state",), "state"):
            self.expect(self.world.hash(newest.path, *option) == self.world.hashes[option], f"another {name} than undisturbed")
