#!/usr/bin/env python3
"""Makes a set of colour pictures of which the colours are known: MNIST's digits, each in one of six bright tints, laid on
smooth dark noise, 32 × 32. Needs numpy.

    Tests/coloured_digits.py data/MNIST/raw coloured.npy
    .build/release/gan-dist --data coloured.npy

What a generator draws can be held against it: strokes of the six tints, grounds of any colour and of no more than half the
brightness. labels.npy beside it has the digits.
"""
import gzip
import sys
from pathlib import Path

import numpy

TINTS = numpy.array([[255, 80, 80], [80, 255, 80], [110, 110, 255], [255, 255, 80], [255, 80, 255], [80, 255, 255]])


def read(folder, name, header):
    path = Path(folder, name)
    data = path.read_bytes() if path.exists() else gzip.decompress(Path(f"{path}.gz").read_bytes())
    return numpy.frombuffer(data, numpy.uint8, offset=header)


def main(folder, out):
    digits = read(folder, "train-images-idx3-ubyte", 16).reshape(-1, 28, 28)
    labels = read(folder, "train-labels-idx1-ubyte", 8)
    generator = numpy.random.default_rng(0)
    pictures = numpy.zeros((len(digits), 32, 32, 3), numpy.uint8)
    # Weights of the four corners' colours in each pixel.
    along = numpy.linspace(0, 1, 32)
    weights = numpy.stack([1 - along, along])
    for number, digit in enumerate(digits):
        corners = generator.uniform(0, 128, (2, 2, 3))
        ground = numpy.einsum("ay,bx,abc->yxc", weights, weights, corners)
        ink = numpy.zeros((32, 32, 1))
        ink[2:30, 2:30, 0] = digit / 255
        tint = TINTS[generator.integers(len(TINTS))]
        pictures[number] = (ground * (1 - ink) + tint * ink).round()
    numpy.save(out, pictures)
    numpy.save(Path(out).with_name("labels.npy"), labels)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
