"""A profile's prior as tokens beside the examples, and the layers on them (docs/model.md, 6).

Rows X T C D/σ of the examples and Ψ^(-½) T C D of the prior stand in one sequence: T frees the
slopes of the intercept, C whitens what the history expects, D gives each coordinate of the prompt
length 1. The layers see only their sums A = D Cᵀ H C D, H = Tᵀ(XᵀX/σ² + Ψ⁻¹)T, which a summary
has as well.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.answer import Solver
from model.coordinates import Centred, centre
from model.ladder import PASSES
from model.layers import Steps, inverse_polynomial
from model.profile_parameters import BucketParameters
from model.prompt import Block

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The sums of B prompts' tokens; labels are in units of σ, so a query's noise is 1."""

    gram: Array  # (B, p, p) A, unit diagonal
    products: Array  # (B, p) b
    queries: Array  # (B, Q, p) u
    prior_answers: Array  # (B, Q) of the prior's mean task, working label units
    basis: Array  # (B, p, p) CD: back from A's coordinates to those of H
    own_mean: float  # 1/M where the prompt's mean was taken out, else 0: noise of ȳ


def tokens(centred: Centred, bucket: BucketParameters, whitening: Array) -> Tokens:
    """Return the token sums of B prompts; whitening (p, p) is C at their length."""
    sigma = math.sqrt(bucket.noise_variance)
    H, b, u, task = _about_centre(centred, bucket)  # (B, p, p), (B, p), (B, Q, p), (B, p)
    A = whitening.T @ H @ whitening  # (B, p, p)
    D: Array = 1.0 / np.sqrt(np.diagonal(A, axis1=1, axis2=2))  # (B, p)
    basis = whitening * D[:, None]  # (B, p, p)
    return Tokens(
        gram=A * (D[:, None] * D[:, :, None]),
        products=(b[:, None] @ basis)[:, 0],
        queries=u @ basis / sigma,
        prior_answers=(u @ task[..., None])[..., 0],
        basis=basis,
        own_mean=0.0 if bucket.has_intercept else 1.0 / centred.count,
    )


def _about_centre(centred: Centred, bucket: BucketParameters) -> tuple[Array, Array, Array, Array]:
    """Return H (B, p, p), Tᵀ X'(r - Xm)/σ² (B, p), Tᵀx_q (B, Q, p) and T⁻¹m (B, p)."""
    m, noise, mean = bucket.prior_mean, bucket.noise_variance, centred.mean
    slopes = m[-mean.shape[1] :]  # (d,)
    H = centred.scatter / noise + bucket.slope_precision()  # (B, d, d)
    b = (centred.products - centred.scatter @ slopes) / noise  # (B, d)
    if not bucket.has_intercept:
        return H, b, centred.queries, np.broadcast_to(m, b.shape)
    level = bucket.level(centred.count)
    gap, off = mean - level.anchor, mean - level.centre(mean)  # (B, d), (B, d)
    whole = np.zeros((len(H), len(m), len(m)))  # (B, p, p)
    whole[:, 0, 0] = level.total
    whole[:, 1:, 1:] = H + level.coupling * gap[:, :, None] * gap[:, None]
    told = level.weight * (centred.label_mean - m[0] - mean @ slopes)  # (B,) Σ(r - Xm)/σ²
    b = np.column_stack([told, b + told[:, None] * off])  # (B, p)
    ones = np.ones((*centred.queries.shape[:2], 1))  # (B, Q, 1)
    u = np.concatenate([ones, centred.queries + off[:, None]], axis=2)  # (B, Q, p)
    base = m[0] + (mean - off) @ slopes  # (B,)
    return whole, b, u, np.column_stack([base, np.broadcast_to(slopes, mean.shape)])


def change(centre: Array) -> Array:
    """Return T (B, p, p) = [[1, -vᵀ], [0, I]] for v (B, d); its inverse is T of -v."""
    p = centre.shape[1] + 1
    T = np.zeros((len(centre), p, p))  # (B, p, p)
    T[:] = np.eye(p)
    T[:, 0, 1:] = -centre
    return T


