"""A history of linear tasks with a common trend, and prompts of the same kind."""

from functools import lru_cache

import numpy as np

from model.checkpoint import FOUNDATION_FILE, load
from model.history import Group, History
from model.moments import Moments
from model.profile_fit import fit
from model.prompt import Block, Examples

FOUNDATION = load(FOUNDATION_FILE).model
D = 3
CENTRE, SPREAD = np.array([20.0, -3.0, 500.0]), np.array([5.0, 0.4, 90.0])
LABEL_SPREAD = 20.0
EXACT = -1.0  # a bound that no stage meets


def rows(rng, count, d=D):
    """Return x (count, d) and y (count,) of one task."""
    z = rng.normal(size=(count, d)) + rng.normal(size=d)
    w = np.arange(1.0, d + 1) + 0.4 * rng.normal(size=d)
    y = 40.0 + 5.0 * (z @ w + 0.8 * rng.normal() + 0.7 * rng.normal(size=count))
    return CENTRE[:d] + SPREAD[:d] * z, y


def history(groups=24, size=90, seed=0, is_ordered=False):
    rng = np.random.default_rng(seed)
    made = (Group(f"task {i}", *rows(rng, size)) for i in range(groups))
    return History(tuple(made), is_ordered)


@lru_cache
def learnt(coordinates=None, layer_count=4, by=0.0):
    groups = (Group(group.name, *moved(by, group.x, group.y)) for group in history().groups)
    return fit(History(tuple(groups), False), layer_count=layer_count, coordinates=coordinates)


def moved(by, x, y):
    """Return features, and labels, whose means lie that many deviations farther from 0."""
    return x + by * SPREAD, y + by * LABEL_SPREAD


def asked(seed, B=1, M=16, Q=3, rows=rows):
    """Return a block of B prompts of rows' kind, and the queries' labels (B, Q)."""
    rng = np.random.default_rng([seed, 77])
    drawn = [rows(rng, M + Q) for _ in range(B)]
    x, y = np.stack([one[0] for one in drawn]), np.stack([one[1] for one in drawn])
    return Block(Examples(x[:, :M], y[:, :M]), x[:, M:]), y[:, M:]


def summarised(block):
    x, y = block.context
    mean, label_mean = x.mean(1), y.mean(1)
    u, r = x - mean[:, None], y - label_mean[:, None]
    products = (r[:, None] @ u)[:, 0]
    moments = Moments(x.shape[1], mean, label_mean, u.mT @ u, products, (r * r).sum(1))
    return Block(moments, block.queries)


def working(block, bucket, b=0):
    """Return X (M, p), r (M,), x_q (Q, p), label origin and unit of prompt b, by the formulas."""
    units, (x, y), queries = bucket.units, block.context, block.queries[b]
    x, y, M = x[b], y[b], block.example_count
    if bucket.coordinates == "intercept":
        z = np.column_stack([np.ones(M), (x - units.feature_mean) / units.feature_scale])
        v = (queries - units.feature_mean) / units.feature_scale
        v = np.column_stack([np.ones(len(v)), v])
        r = (y - units.label_mean) / units.label_scale
        return z, r, v, units.label_mean, units.label_scale
    z, v = ((a - x.mean(0)) / units.feature_scale for a in (x, queries))
    power = ((y - y.mean()) ** 2).sum()
    unit = np.sqrt(units.label_variance)
    if bucket.coordinates != "centred":
        unit = np.sqrt((power + 4.0 * units.label_variance) / (M + 4.0))
    if bucket.coordinates == "scaled":
        t = np.sqrt(((z**2).sum(0) + 4.0 * units.feature_variance) / (M + 4.0))
        z, v = z / t, v / t
    return z, (y - y.mean()) / unit, v, y.mean(), unit


def posterior(block, bucket, b=0):
    """Return the exact answers (Q,) to prompt b, and B (p, p), by the formula."""
    X, r, queries, origin, unit = working(block, bucket, b)
    m, noise = bucket.prior_mean, bucket.noise_variance
    B = np.linalg.inv(X.T @ X / noise + np.linalg.inv(bucket.prior_covariance))
    return origin + unit * queries @ (m + B @ X.T @ (r - X @ m) / noise), B
