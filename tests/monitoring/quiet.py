"""A quiet world of the paper model, its reference, and prompts that a monitor may see."""

from functools import lru_cache, reduce

import numpy as np

from model.moments import Moments
from model.paper import PaperModel
from model.prompt import Block, Examples
from monitoring.attribution import Sums
from monitoring.baseline import Quiet, build
from monitoring.observation import Observations, observe, sums_of
from monitoring.watch import Seen, Summary
from tests.monitoring.refits import served_of

COVARIANCE = np.array([[1.0, 0.3], [0.3, 0.5]])
MODEL = PaperModel(COVARIANCE, noise_variance=0.5, centred=False)


def prompts(seed, B, M=20, Q=1, scale=1.0, noise=0.5, covariance=COVARIANCE):
    """Return B prompts of standard normal tasks."""
    rng = np.random.default_rng([seed, 5])
    x = scale * rng.multivariate_normal(np.zeros(len(covariance)), covariance, size=(B, M + Q))
    w = rng.normal(size=(B, len(covariance), 1))
    y = (x @ w)[..., 0] + np.sqrt(noise) * rng.normal(size=(B, M + Q))
    return Block(Examples(x[:, :M], y[:, :M]), x[:, M:])


def seen(block, model=MODEL):
    return Seen(served_of(model.estimator(block)), block.context.x)


def quiet(lengths=((400, 20),), seed=0, model=MODEL, **world):
    """Return P prompts a length as the model saw them."""
    blocks = [prompts([seed, M], P, M, **world) for P, M in lengths]
    found = [seen(block, model).served for block in blocks]
    observed = Observations.joined([observe(one) for one in found])
    covariates = [x for block in blocks for x in block.context.x]
    return Quiet(observed, covariates, reduce(Sums.joined, map(sums_of, found)), 0.5)


@lru_cache
def reference(lengths=((400, 20),), window_prompts=100):
    return build(quiet(lengths), "paper", window_prompts=window_prompts)


def altered(found, **columns):
    """Return quiet prompts whose numbers are others."""
    return found._replace(observed=found.observed._replace(**columns))


def summarised(block, model=MODEL):
    """Return the same prompts as a monitor sees them that came as sums."""
    x, y = block.context
    mean, label_mean = x.mean(1), y.mean(1)
    u, r = x - mean[:, None], y - label_mean[:, None]
    products, scatter = (r[:, None] @ u)[:, 0], u.mT @ u
    moments = Moments(x.shape[1], mean, label_mean, scatter, products, (r * r).sum(1))
    return Seen(served_of(model.estimator(Block(moments, block.queries))), Summary(mean, scatter))
