"""A profile's answers taken apart: the posterior as a `Smoother`, and the risk it knows of.

What intervals, explanations and monitoring need, off the path of a prediction.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.coordinates import Centred
from model.em import TaskPrior
from model.explain import Smoother
from model.profile_layers import Climbed, Tokens, change, posterior
from model.profile_parameters import BucketParameters

Array = NDArray[np.float64]


def smoother_of(
    centred: Centred, bucket: BucketParameters, given: Tokens, climbed: Climbed
) -> Smoother:
    """Return the served estimator of B prompts, ŵ = m + P X'(r - Xm) with P = B/σ²."""
    inverse = posterior(given, climbed) / bucket.noise_variance  # (B, p, p)
    made = Smoother(
        count=centred.count,
        centred=True,
        inverse=inverse,
        gram=centred.scatter,
        products=centred.products,
        label_power=centred.label_power,
        queries=centred.queries,
        label_origin=centred.label_origin,
        label_unit=centred.label_unit,
        feature_origin=centred.feature_origin,
        feature_unit=centred.feature_unit,
        prior_mean=bucket.prior_mean,
        rows=centred.rows,
        labels=centred.labels,
    )
    if not bucket.has_intercept:
        return made
    return _with_intercept(made, centred, change(bucket.level(centred.count).centre(centred.mean)))


def _with_intercept(made: Smoother, centred: Centred, T: Array) -> Smoother:
    """Return the same prompts in the coordinates [1, z], T (B, p, p) undone."""
    M, mean, here = centred.count, centred.mean, centred.label_mean  # (B, d), (B,)
    back = change(-mean)  # (B, p, p)
    gram = np.zeros_like(T)  # (B, p, p) about the mean
    gram[:, 0, 0], gram[:, 1:, 1:] = M, centred.scatter
    products = np.concatenate([M * here[:, None], centred.products], axis=1)  # (B, p) likewise
    labels = None if made.labels is None else made.labels + here[:, None]  # (B, M)
    return replace(
        made,
        centred=False,
        inverse=T @ made.inverse @ T.mT,
        gram=back.mT @ gram @ back,
        products=(products[:, None] @ back)[:, 0],
        label_power=made.label_power + M * here * here,
        queries=_augmented(made.queries, mean),
        rows=None if made.rows is None else _augmented(made.rows, mean),
        labels=labels,
    )


def _augmented(deviations: Array, mean: Array) -> Array:
    """Return [1, z] (B, n, d+1) of deviations z - z̄ (B, n, d)."""
    ones = np.ones((*deviations.shape[:2], 1))  # (B, n, 1)
    return np.concatenate([ones, deviations + mean[:, None]], axis=2)


def known_risk(smoother: Smoother, prior: TaskPrior) -> Array:
    """Return h (B, Q), label units squared: the expected squared error of each answer.

    Given the covariates and the prior, and before the labels are seen; exact for any P, one that
    the layers have not finished included (docs/model.md, 8).
    """
    z = prior.noise_variance * smoother.keys  # (B, Q, p) B x_q
    looks = z @ smoother.gram / prior.noise_variance  # (B, Q, p)
    missed = looks - smoother.queries  # (B, Q, p)
    task = ((missed @ prior.covariance) * missed).sum(axis=2)  # (B, Q)
    noise = prior.noise_variance * (1.0 + smoother.centred / smoother.count)
    risk: Array = task + (z * looks).sum(axis=2) + noise  # (B, Q)
    return smoother.label_unit[:, None] ** 2 * risk
