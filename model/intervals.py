"""Prediction intervals from a prompt alone, and the scale that calibrated ones share.

Every half-width is a multiple of the scale s_q = unit · √(σ_p² (1 + h̄_q)): the noise of the prompt
times how far the query leans out of its examples (docs/intervals.md, sections 2 to 4).
"""

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.explain import Smoother
from model.refusal import Refusal

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEVELS = (0.80, 0.90, 0.95)
T_QUANTILES = (
    np.array(  # Student's two-sided quantiles at LEVELS as polynomials in 1/freedom <= 1/3
        [
            [1.2815516, 0.84658503, 0.57087396, 0.25894355, 0.048899254, 0.10408807, -0.040245174],
            [1.6448536, 1.5237698, 1.4201682, 0.98381756, 0.42413996, 0.25648763, 0.044174604],
            [1.959964, 2.3722679, 2.8226187, 2.5542043, 1.5988126, 0.72024301, 0.58280337],
        ]
    )
)  # (3, 7)
FREEDOM_MIN = 3.0  # below, the spread of so few residuals says too little for any level
LEVERAGE_CLIP = 0.98  # an example that explains itself says nothing of the error
SMALLEST_VARIANCE = 1e-300  # so that logarithms and quotients are finite


class Method(IntEnum):
    """What an interval's level rests on; the numbers are those of the contract."""

    CALIBRATED = 1
    UNCALIBRATED = 2
    PROVISIONAL = 3


class Intervals(NamedTuple):
    """Prediction ± half-width; where a level is not `honoured`, its coverage is not promised."""

    half_widths: Array  # (B, Q, L) label units
    standard_errors: Array  # (B, Q) s_q, label units, of the label and not of its mean
    honoured: Mask  # (B, L)
    method: Method

    def bounds(self, predictions: Array) -> tuple[Array, Array]:
        """Return lower and upper bounds (B, Q, L), clipped to what a double holds."""
        top = np.finfo(np.float64).max
        lower = np.clip(predictions[..., None] - self.half_widths, -top, top)  # (B, Q, L)
        return lower, np.clip(predictions[..., None] + self.half_widths, -top, top)


class LeaveOneOut(NamedTuple):
    """What each example errs by without itself, and how much it leans on itself."""

    errors: Array  # (B, M) e, working units
    leverages: Array  # (B, M) h


class Noise(NamedTuple):
    """The noise of B prompts as each shows it, and on how many examples that rests."""

    variance: Array  # (B,) σ_p², working units
    freedom: Array  # (B,) M - df
    evidence: Array  # (B,) what the variance counts for beside a history's: M, or M - df


def columns_of(levels: Sequence[float]) -> list[int]:
    """Return where each level stands in LEVELS; refuse another one."""
    unknown = [level for level in levels if level not in LEVELS]
    if unknown:
        known = ", ".join(f"{level:.2f}" for level in LEVELS)
        sentence = f"expected levels of {known}, got {unknown[0]:g}"
        raise Refusal("UNSUPPORTED_OPTION", "options.confidence_levels", sentence)
    return [LEVELS.index(level) for level in levels]


def student_quantiles(freedom: Array) -> Array:
    """Return the two-sided quantiles (B, 3) of Student's t at LEVELS; freedom (B,) of 3 or more.

    Good to 1e-7. Below 3 the quantile at 3 is returned.
    """
    powers = (1.0 / np.maximum(freedom, FREEDOM_MIN))[:, None] ** np.arange(7)  # (B, 7)
    quantiles: Array = powers @ T_QUANTILES.T  # (B, 3)
    return quantiles


def query_leverages(smoother: Smoother) -> Array:
    """Return h̄ (B, Q) = vᵀPv, and 1/M where the prompt was centred."""
    leverage: Array = (smoother.keys * smoother.queries).sum(axis=2)  # (B, Q)
    return leverage + smoother.centred / smoother.count


