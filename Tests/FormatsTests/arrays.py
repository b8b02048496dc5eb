#!/usr/bin/env python3
"""Writes arrays.json: files as NumPy 2 writes them, and what is in them. arrays.py > arrays.json"""
import base64
import io
import json

import numpy as np

rng = np.random.default_rng(0)


def saved(array, version=None):
    output = io.BytesIO()
    np.lib.format.write_array(output, array, version=version)
    return base64.b64encode(output.getvalue()).decode()


def image_case(array, least, version=None):
    """Values of 1 are 255; values of `least` are 0."""
    values = array.astype(np.float64)
    result = array if array.dtype == np.uint8 else np.rint(255 * values if least == 0 else 127.5 * (values + 1)).astype(np.uint8)
    return {"name": f"{array.dtype.str} {array.shape} {version}", "file": saved(array, version), "shape": array.shape,
            "least": least, "bytes": base64.b64encode(result.tobytes()).decode(),
            "bounds": [float(values.min()), float(values.max())]}


def integer_case(dtype, values):
    array = np.array(values, dtype)
    return {"name": array.dtype.str, "file": saved(array), "shape": array.shape, "integers": array.tolist()}


def refused_case(array, text):
    return {"name": array.dtype.str, "file": saved(array), "shape": array.shape, "refusal": text}


def cases():
    yield image_case(rng.integers(0, 256, (3, 4, 5), np.uint8), 0)
    yield image_case(rng.integers(0, 256, (7,), np.uint8), 0, (2, 0))
    yield image_case(rng.integers(0, 256, (2, 3, 1, 2), np.uint8), 0, (3, 0))
    yield image_case(np.uint8(7).reshape(()), 0)
    for order in "<>":
        for kind in ("f4", "f8"):
            yield image_case(rng.random((2, 5, 7)).astype(order + kind), 0)
            yield image_case((2 * rng.random((2, 5, 7)) - 1).astype(order + kind), -1)
            levels = np.arange(256)
            yield image_case((levels / 255).astype(order + kind), 0)
            yield image_case((levels / 127.5 - 1).astype(order + kind), -1)
            yield image_case(((levels[:-1] + 0.5) / 255).astype(order + kind), 0)
    for kind in ("u1", "i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4", "<i4", ">i4", "<u8", ">u8", "<i8", ">i8"):
        least, greatest = np.iinfo(kind).min, min(np.iinfo(kind).max, 2**63 - 1)
        yield integer_case(kind, [least, 0, 1, 9, 100, greatest])
    yield refused_case(np.zeros(3, bool), "\"|b1\" (truth values)")
    yield refused_case(np.zeros(3, np.complex64), "\"<c8\" (complex numbers)")
    yield refused_case(np.array(["a", "bc"]), "\"<U2\" (strings)")
    yield refused_case(np.array([b"a", b"bc"]), "\"|S2\" (strings)")
    yield refused_case(np.array([1, None]), "\"|O\" (Python objects)")
    yield refused_case(np.zeros(3, "<M8[s]"), "(times)")
    yield refused_case(np.zeros(3, np.float16), "\"<f2\" (floats of another size)")
    yield refused_case(np.zeros(3, [("x", "<f4"), ("y", "u1")]), "its elements are structures")
    yield refused_case(np.zeros((3, 4), order="F"), "it is in Fortran order; save numpy.ascontiguousarray of it")


print(json.dumps(list(cases()), indent=0))
