#!/usr/bin/env python3
"""Writes jpeg.tar.gz beside it: JPEG files of 28 × 28 pixels, 40 of each of 2 classes, as cameras and tools write them.

Most are in colour, every fifth is grey, every seventh progressive; qualities and subsampling of colour differ. Needs Pillow.
Its version decides the bytes, so they are kept.
"""

import gzip
import io
import random
import tarfile
from pathlib import Path

from PIL import Image, ImageDraw

SIDE, COUNT = 28, 40


def picture(kind, number):
    numbers = random.Random(f"{kind} {number}")

    def colour():
        return tuple(numbers.randrange(256) for _ in range(3))

    image = Image.new("RGB", (SIDE, SIDE), colour())
    corner, side = numbers.randrange(10), numbers.randrange(6, 18)
    draw = ImageDraw.Draw(image)
    {"disc": draw.ellipse, "square": draw.rectangle}[kind]([corner, corner, corner + side, corner + side], fill=colour())
    file = io.BytesIO()
    image.convert("L" if number % 5 == 0 else "RGB").save(
        file, "JPEG", quality=numbers.choice([50, 75, 95]), subsampling=number % 3, progressive=number % 7 == 0)
    return file.getvalue()


def main():
    path = Path(__file__).with_name("jpeg.tar.gz")
    with gzip.GzipFile(path, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for kind in "disc", "square":
            for number in range(COUNT):
                content = picture(kind, number)
                entry = tarfile.TarInfo(f"{kind}/{number:02}.jpg")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    main()