def leave_one_out(smoother: Smoother, rows: Array, labels: Array) -> LeaveOneOut:
    """Return e = residual/(1 - h) (B, M) of rows (B, M, p); exact where P inverts G + λI."""
    fit = (rows @ smoother.coefficients[..., None])[..., 0]  # (B, M)
    leverage = _row_leverages(smoother, rows)  # (B, M)
    return LeaveOneOut((labels - fit) / (1.0 - leverage), leverage)


def _row_leverages(smoother: Smoother, rows: Array) -> Array:
    leverage: Array = ((rows @ smoother.inverse) * rows).sum(axis=2)  # (B, M)
    return np.minimum(leverage + smoother.centred / smoother.count, LEVERAGE_CLIP)


def noise(smoother: Smoother) -> Noise:
    """Return mean e²(1 - h) of a prompt's rows; of a summary RSS/(M - df)."""
    M, w = smoother.count, smoother.coefficients  # (B, p)
    used = np.einsum("bij,bji->b", smoother.inverse, smoother.gram)  # (B,) tr(PG)
    freedom = M - used - smoother.centred  # (B,)
    if smoother.rows is not None and smoother.labels is not None:
        left = leave_one_out(smoother, smoother.rows, smoother.labels)
        variance = (left.errors**2 * (1.0 - left.leverages)).mean(axis=1)  # (B,)
        return Noise(variance, freedom, np.full(len(w), float(M)))
    evidence = np.maximum(freedom, 1.0)  # (B,)
    return Noise(_residual_power(smoother) / evidence, freedom, evidence)


def _residual_power(smoother: Smoother) -> Array:
    """Return RSS (B,) from the sums; as rounding may leave it, never below 0."""
    w = smoother.coefficients  # (B, p)
    explained = (w * (2.0 * smoother.products - (smoother.gram @ w[..., None])[..., 0])).sum(axis=1)
    rss: Array = np.maximum(smoother.label_power - explained, 0.0)  # (B,)
    return rss


def reaches(smoother: Smoother, rows: Array) -> Array:
    """Return h̄_q over the largest leverage of an example on the others (B, Q).

    Above 1, no example left out ever leant so far: its errors cannot vouch for such a query.
    """
    own = _row_leverages(smoother, rows)  # (B, M)
    reach: Array = query_leverages(smoother) / (own / (1.0 - own)).max(axis=1)[:, None]  # (B, Q)
    return reach


def uncalibrated(smoother: Smoother, levels: Sequence[float] = LEVELS) -> Intervals:
    """Return t · s_q of the prompt alone, t with M - df degrees of freedom.

    With rows, s_q² grows by the reach of a query beyond 1. Not honoured: fewer than 3 degrees of
    freedom, or labels without any spread.
    """
    columns = columns_of(levels)
    seen = noise(smoother)
    scale = scales(smoother, seen.variance)  # (B, Q)
    if smoother.rows is not None:
        scale *= np.sqrt(np.maximum(reaches(smoother, smoother.rows), 1.0))
    honoured = (seen.freedom >= FREEDOM_MIN) & (seen.variance > 0.0) & (smoother.label_unit > 0.0)
    return _student(scale, seen.freedom, honoured, columns)


def scales(smoother: Smoother, variance: Array) -> Array:
    """Return s_q (B, Q), label units, of prompts whose noise has a variance (B,)."""
    spread = np.sqrt(variance[:, None] * (1.0 + query_leverages(smoother)))  # (B, Q)
    scaled: Array = smoother.label_unit[:, None] * spread
    return scaled


def _student(scale: Array, freedom: Array, honoured: Mask, columns: list[int]) -> Intervals:
    """Return t(freedom) · scale (B, Q) at the levels in the columns, honoured (B,) at each."""
    half = scale[..., None] * student_quantiles(freedom)[:, None, columns]  # (B, Q, L)
    every = np.repeat(honoured[:, None], len(columns), axis=1)  # (B, L)
    return Intervals(half, scale, every, Method.UNCALIBRATED)


