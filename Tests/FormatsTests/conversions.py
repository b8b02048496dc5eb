#!/usr/bin/env python3
"""Writes conversions.json: pictures in grey as Pillow converts them to mode L, and the square in their middle as
torchvision's CenterCrop takes it. conversions.py > conversions.json

Pillow 13. The crop's offsets are torchvision's expression, int(round((size - side) / 2.0))."""
import base64
import json
import random

from PIL import Image

# Sides too many by 0, and by every number modulo 4: half of an odd one is rounded to even.
CASES = [(3, 6, 6), (3, 5, 6), (3, 5, 7), (3, 8, 5), (3, 9, 5), (3, 5, 10), (1, 4, 7), (1, 12, 5), (3, 1, 4), (3, 30, 21)]


def text(picture):
    return base64.b64encode(picture.tobytes()).decode()


def case(channels, height, width):
    samples = random.Random(height * 1000 + width).randbytes(channels * height * width)
    picture = Image.frombytes("RGB" if channels == 3 else "L", (width, height), samples)
    side = min(height, width)
    left, top = (int(round((size - side) / 2.0)) for size in (width, height))
    return {"channels": channels, "height": height, "width": width, "pixels": text(picture),
            "grey": text(picture.convert("L")), "colour": text(picture.convert("RGB")),
            "square": text(picture.crop((left, top, left + side, top + side)))}


print(json.dumps([case(*c) for c in CASES], indent=0))
