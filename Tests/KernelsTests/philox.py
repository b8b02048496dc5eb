#!/usr/bin/env python3
"""The random words and normals of gan-dist: philox.py SEED STREAM STEP FIRST_ROW ROWS ELEMENTS

Element e of row r takes word e mod 4 of the Philox4x32-10 block with the counter (e div 4, r, step, stream) and the
key (seed mod 2^32, seed div 2^32). Words (w0, w1) of a block make its normals 0 and 1, (w2, w3) normals 2 and 3."""
import sys
import numpy as np


def words(seed, stream, step, rows, elements):
    block, row = np.meshgrid(np.arange(-(-elements // 4), dtype=np.uint64), rows.astype(np.uint64))
    c = [block, row, np.full_like(row, step), np.full_like(row, stream)]
    k, low = [seed & 0xFFFFFFFF, seed >> 32], np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p, q = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        high0, high1 = p >> np.uint64(32), q >> np.uint64(32)
        c = [high1 ^ c[1] ^ np.uint64(k[0]), q & low, high0 ^ c[3] ^ np.uint64(k[1]), p & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, axis=-1)  # [rows, blocks, 4]


def normals(w):
    u = (w[..., 0::2].astype(np.float32).astype(np.float64) + 0.5).astype(np.float32) * np.float32(2**-32)
    radius, angle = np.sqrt(-2 * np.log(u.astype(np.float64))), w[..., 1::2] * (2 * np.pi / 2**32)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).reshape(w.shape)


if __name__ == "__main__":
    seed, stream, step, first, count, elements = (int(a, 0) for a in sys.argv[1:])
    w = words(seed, stream, step, np.arange(first, first + count), elements)
    print("words", [[f"{x:08x}" for x in row.ravel()[:elements]] for row in w])
    print("z", [[round(float(x), 9) for x in row.ravel()[:elements]] for row in normals(w)])