def paper_intervals(
    smoother: Smoother, noise_to_signal: float, levels: Sequence[float] = LEVELS
) -> Intervals:
    """Return the paper layer's intervals: its errors measured by what its law expects of them.

    noise_to_signal is σ²/τ². With rows the half-width is the ⌈α(M+1)⌉-th smallest leave-one-out
    score times the expected error; where M has no such rank (the level is then not honoured), or
    for a summary, a Student quantile with M - d degrees of freedom.
    """
    columns = columns_of(levels)
    M, keys = smoother.count, smoother.keys  # (B, Q, d)
    mean_share = smoother.centred / M
    risk = _law_risk(keys, keys @ smoother.gram, smoother.queries, noise_to_signal, mean_share)
    expected = np.sqrt(risk)  # (B, Q)
    freedom = np.full(len(keys), float(M - keys.shape[2]))  # (B,)
    if smoother.rows is None or smoother.labels is None:
        scale = expected * np.sqrt(_summary_score(smoother, noise_to_signal))[:, None]  # (B, Q)
        return _student(scale, freedom, freedom >= FREEDOM_MIN, columns)
    scores = np.sort(_scores(smoother, smoother.rows, smoother.labels, noise_to_signal))  # (B, M)
    scale = expected * np.sqrt((scores * scores).mean(axis=1))[:, None]  # (B, Q)
    widths = _student(scale, freedom, np.zeros(len(keys), bool), columns)
    for place, column in enumerate(columns):
        rank = math.ceil(LEVELS[column] * (M + 1) - 1e-9)
        if rank <= M:
            widths.half_widths[..., place] = scores[:, rank - 1, None] * expected
            widths.honoured[:, place] = True
    return widths


def _law_risk(keys: Array, looks: Array, x: Array, noise_to_signal: float, share: float) -> Array:
    """Return E(y - ŷ)²/τ² (B, R) at x (B, R, d), given covariates; looks is G times the keys.

    docs/intervals.md, section 3; `share` is the noise of the label mean.
    """
    missed = looks - x  # (B, R, d)
    noisy = noise_to_signal * ((keys * looks).sum(axis=2) + 1.0 + share)  # (B, R)
    risk: Array = (missed * missed).sum(axis=2) + noisy  # (B, R)
    return risk


def _scores(smoother: Smoother, u: Array, r: Array, noise_to_signal: float) -> Array:
    """Return |e_i|/√V_i (B, M): each example's error without itself, over what the law expects.

    Exact where the weights A stay and means and divisor follow the M - 1 examples left.
    """
    M, terms = smoother.count, smoother.count - smoother.centred
    c = M / (M - 1) if smoother.centred else 1.0  # the mean moves away from what leaves it
    grow = c * terms / (terms - 1)
    seen = u @ smoother.inverse  # (B, M, d) Pᵀu
    fit = (seen @ smoother.products[..., None])[..., 0]  # (B, M)
    own = c * (seen * u).sum(axis=2)  # (B, M)
    errors = c * r - grow * (fit - own * r)  # (B, M)
    keys = grow * seen  # (B, M, d)
    looks = keys @ smoother.gram - grow * own[..., None] * u  # (B, M, d)
    share = 1.0 / (M - 1) if smoother.centred else 0.0
    risk = _law_risk(keys, looks, c * u, noise_to_signal, share)  # (B, M)
    scores: Array = np.abs(errors) / np.sqrt(np.maximum(risk, SMALLEST_VARIANCE))  # (B, M)
    return scores


def _summary_score(smoother: Smoother, noise_to_signal: float) -> Array:
    """Return RSS over what the law expects of it (B,), the mean squared score of a summary."""
    PG = smoother.inverse @ smoother.gram  # (B, d, d)
    kept = np.eye(PG.shape[1]) - PG  # (B, d, d)
    task = np.einsum("bji,bjk,bki->b", kept, smoother.gram, kept)  # (B,) ‖U(I - PG)‖²
    square = np.einsum("bij,bij->b", smoother.gram @ PG, smoother.inverse)  # (B,) ‖UPUᵀ‖²
    free = smoother.count - smoother.centred - 2.0 * np.einsum("bii->b", PG) + square  # (B,)
    expected = task + noise_to_signal * free  # (B,)
    score: Array = _residual_power(smoother) / np.maximum(expected, SMALLEST_VARIANCE)  # (B,)
    return score
