"""What the cases train on, made of nothing but this file (and a few JPEG files): the same bytes everywhere.

A maker fills an empty folder and returns what --data is to name. Its pictures are noise, and few: an epoch ends twice.
"""

import hashlib
import struct
import tarfile
import zlib
from pathlib import Path

JPEG = Path(__file__).resolve().parents[2] / "Tests" / "Golden" / "jpeg.tar.gz"
IMAGES = 613  # not divisible by B·V: 9 steps an epoch with B = 64, 6 with B = 100


def noise(count, seed=b"gan-dist"):
    return hashlib.shake_128(seed).digest(count)


def idx(*sizes):
    """The header of an IDX file of bytes."""
    return bytes([0, 0, 8, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes)


def mnist(folder):
    """28 × 28, grey, 10 classes, in IDX files."""
    (folder / "train-images-idx3-ubyte").write_bytes(idx(IMAGES, 28, 28) + noise(IMAGES * 784))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(IMAGES) + bytes(i % 10 for i in range(IMAGES)))
    return folder


def unlabelled(folder):
    """36 × 20, grey, in an IDX file."""
    (folder / "train-images-idx3-ubyte").write_bytes(idx(IMAGES, 36, 20) + noise(IMAGES * 36 * 20))
    return folder


def letters(folder):
    """EMNIST's: 26 classes that begin at 1, rows and columns exchanged, in torchvision's tree."""
    raw = folder / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "emnist-letters-train-images-idx3-ubyte").write_bytes(idx(IMAGES, 28, 28) + noise(IMAGES * 784))
    (raw / "emnist-letters-train-labels-idx1-ubyte").write_bytes(idx(IMAGES) + bytes(1 + i % 26 for i in range(IMAGES)))
    return folder


def pictures(folder):
    """32 × 32, colour, in PNG files, 15 of each of 3 classes one after the other: 2 steps an epoch with B = 16."""
    for name in "ant", "bee", "cat":
        (folder / name).mkdir()
        for i in range(15):
            (folder / name / f"{i:02}.png").write_bytes(png(32, 32, noise(3 * 32 * 32, f"{name} {i}".encode())))
    return folder


def png(height, width, pixels):
    """A colour picture of pixels [height, width, 3]."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + pixels[3 * width * row:3 * width * (row + 1)] for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, red, green and blue
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def cifar(folder):
    """32 × 32, colour, in CIFAR-10's batches, of 13 and 8: 2 steps an epoch with B = 8."""
    for batch, count in (1, 13), (2, 8):
        records = b"".join(bytes([i % 10]) + noise(3 * 32 * 32, f"{batch} {i}".encode()) for i in range(count))
        (folder / f"data_batch_{batch}.bin").write_bytes(records)
    return folder


def array(folder):
    """24 × 20, colour, in a NumPy array [N, 3, 24, 20] of float32 in [0, 1]."""
    shape = (IMAGES, 3, 24, 20)
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    values = [byte / 255 for byte in noise(IMAGES * 3 * 24 * 20)]
    file = folder / "pictures.npy"
    file.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + struct.pack(f"<{len(values)}f", *values))
    return file


def jpeg(folder):
    """28 × 28, grey and colour, in JPEG files of 2 classes."""
    with tarfile.open(JPEG) as archive:
        archive.extractall(folder)
    return folder
