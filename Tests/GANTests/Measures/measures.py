"""Expected values of the measures' tests: python measures.py measures.json

Needs numpy, scipy, scikit-learn, torch, tqdm, and prdc 0.2 and torch-fidelity 0.4.0 (pip install --no-deps), of which only
functions of features are used. Features come from integers, so that Swift makes the same ones: see `features` and `random`.
"""

import contextlib
import importlib
import importlib.metadata
import io
import json
import sys
import types

import numpy as np
import scipy.linalg
import scipy.special
import prdc

MASK = (1 << 64) - 1


def random(group, row, column):
    """A number of 0 ... 1023 from SplitMix64's finaliser (Steele, Lea and Flood 2014)."""
    z = (group * 0x9E3779B97F4A7C15 + row * 0xBF58476D1CE4E5B9 + column * 0x94D049BB133111EB + 0x632BE59BD9B4E019) & MASK
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
    return (z ^ z >> 31) & 1023


LATENTS = 6


def features(group, count, dimension, spread=4, noise=8):
    """Rectified mixtures of six latent numbers, plus noise: multiples of 1/4096, exact in single precision."""
    x = np.zeros((count, dimension), np.float32)
    for n in range(count):
        latents = [(random(group, n, 1000 + q) - 512) * spread for q in range(LATENTS)]
        for f in range(dimension):
            value = 4 * (random(0, f, 0) - 300) + noise * (random(group, n, f) - 512) // 8
            for q in range(LATENTS):
                value += (random(0, f, 1 + q) % 9 - 4) * latents[q] // 4
            x[n, f] = max(0, value) / 4096
    return x


def grid(group, count, dimension):
    """Small whole numbers: many distances are equal."""
    return np.array([[random(group, n, f) % 3 for f in range(dimension)] for n in range(count)], np.float32)


def logits(group, count, classes):
    return np.array([[(random(group, n, 5000 + c) - 512) / 128 for c in range(classes)] for n in range(count)], np.float32)


def fid(x, y):
    """The formula of pytorch-fid 0.3.0 (calculate_frechet_distance), with scipy's square root."""
    m1, m2 = x.mean(0), y.mean(0)
    c1, c2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(c1 @ c2)
    return float((m1 - m2) @ (m1 - m2) + np.trace(c1) + np.trace(c2) - 2 * np.trace(root.real))


def fid_of_singular(x, y):
    """The same where sqrtm loses digits: tr (C1 C2)^1/2 from the singular values of the centred features' product."""
    def factor(x):
        return np.linalg.svd(x - x.mean(0), full_matrices=False)
    (_, s1, v1), (_, s2, v2) = factor(x), factor(y)
    s1, s2 = s1 / np.sqrt(len(x) - 1), s2 / np.sqrt(len(y) - 1)
    overlap = np.linalg.svd((s1[:, None] * v1) @ (s2[:, None] * v2).T, compute_uv=False).sum()
    d = x.mean(0) - y.mean(0)
    return float(d @ d + (s1 ** 2).sum() + (s2 ** 2).sum() - 2 * overlap)


def kid(x, y):
    """Unbiased, over all pairs (Bińkowski et al. 2018)."""
    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3
    def within(x):
        k = kernel(x, x)
        return (k.sum() - np.trace(k)) / (len(x) * (len(x) - 1))
    return float(within(x) + within(y) - 2 * kernel(x, y).mean())


def torch_fidelity_kid(x, y):
    """kernel_mmd of torch-fidelity's metric_kid.py, loaded without the networks that the package imports."""
    folder = importlib.metadata.distribution("torch_fidelity").locate_file("torch_fidelity")
    package, utils = types.ModuleType("torch_fidelity"), types.ModuleType("torch_fidelity.utils")
    package.__path__ = [str(folder)]
    utils.__getattr__ = lambda name: None
    sys.modules.update({"torch_fidelity": package, "torch_fidelity.utils": utils})
    metric = importlib.import_module("torch_fidelity.metric_kid")
    return float(metric.kernel_mmd(
        x, y, kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0))


