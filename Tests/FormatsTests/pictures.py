#!/usr/bin/env python3
"""Writes pictures.json: PNG and JPEG files and the samples in them. pictures.py > pictures.json

The PNG files are written here, from samples drawn here, in every colour type, depth and interlacing. Pillow 13 reads them
as is expected, except where it does not do what this project wants: of 16-bit grey it keeps 16 bits, and the transparent
colour of samples of 2, 4 or 16 bits it compares with samples of 8. The JPEG files are written and read by Pillow."""
import base64
import io
import json
import random
import struct
import zlib

from PIL import Image

SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# First column and row, and their steps, of the seven passes of an interlaced file.
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(row, depth):
    if depth == 16:
        return struct.pack(f">{len(row)}H", *row)
    bits = "".join(f"{sample:0{depth}b}" for sample in row)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def paeth(a, b, c):
    return min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]


def filtered(rows, distance, rng):
    """Rows of bytes, each filtered in a way drawn by lot."""
    result, above = b"", None
    for row in rows:
        above = above if above is not None else bytes(len(row))
        kind = rng.randrange(5)
        result += bytes([kind])
        for i, byte in enumerate(row):
            left, upper = (row[i - distance], above[i - distance]) if i >= distance else (0, 0)
            guess = [0, left, above[i], (left + above[i]) // 2, paeth(left, above[i], upper)][kind]
            result += bytes([(byte - guess) % 256])
        above = row
    return result


def png(kind, depth, interlaced, height, width, pixels, chunks, rng):
    """pixels: a tuple of samples for each."""
    distance = max(1, SAMPLES[kind] * depth // 8)
    data = b""
    for left, top, right, down in PASSES if interlaced else [(0, 0, 1, 1)]:
        rows = [packed([s for x in range(left, width, right) for s in pixels[y * width + x]], depth)
                for y in range(top, height, down)]
        if left < width:
            data += filtered(rows, distance, rng)
    data = zlib.compress(data)
    cut = len(data) // 2
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"gAMA", struct.pack(">I", 100000)) + chunks
            + chunk(b"IDAT", data[:cut]) + chunk(b"IDAT", data[cut:]) + chunk(b"tEXt", b"Comment\0none") + chunk(b"IEND", b""))


def over_black(color, alpha):
    t = color * alpha + 128
    return ((t >> 8) + t) >> 8


def by_pillow(file):
    image = Image.open(io.BytesIO(file))
    image.load()
    if image.mode == "LA":
        bands = Image.composite(image.getchannel(0), Image.new("L", image.size), image.getchannel(1)).split()
    elif image.mode in ("P", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        bands = Image.composite(image.convert("RGB"), Image.new("RGB", image.size), image.getchannel(3)).split()
    else:
        bands = image.convert("L" if image.mode == "1" else image.mode).split()
    return [band.tobytes() for band in bands]


def record(name, file, channels, height, width, traits, pixels, tolerance=0):
    return {"name": name, "file": base64.b64encode(file).decode(), "channels": channels, "height": height, "width": width,
            "traits": traits, "pixels": base64.b64encode(pixels).decode(), "tolerance": tolerance}


def png_case(kind, depth, interlaced, transparent, height, width):
    rng = random.Random(f"{kind} {depth} {interlaced} {transparent} {height} {width}")
    top = (1 << depth) - 1
    pixels = [tuple(rng.randint(0, top) for _ in range(SAMPLES[kind])) for _ in range(height * width)]
    chunks, palette, alphas, key = b"", None, [], None
    if kind == 3:
        palette = [tuple(rng.randbytes(3)) for _ in range(top + 1)]
        chunks += chunk(b"PLTE", bytes(sum(palette, ())))
        if transparent:  # fewer than there are colours: the rest is opaque
            alphas = list(rng.randbytes((top + 2) // 2))
            chunks += chunk(b"tRNS", bytes(alphas))
    elif transparent:
        key = pixels[0]
        if depth == 16:  # the low byte tells them apart
            pixels[1 % len(pixels)] = tuple(s ^ 1 for s in key)
        chunks += chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))

    def shown(pixel):
        alpha = 255
        if kind == 3:
            alpha = alphas[pixel[0]] if pixel[0] < len(alphas) else 255
            colors = palette[pixel[0]]
        else:
            colors = [s >> 8 if depth == 16 else s * 255 // top for s in pixel]
            if kind > 3:
                *colors, alpha = colors
            elif pixel == key:
                alpha = 0
        return [over_black(c, alpha) for c in colors]

    file = png(kind, depth, interlaced, height, width, pixels, chunks, rng)
    planes = [bytes(plane) for plane in zip(*map(shown, pixels))]
    if depth == 16 and kind == 0:
        sixteen = Image.open(io.BytesIO(file))
        assert sixteen.mode == "I;16"
        if not transparent:
            assert [sixteen.tobytes()[1::2]] == planes
    elif not transparent or depth == 8 or kind == 3:
        found = by_pillow(file)
        assert found == planes or (kind in (0, 4) and found == 3 * planes), (kind, depth, interlaced, transparent)
    traits = [name for name, present in [
        ("palette", kind == 3), ("interlaced", interlaced), ("sixteenBits", depth == 16), ("alpha", kind > 3 or transparent),
    ] if present]
    name = f"PNG type {kind}, {depth} bits{', interlaced' * interlaced}{', tRNS' * transparent}, {height} x {width}"
    return record(name, file, len(planes), height, width, traits, bytes(sample for pixel in zip(*planes) for sample in pixel))


def jpeg_case(mode, height, width, **options):
    label = " ".join(f"{key}={value}" for key, value in options.items() if not isinstance(value, bytes))
    rng = random.Random(height * width)
    small = [Image.frombytes("L", (4, 4), rng.randbytes(16)).resize((width, height), Image.Resampling.BICUBIC) for _ in mode]
    image = Image.merge(mode, small) if len(mode) > 1 else small[0]
    output = io.BytesIO()
    image.save(output, "JPEG", **options)
    found = Image.open(io.BytesIO(output.getvalue()))
    return record(f"JPEG {mode} {label}, {height} x {width}", output.getvalue(), len(mode), height, width, [], found.tobytes(), 1)


def cases():
    for kind, depths in DEPTHS.items():
        for depth in depths:
            for interlaced in (False, True):
                for transparent in (False, True) if kind < 4 else (False,):
                    yield png_case(kind, depth, interlaced, transparent, 11, 9)
    for height, width in [(1, 1), (1, 5), (5, 1), (3, 3), (8, 8)]:
        yield png_case(2, 8, True, False, height, width)
        yield png_case(0, 1, True, False, height, width)
    for progressive in (False, True):
        for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
            yield jpeg_case("RGB", 21, 35, quality=80, subsampling=subsampling, progressive=progressive)
        yield jpeg_case("L", 19, 33, quality=75, progressive=progressive)
    yield jpeg_case("RGB", 16, 16, quality=95, optimize=True)
    yield jpeg_case("RGB", 40, 24, quality=50, restart_marker_blocks=1)
    yield jpeg_case("RGB", 1, 1, quality=90)
    yield jpeg_case("RGB", 32, 32, quality=90, keep_rgb=True)
    # A frame header far from the beginning
    yield jpeg_case("L", 30, 17, quality=90, exif=b"Exif\0\0" + bytes(20000))


print(json.dumps(list(cases()), indent=0))
