#!/usr/bin/env python3
"""Initial weights and permutations of gan-dist, from the words of Tests/KernelsTests/philox.py.

    networks.py init SEED STREAM TENSOR FAN_IN COUNT    the first COUNT elements of a tensor, as hexadecimal floats
    networks.py shuffle SEED SHARD NUMBER COUNT         permutation NUMBER of a shard's COUNT images

Word e of tensor n lies in block n of row e div 4; w gives ((w >> 8) * 2^-23 - 1) / sqrt(FAN_IN), in single precision.
A permutation exchanges, for i from COUNT - 1 down to 1, element i with element floor(w_i * (i + 1) / 2^32)."""
import sys
import os
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../KernelsTests"))
from philox import words  # noqa: E402


def block_words(seed, stream, step, block, count):
    """Words of one block, row by row."""
    rows = np.arange(-(-count // 4))
    return words(seed, stream, step, rows, 4 * (block + 1))[:, block, :].ravel()[:count]


def initial(seed, stream, tensor, fan_in, count):
    w = block_words(seed, stream, 0, tensor, count)
    bound = np.float32(1) / np.sqrt(np.float32(fan_in))
    return ((w >> np.uint64(8)).astype(np.float32) * np.float32(2**-23) - np.float32(1)) * bound


def shuffle(seed, shard, number, count):
    w = block_words(seed, 2, number, shard, count)
    order = list(range(count))
    for i in range(count - 1, 0, -1):
        j = int(w[i]) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order


if __name__ == "__main__":
    arguments = [int(a, 0) for a in sys.argv[2:]]
    if sys.argv[1] == "init":
        print(", ".join(float(x).hex() for x in initial(*arguments)))
    else:
        print(shuffle(*arguments))
