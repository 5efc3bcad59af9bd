"""What a recalibration would save, by sums alone: the law of the window, put into both errors.

The recalibrated prior (m', Ψ', σ'²) stands for the truth and rows for queries, as in leave-one-out.
With S the mean second moment, G = (M - 1)S and δ = m' - m, the error above the noise is

    served  tr(S[(I - PG)(Ψ' + δδᵀ)(I - PG)ᵀ + σ'² PGP]),  P = (G + σ²Ψ⁻¹)⁻¹
    recalibrated  σ'² tr(S (G + σ'²Ψ'⁻¹)⁻¹)

and R(A) of `monitoring.regret` for one layer. Both are of the same sums, so the gain is told a
little too large: it decides what is worth a proof on live prompts, and is none.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.em import TaskPrior
from model.paper import PaperModel
from model.profile import ProfileModel
from model.unit_change import unit_change
from model.window import Window
from monitoring.reference import Reference
from monitoring.regret import Moments, layer_risk

Array = NDArray[np.float64]

UNKNOWN = float("nan")


class Expected(NamedTuple):
    """What sums say of a recalibration; NaN where they say nothing."""

    gain: float  # share of the error that it saves
    regret: float  # excess error served over recalibrated
    error: float  # of the recalibrated model, over normal


class _Errors(NamedTuple):
    """Of one length, working units²."""

    served: float  # above the noise
    recalibrated: float
    noise: float
    normal: float
    prompt_count: float


def nothing() -> Expected:
    """Return that nothing is known."""
    return Expected(UNKNOWN, UNKNOWN, UNKNOWN)


def expected(
    served: ProfileModel | PaperModel,
    recalibrated: ProfileModel | PaperModel,
    windows: Sequence[Window],
    reference: Reference,
) -> Expected:
    """Return what the recalibrated model would save on prompts like those of the windows."""
    return _compared(_errors(served, recalibrated, windows, reference))


def _errors(
    served: ProfileModel | PaperModel,
    recalibrated: ProfileModel | PaperModel,
    windows: Sequence[Window],
    reference: Reference,
) -> list[_Errors]:
    if isinstance(served, PaperModel):
        assert isinstance(recalibrated, PaperModel)  # of the same kind, as its maker says
        return [_layer_errors(served, recalibrated, one, reference) for one in windows]
    assert isinstance(recalibrated, ProfileModel)
    return [
        _prior_errors(served, recalibrated, one, reference)
        for one in windows
        if len(one.tasks) == len(served.prior(round(one.length)).mean)
    ]


def expected_excess(
    served: ProfileModel | PaperModel,
    recalibrated: ProfileModel | PaperModel,
    windows: Sequence[Window],
    reference: Reference,
) -> float:
    """Return the recalibrated model's mean error above the noise, working units² as served."""
    found = _errors(served, recalibrated, windows, reference)
    counts = [one.prompt_count for one in found]
    return float(np.average([one.recalibrated for one in found], weights=counts))


def _compared(found: list[_Errors]) -> Expected:
    if not found:
        return nothing()
    weights = np.array([one.prompt_count / one.normal for one in found])  # (k,)
    served, best, noise = (
        float(weights @ np.array(column)) for column in list(zip(*found, strict=True))[:3]
    )
    count = sum(one.prompt_count for one in found)
    if not (best > 0.0 and np.isfinite(served)):
        return nothing()
    gain = (served - best) / (served + noise)
    return Expected(gain, served / best, (best + noise) / count)


def _prior_errors(
    served: ProfileModel, recalibrated: ProfileModel, window: Window, reference: Reference
) -> _Errors:
    M, S = window.length, window.moments  # (), (p, p)
    old, now = (model.parameters.bucket(round(M)) for model in (served, recalibrated))
    truth = unit_change(now, old).prior(now.prior)  # in the units of the served length
    terms, eye = M - 1.0, np.eye(len(S))  # one row is left out
    P = _posterior(terms * S, old.prior)  # (p, p)
    missed = eye - P @ (terms * S)  # (p, p)
    off = truth.mean - old.prior_mean  # (p,)
    tasks = missed @ (truth.covariance + np.outer(off, off)) @ missed.T  # (p, p)
    sampling = truth.noise_variance * terms * P @ S @ P  # (p, p)
    best = truth.noise_variance * _posterior(terms * S, truth)  # (p, p)
    normal = float(reference.baselines.normal("loo", np.array([M]))[0])
    wrong, right = float(np.sum(S * (tasks + sampling))), float(np.sum(S * best))
    return _Errors(wrong, right, truth.noise_variance, normal, window.prompt_count)


def _posterior(gram: Array, prior: TaskPrior) -> Array:
    """Return (G + σ²Ψ⁻¹)⁻¹ (p, p)."""
    return np.asarray(np.linalg.inv(gram + prior.noise_variance * prior.precision))


def _layer_errors(
    served: PaperModel, recalibrated: PaperModel, window: Window, reference: Reference
) -> _Errors:
    terms = window.length - served.centred
    unbiased, law = window.length / terms, recalibrated.parameters
    S, squares = unbiased * window.moments, unbiased**2 * window.squares  # (d, d)
    moments, noise = Moments(S, squares, S / terms, S), law.noise_variance
    wrong, right = (
        layer_risk(model.weights(round(terms)), moments, law.task_variance, noise)
        for model in (served, recalibrated)
    )
    normal = float(reference.baselines.normal("loo", np.array([window.length]))[0])
    return _Errors(wrong, right, noise, normal, window.prompt_count)
