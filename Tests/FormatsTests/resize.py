#!/usr/bin/env python3
"""Writes resize.json: pictures as Pillow's bilinear resize of modes L and RGB makes them. resize.py > resize.json

Pillow 11 and 13 give the same bytes."""
import base64
import json
import random

from PIL import Image

CASES = [
    ("noise", 28, 28, 64, 64), ("strokes", 28, 28, 64, 64), ("noise", 28, 28, 32, 32), ("strokes", 28, 28, 32, 32),
    ("noise", 28, 28, 17, 9), ("strokes", 28, 28, 14, 14), ("noise", 64, 48, 5, 100), ("noise", 28, 28, 28, 13),
    ("white", 28, 28, 45, 3), ("noise", 1, 1, 8, 8), ("noise", 200, 3, 1, 1),
]
COLOURS = [("noise", 28, 28, 64, 64), ("noise", 50, 31, 16, 17), ("noise", 5, 9, 5, 4)]


def image(kind, width, height):
    if kind == "noise":
        return random.Random(width * height).randbytes(width * height)
    if kind == "white":
        return b"\xff" * (width * height)
    # A ring with a soft rim and a bar, on black: what digits are like.
    ring = [max(0, 255 - 90 * abs((x - 14) ** 2 + (y - 12) ** 2 - 64) // 20) for y in range(height) for x in range(width)]
    return bytes(255 if 9 <= i % width < 12 and i // width > 4 else value for i, value in enumerate(ring))


def text(picture):
    return base64.b64encode(picture.tobytes()).decode()


def case(channels, kind, width, height, new_width, new_height):
    bands = [Image.frombytes("L", (width, height), image(kind, width, height * channels)[i * width * height:][:width * height])
             for i in range(channels)]
    picture = Image.merge("RGB", bands) if channels == 3 else bands[0]
    resized = picture.resize((new_width, new_height), Image.Resampling.BILINEAR)
    return {"name": kind, "channels": channels, "from": [width, height], "to": [new_width, new_height],
            "pixels": text(picture), "resized": text(resized)}


print(json.dumps([case(1, *c) for c in CASES] + [case(3, *c) for c in COLOURS], indent=0))
