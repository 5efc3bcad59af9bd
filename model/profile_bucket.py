"""What prompts of one length teach: scales, the task prior, the covariates (docs/model.md, 6)."""

import numpy as np
from numpy.typing import NDArray

from model.coordinates import INTERCEPT, centre, units_of, working_sums
from model.em import learn_prior
from model.history import Prompts
from model.profile_parameters import BucketParameters
from model.profile_range import reference_of

Array = NDArray[np.float64]

ROUNDS_INTERCEPT, ROUNDS_CENTRED = 40, 30  # of expectation-maximisation


def fit_bucket(prompts: Prompts, coordinates: str) -> BucketParameters:
    """Return what prompts of one length teach, in given coordinates."""
    units = units_of(prompts)
    rounds = ROUNDS_INTERCEPT if coordinates == INTERCEPT else ROUNDS_CENTRED
    prior = learn_prior(working_sums(prompts, units, coordinates), rounds)
    M = prompts.x.shape[1]
    made = centre(prompts.block, units, coordinates)
    within = made.scatter.mean(axis=0) / (M - 1)  # (d, d)
    noise = prior.noise_variance * float(np.median(made.label_unit)) ** 2  # natural
    return BucketParameters(
        length=M,
        coordinates=coordinates,
        units=units,
        prior_mean=prior.mean,
        prior_covariance=prior.covariance,
        noise_variance=prior.noise_variance,
        within=within,
        mean=made.mean.mean(axis=0),
        between=_between(made.mean, within / M),
        reference=reference_of(prompts.block, noise, prior.precision),
        group_count=len(np.unique(prompts.groups)),
        prompt_count=len(prompts.y),
    )


def _between(means: Array, noise: Array) -> Array:
    """Return the second moment (d, d) of the groups' means, of prompts' means (P, d).

    A prompt's mean strays from its group's by `noise` (d, d), which is taken off; what remains is
    no less than the mean's own square.
    """
    mean = means.mean(axis=0)  # (d,)
    spread = means.T @ means / len(means) - np.outer(mean, mean) - noise  # (d, d)
    values, vectors = np.linalg.eigh(spread)
    kept: Array = (vectors * np.maximum(values, 0.0)) @ vectors.T  # (d, d)
    return kept + np.outer(mean, mean)
