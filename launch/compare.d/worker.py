"""What the workers of all peers share: the task they are started with, the images, and measurements on demand.

A worker is started with one argument, a task in JSON (contenders.py makes it). It prints a line of JSON when warm, then
answers each line of its standard input, a number of seconds, with a line of JSON; at the input's end it ends. One that also
trains from the start to the end is asked so by a line of JSON.
"""

import json
import sys
import time
from pathlib import Path

import numpy

WARM_UP_SECONDS = 1


def task():
    return json.loads(sys.argv[1])


def load_images(path, part=0, parts=1):
    """Every parts-th image from number part on: float32 in [-1, 1], [n, C, H, W].

    Of bytes in an IDX file, [n, H, W], or in a NumPy array, [n, H, W], [n, C, H, W] or [n, H, W, C].
    """
    if path.endswith(".npy"):
        pixels = numpy.load(path, mmap_mode="r")
    else:
        content = Path(path).read_bytes()
        pixels = numpy.frombuffer(content, numpy.uint8, offset=16).reshape(numpy.frombuffer(content, ">u4", 3, offset=4))
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.shape[1] not in (1, 3):
        pixels = pixels.transpose(0, 3, 1, 2)
    return numpy.ascontiguousarray(pixels[part::parts]).astype(numpy.float32) / 127.5 - 1


def load_labels(path, part=0, parts=1):
    """Of the same images: int64, of an IDX file or a NumPy array."""
    labels = numpy.load(path) if path.endswith(".npy") else numpy.frombuffer(Path(path).read_bytes(), numpy.uint8, offset=8)
    return labels[part::parts].astype(numpy.int64)


class Rows:
    """Numbers of images, shuffled anew whenever all have had their turn; what does not fill a batch is left out."""

    def __init__(self, images, batch, seed):
        self.images, self.batch = images, batch
        self.random = numpy.random.default_rng(seed)
        self.waiting = numpy.empty((0, batch), numpy.int64)

    def take(self, steps):
        """The rows of the next steps' batches, [steps, batch]."""
        while len(self.waiting) < steps:
            order = self.random.permutation(self.images)
            order = order[:self.images // self.batch * self.batch].reshape(-1, self.batch)
            self.waiting = numpy.concatenate([self.waiting, order])
        taken, self.waiting = self.waiting[:steps], self.waiting[steps:]
        return taken


def serve(train, batch, facts, agree=lambda steps: steps, run=None):
    """Answers measurements until the input ends.

    train(n) trains n steps or a few more and returns (steps, discriminator's loss, generator's loss) when all of it is
    computed. facts() go into the first line. agree(n) makes the number of steps that of all ranks. run(request) answers a
    line of JSON.
    """
    def timed(steps):
        start = time.perf_counter()
        done, *losses = train(agree(steps))
        seconds = time.perf_counter() - start
        return seconds / done, losses

    def say(line):
        print(json.dumps(line), flush=True)

    timed(1)  # compiles
    step_seconds, _ = timed(1)
    step_seconds, losses = timed(max(1, min(10, round(WARM_UP_SECONDS / step_seconds))))
    step_seconds, losses = timed(max(1, round(WARM_UP_SECONDS / step_seconds)))
    say(dict(facts(), losses=losses))
    for line in sys.stdin:
        if line.startswith("{"):
            say(run(json.loads(line)))
            continue
        step_seconds, losses = timed(max(1, round(float(line) / step_seconds)))
        say(dict(images_per_second=batch / step_seconds, losses=losses))