@dataclass(frozen=True, slots=True)
class Climbed:
    """The layers' inverse of A of every prompt, at the stage its certificate first held."""

    values: Array  # (B, p) eigenvalues of P
    vectors: Array  # (B, p, p)
    solvers: bytearray  # (B,) Solver


def climb(given: Tokens, steps: Steps, bound: float) -> Climbed:
    """Run the layers once, twice, four times, then solve exactly (docs/model.md, 3).

    A stage is accepted when one more pass would move no answer of the prompt by more than `bound`
    of its predictive standard deviation, which the profile knows: σ √(1 + h̄).
    """
    t, vectors = _eigen(given.gram)  # (B, p), (B, p, p)
    t = np.maximum(t, np.finfo(np.float64).eps)  # (B, p) A is positive definite but for rounding
    rho = np.sqrt((t * t).sum(axis=1, keepdims=True))  # (B, 1) ‖A‖_F
    once = inverse_polynomial(t / rho, steps) / rho  # (B, p)
    b = (given.products[:, None] @ vectors)[:, 0]  # (B, p)
    u = given.queries @ vectors  # (B, Q, p)
    values, solvers = 1.0 / t, bytearray([Solver.EXACT]) * len(t)  # (B, p), (B,)
    pending = np.arange(len(t))
    for passes, solver in PASSES:
        residual = (1.0 - t[pending] * once[pending]) ** passes  # (n, p) rᵏ
        inverse = once[pending] if passes == 1 else (1.0 - residual) / t[pending]  # (n, p)
        next_weights = inverse * residual * b[pending]  # (n, p) what one more pass adds
        moved = (u[pending] @ next_weights[..., None])[..., 0]  # (n, Q)
        leverage = (u[pending] ** 2 @ inverse[..., None])[..., 0] + given.own_mean  # (n, Q)
        held = (np.abs(moved) <= bound * np.sqrt(1.0 + leverage)).all(axis=1)  # (n,)
        values[pending[held]] = inverse[held]
        for prompt in pending[held]:
            solvers[prompt] = solver
        pending = pending[~held]
    return Climbed(values, vectors, solvers)


def _eigen(gram: Array) -> tuple[Array, Array]:
    """Return eigenvalues (B, p) and vectors (B, p, p); NaN values of a gram that overflowed."""
    if math.isfinite(gram.sum()):
        return np.linalg.eigh(gram)
    finite = np.asarray(np.isfinite(gram).all(axis=(1, 2)))[:, None]  # (B, 1)
    values, vectors = np.linalg.eigh(np.where(finite[..., None], gram, 0.0))
    return np.where(finite, values, np.nan), vectors


def answers(given: Tokens, climbed: Climbed, sigma: float) -> Array:
    """Return the answers (B, Q), working label units."""
    b = (given.products[:, None] @ climbed.vectors)[:, 0]  # (B, p)
    w = climbed.vectors @ (climbed.values * b)[..., None]  # (B, p, 1)
    learnt: Array = given.prior_answers + sigma * (given.queries @ w)[..., 0]  # (B, Q)
    return learnt


def exact_answers(block: Block, bucket: BucketParameters) -> Array:
    """Return the posterior mean (B, Q), natural units: what the layers approach."""
    centred = centre(block, bucket.units, bucket.coordinates)
    given = tokens(centred, bucket, bucket.whitening(centred.count))
    w = np.linalg.solve(given.gram, given.products[..., None])  # (B, p, 1)
    learnt = math.sqrt(bucket.noise_variance) * (given.queries @ w)[..., 0]  # (B, Q)
    return natural(centred, given.prior_answers + learnt)


def natural(centred: Centred, answers: Array) -> Array:
    """Return working answers (B, Q) in the caller's unit."""
    result: Array = centred.label_origin[:, None] + centred.label_unit[:, None] * answers
    return result


def posterior(given: Tokens, climbed: Climbed) -> Array:
    """Return CD P DCᵀ (B, p, p): with T on both sides, the posterior covariance of w."""
    turned = given.basis @ climbed.vectors  # (B, p, p)
    covariance: Array = (turned * climbed.values[:, None]) @ turned.mT
    return covariance