def manifold(x, y):
    """Counts, so that they are compared as such: prdc on doubles, k = 3 and 5."""
    with contextlib.redirect_stdout(io.StringIO()):
        near = prdc.compute_prdc(x.astype(float), y.astype(float), 3)
        far = prdc.compute_prdc(x.astype(float), y.astype(float), 5)
    counts = [near["precision"] * len(y), near["recall"] * len(x), far["density"] * 5 * len(y), far["coverage"] * len(x)]
    assert all(abs(c - round(c)) < 1e-6 for c in counts)
    return [round(c) for c in counts]


def nearest(made, test, training):
    def mean(x):
        d = x[:, None].astype(float) - training[None]
        return np.sqrt((d * d).sum(-1)).min(1).mean()
    return float(mean(made) / mean(test))


def score(z):
    z = z.astype(float)
    log_p = z - scipy.special.logsumexp(z, axis=1, keepdims=True)
    p = np.exp(log_p)
    return float(np.exp((p * (log_p - np.log(p.mean(0)))).sum(1).mean()))


def class_kl(made, data):
    def shares(z):
        return np.bincount(z.argmax(1), minlength=z.shape[1]) / len(z)
    p, q = shares(made), shares(data)
    return float(sum(a * np.log(a / b) for a, b in zip(p, q) if a > 0))


def symmetric(kind, size):
    a = np.array([[random(77, min(i, j), max(i, j)) - 512 for j in range(size)] for i in range(size)], float) / 512
    if kind == "general":
        return a
    if kind == "deficient":
        b = a[:, :17]
        return b @ b.T
    if kind == "repeated":
        i = np.arange(size)
        return np.diag(i % 3.0) + 0.5 * np.diag(np.ones(size - 1), 1) * (i % 2 == 0)[:, None] + 0.5 * np.diag(
            np.ones(size - 1), -1) * (i % 2 == 0)[None, :]
    if kind == "ones":
        return np.ones((size, size))
    if kind == "graded":
        scale = 2.0 ** -np.arange(size)
        return a * scale[:, None] * scale[None, :]
    return np.zeros((size, size))


def main():
    cases = []
    for name, dimension, x, y in [
        ("alike", 24, features(1, 260, 24), features(2, 240, 24)),
        ("narrower", 24, features(1, 260, 24), features(3, 250, 24, spread=3)),
        ("odd dimension", 13, features(4, 210, 13), features(5, 130, 13, spread=5)),
        ("fewer pictures than features", 40, features(6, 30, 40), features(7, 25, 40)),
        ("no noise", 24, features(8, 200, 24, noise=0), features(9, 200, 24, noise=0)),
        ("collapsed", 24, features(1, 200, 24), np.repeat(features(2, 1, 24), 150, 0)),
        ("grid", 6, grid(10, 200, 6), grid(11, 190, 6)),
    ]:
        a, b = x.astype(float), y.astype(float)
        singular = name in ("fewer pictures than features", "no noise", "collapsed")
        cases.append(dict(
            name=name, dimension=dimension, real=len(x), made=len(y), fid=(fid_of_singular if singular else fid)(b, a),
            kid=kid(b, a), manifold=manifold(x, y)))
        if not singular:
            assert abs(fid_of_singular(b, a) / fid(b, a) - 1) < 1e-8
    x, y = features(1, 260, 24), features(2, 240, 24)
    subsets = [dict(first=s, step=t, value=torch_fidelity_kid(
        x[np.arange(s, 260, t)[:60]].astype(float), y[np.arange(s, 240, t)[:60]].astype(float)))
        for s, t in [(0, 1), (7, 2), (20, 3)]]
    eigenvalues = [
        dict(kind=kind, size=size, values=list(map(float, np.linalg.eigvalsh(symmetric(kind, size)))))
        for kind, size in [("general", 128), ("deficient", 128), ("repeated", 128), ("ones", 128), ("graded", 128), ("zero", 128),
                           ("general", 1), ("general", 2), ("general", 3)]]
    made, data = logits(20, 300, 10), logits(21, 400, 10)
    json.dump(dict(
        cases=cases, kidSubsets=subsets, eigenvalues=eigenvalues, score=score(made), classDivergence=class_kl(made, data),
        nearest=nearest(features(2, 240, 24), features(1, 260, 24), features(12, 500, 24))), open(sys.argv[1], "w"))


main()
