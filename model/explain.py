"""Why an answer is what it is: the weight of every example, and the plane the answer lies on.

Every model here answers linearly in the labels once its scales are fixed, so both are identities
and not approximations (docs/intervals.md, section 1). A `Smoother` is what the models share.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.answer import Solver
from model.ladder import Spectrum
from model.moments import Moments
from model.prompt import Block
from model.standardise import Standardised

Array = NDArray[np.float64]

PASSES = {Solver.NONE: 0, Solver.K1: 1, Solver.K2: 2, Solver.K4: 4}


@dataclass(frozen=True, slots=True)
class Smoother:
    """B prompts in working coordinates, answered ŷ = origin + unit · vᵀŵ, ŵ = m + P(Uᵀr - Gm).

    A `centred` model took the prompt's means from rows and labels, and its label origin is ȳ; else
    coordinate 0 may be an intercept (p = d + 1). P is B/σ² of a profile.
    """

    count: int  # M
    centred: bool
    inverse: Array  # (B, p, p) P
    gram: Array  # (B, p, p) G = UᵀU
    products: Array  # (B, p) Uᵀr
    label_power: Array  # (B,) rᵀr
    queries: Array  # (B, Q, p) v
    label_origin: Array  # (B,)
    label_unit: Array  # (B,)
    feature_origin: Array  # (B, d)
    feature_unit: Array  # (B, d) inf for a column that is ignored
    prior_mean: Array  # (p,) m, zeros without a profile
    rows: Array | None = None  # (B, M, p) U, absent for a summary
    labels: Array | None = None  # (B, M) r, absent for a summary

    @property
    def coefficients(self) -> Array:
        """ŵ (B, p), in working coordinates."""
        left = self.products - self.gram @ self.prior_mean  # (B, p) Uᵀ(r - Um)
        learnt: Array = self.prior_mean + (self.inverse @ left[..., None])[..., 0]  # (B, p)
        return learnt

    @property
    def predictions(self) -> Array:
        """ŷ (B, Q), label units."""
        working = (self.queries @ self.coefficients[..., None])[..., 0]  # (B, Q)
        answers: Array = self.label_origin[:, None] + self.label_unit[:, None] * working
        return answers

    @property
    def keys(self) -> Array:
        """Pᵀv (B, Q, p): where each query looks."""
        return self.queries @ self.inverse


class Explanation(NamedTuple):
    """What an answer consists of; infinite or NaN where a unit does not fit a double.

    intercepts + queries · coefficients = predictions = weights · labels + profile_shares.
    """

    coefficients: Array  # (B, d) label units a feature unit
    intercepts: Array  # (B,) label units
    profile_shares: Array  # (B, Q) label units, 0 without a profile
    weights: Array | None  # (B, Q, M), absent for a summary
    corrections: Array | None = None  # (B, Q) the certificate, absent for a single layer


def explain(smoother: Smoother) -> Explanation:
    """Return the effective coefficients of B prompts and the weight of every example.

    The weights are the derivatives of the predictions by the labels while what was chosen from the
    labels stays: λ, the solver's stage, and the label scale of a profile.
    """
    w, unit = smoother.coefficients, smoother.label_unit  # (B, p), (B,)
    d = smoother.feature_unit.shape[1]
    slopes = unit[:, None] * w[:, w.shape[1] - d :] / smoother.feature_unit  # (B, d)
    intercepts = smoother.label_origin - (slopes * smoother.feature_origin).sum(axis=1)  # (B,)
    if w.shape[1] > d:
        intercepts = intercepts + unit * w[:, 0]
    attention = None if smoother.rows is None else smoother.keys @ smoother.rows.mT  # (B, Q, M) α
    weights, shares = attention, _prior_shares(smoother)  # (B, Q, M), (B, Q)
    if attention is not None:
        if smoother.centred:
            weights = attention - attention.mean(axis=2, keepdims=True) + 1.0 / smoother.count
        else:
            shares += smoother.label_origin[:, None] * (1.0 - attention.sum(axis=2))
    return Explanation(slopes, intercepts, shares, weights)


def _prior_shares(smoother: Smoother) -> Array:
    """Return unit · vᵀ(I - PG)m (B, Q), what the prior mean adds to every answer."""
    m = smoother.prior_mean
    forgotten = (smoother.inverse @ (smoother.gram @ m)[..., None])[..., 0]  # (B, p)
    shares: Array = (smoother.queries @ (m - forgotten)[..., None])[..., 0]  # (B, Q)
    return smoother.label_unit[:, None] * shares


def corrections(smoother: Smoother, lifted: Array, deviation: Array) -> Array:
    """Return the certificate c (B, Q): what one more pass would add, in predictive deviations.

    lifted (B, p, p) is the A that P should invert, G + λI of `foundation`, G + σ²Ψ⁻¹ of a profile;
    deviation (B, Q) is σ √(1 + h̄) in working units. 0 where the deviation is 0.
    """
    left = smoother.products - smoother.gram @ smoother.prior_mean  # (B, p)
    fitted = smoother.inverse @ left[..., None]  # (B, p, 1)
    missed = left[..., None] - lifted @ fitted  # (B, p, 1) b - APb
    moved = np.abs((smoother.keys @ missed)[..., 0])  # (B, Q)
    return np.divide(moved, deviation, out=np.zeros_like(moved), where=deviation > 0.0)


def foundation_smoother(
    block: Block, prompts: Standardised, spectrum: Spectrum, vectors: Array, solvers: bytearray
) -> Smoother:
    """Return the smoother that answered a block, at the stage each prompt's ladder stopped.

    vectors (B, d, d) are the basis of the spectrum. A prompt whose labels or columns are all
    constant was answered by its mean: P = 0.
    """
    by_mean = prompts.label_constant | prompts.constant.all(axis=1)  # (B,)
    values = np.where(by_mean[:, None], 0.0, stage_inverse(spectrum, solvers))  # (B, d)
    mean, sd = _feature_units(block)  # (B, d), (B, d)
    unit = np.ldexp(prompts.label_sd, prompts.label_exponent)  # (B,)
    return Smoother(
        count=prompts.count,
        centred=True,
        inverse=(vectors * values[:, None]) @ vectors.mT,
        gram=prompts.gram,
        products=prompts.products,
        label_power=prompts.label_power,
        queries=prompts.queries,
        label_origin=np.ldexp(prompts.label_mean, prompts.label_exponent),
        label_unit=np.where(prompts.label_constant, 0.0, unit),
        feature_origin=mean,
        feature_unit=np.where(prompts.constant, np.inf, sd),
        prior_mean=np.zeros(mean.shape[1]),
        rows=prompts.rows,
        labels=prompts.labels,
    )


def stage_inverse(spectrum: Spectrum, solvers: bytearray) -> Array:
    """Return the eigenvalues of P (B, d) after the passes of each solver, 1/t for an exact one."""
    passes = np.array([PASSES.get(Solver(solver), np.inf) for solver in solvers])  # (B,)
    residual = 1.0 - spectrum.lifted * spectrum.inverse  # (B, d) |r| < 1
    again: Array = (1.0 - residual ** passes[:, None]) / spectrum.lifted  # (B, d)
    return np.where(passes[:, None] == 1, spectrum.inverse, again)


def paper_smoother(block: Block, A: Array, centred: bool) -> Smoother:
    """Return the paper's layer with weights A (d, d) of the prompt's length as a smoother.

    A centred model takes A of M - 1 terms. Working coordinates are natural, less the means. A
    summary must hold its second moments.
    """
    M, B, d = block.example_count, len(block.queries), len(A)
    sums = _paper_sums(block, centred)
    return Smoother(
        count=M,
        centred=centred,
        inverse=np.broadcast_to(A / (M - 1 if centred else M), (B, d, d)),
        gram=sums.gram,
        products=sums.products,
        label_power=sums.label_power,
        queries=block.queries - sums.mean[:, None],
        label_origin=sums.label_mean,
        label_unit=np.ones(B),
        feature_origin=sums.mean,
        feature_unit=np.ones((B, d)),
        prior_mean=np.zeros(d),
        rows=sums.rows,
        labels=sums.labels,
    )


class _Sums(NamedTuple):
    """Rows and sums of B contexts, less what was taken off as their mean, which may be 0."""

    mean: Array  # (B, d)
    label_mean: Array  # (B,)
    gram: Array  # (B, d, d)
    products: Array  # (B, d)
    label_power: Array  # (B,)
    rows: Array | None = None  # (B, M, d)
    labels: Array | None = None  # (B, M)


def _paper_sums(block: Block, centred: bool) -> _Sums:
    if isinstance(block.context, Moments):
        return _summary_sums(block.context, centred)
    x, y = block.context
    share = float(centred)
    mean, label_mean = share * x.mean(axis=1), share * y.mean(axis=1)  # (B, d), (B,)
    u, r = x - mean[:, None], y - label_mean[:, None]  # (B, M, d), (B, M)
    products = (r[:, None] @ u)[:, 0]  # (B, d)
    return _Sums(mean, label_mean, u.mT @ u, products, (r * r).sum(axis=1), u, r)


def _summary_sums(m: Moments, centred: bool) -> _Sums:
    assert m.scatter is not None  # without, nothing can be said of an answer
    if centred:
        return _Sums(m.mean, m.label_mean, m.scatter, m.products, m.label_scatter)
    gram = m.scatter + m.count * m.mean[:, :, None] * m.mean[:, None]  # (B, d, d)
    products = m.products + m.count * m.mean * m.label_mean[:, None]  # (B, d)
    power = m.label_scatter + m.count * m.label_mean**2  # (B,)
    return _Sums(0.0 * m.mean, 0.0 * m.label_mean, gram, products, power)


def _feature_units(block: Block) -> tuple[Array, Array]:
    """Return the prompts' means and deviations (B, d), as `model.standardise` takes them."""
    if isinstance(block.context, Moments):
        assert block.context.scatter is not None  # the model's own check precedes
        power = np.diagonal(block.context.scatter, axis1=1, axis2=2)  # (B, d)
        return block.context.mean, np.sqrt(power / (block.example_count - 1))
    x = block.context.x
    exponent = np.frexp(np.abs(x).max(axis=1, keepdims=True))[1]  # (B, 1, d)
    scaled = np.ldexp(x, -exponent)  # (B, M, d) so that no square overflows
    sd = scaled.std(axis=1, ddof=1)  # (B, d)
    return np.ldexp(scaled.mean(axis=1), exponent[:, 0]), np.ldexp(sd, exponent[:, 0])
