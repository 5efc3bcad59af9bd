"""Which features moved, which of them hurt, and in which way: by putting one thing back at a time.

A window of prompts is reduced to its second moments, as the served model sees them. With
S = E[uuᵀ] of examples, C = E[vvᵀ] of queries and tasks w ~ N(m + δ, T), m the mean of the prior and
δ the window's drift from it, the expected error above the noise is, for normal rows,
    one layer A      R = tr(TC) - 2 tr(CAST) + tr(CA(F + σ²S/M)Aᵀ),   F = E[GTG], G = UᵀU/M,
                     F = (1 - 1/M) STS + (S tr(TS) + 2STS - 2(mᵀTm) mmᵀ)/M
                         + αSTS + β(STS + S tr(TS))/M,   with T + δδᵀ in place of T
    exact inverse    R = σ² tr(CP) + kᵀCk,   P = (MS + σ²T⁻¹)⁻¹,   k = σ² PT⁻¹δ
In F, m = E[u]; α and β, 0 for independent normal rows, are what `fitted` finds in the reference:
prompts of their own scale, rows that follow each other. R is thus known for laws that never came:
the window with feature j, or with the means, the scales, the correlations, the lengths, the queries
or the tasks as in the reference. What falls is the harm of what was put back (docs/monitoring.md,
"Attribution"). Heavy tails are what R cannot see.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

KINDS = ("mean", "scale", "correlation", "context_length", "query", "task")
RIDGE = 1e-6  # of the moments' trace, so that a constant coordinate has a drift of 0
NOTEWORTHY = 1.25  # times the reference's excess: below, there is no harm to share out
TAIL_RATIO = 1.5  # observed over expected rise, from where tails must be the cause


class Law(NamedTuple):
    """First and second moments of vectors; a constant has deviation 0 and no correlations."""

    mean: Array  # (p,)
    deviation: Array  # (p,)
    correlation: Array  # (p, p)

    @property
    def second_moment(self) -> Array:
        """E[uuᵀ] (p, p)."""
        spread = self.correlation * np.outer(self.deviation, self.deviation)  # (p, p)
        moment: Array = spread + np.outer(self.mean, self.mean)
        return moment


@dataclass(frozen=True, slots=True)
class Scene:
    """The examples and queries of a window, working coordinates."""

    examples: Law
    queries: Law
    length: float  # M, harmonic mean
    drift: Array  # (p,) mean task of the window less the prior's

    @classmethod
    def without_drift(cls, examples: Law, queries: Law, length: float) -> "Scene":
        """Return a scene whose tasks have the prior's mean."""
        return cls(examples, queries, length, np.zeros(len(examples.mean)))


@dataclass(frozen=True, slots=True)
class Answering:
    """How a model answers: by one layer of weights A, or nearly by the inverse of its prior."""

    task_covariance: Array  # (p, p) T
    noise_variance: float  # σ²
    weights: Array | None = None  # (p, p) A of ŷ = vᵀA Uᵀr/M; None for foundation and profile
    spread: tuple[float, float] = (0.0, 0.0)  # α, β


class Sums(NamedTuple):
    """What a scene is made of, summed over prompts; sums of two windows add."""

    prompt_count: float
    inverse_lengths: float  # Σ 1/M
    means: Array  # (p,) Σ ū
    moments: Array  # (p, p) Σ G/M
    query_means: Array  # (p,) Σ of each prompt's mean v
    query_moments: Array  # (p, p) Σ of each prompt's mean vvᵀ
    gaps: Array  # (p,) Σ (Uᵀr - Gm)/M, what labels say beyond the prior mean
    squares: Array  # (p, p) Σ GG/M²

    def joined(self, other: "Sums") -> "Sums":
        """Return the sums of both."""
        return Sums(
            self.prompt_count + other.prompt_count,
            self.inverse_lengths + other.inverse_lengths,
            self.means + other.means,
            self.moments + other.moments,
            self.query_means + other.query_means,
            self.query_moments + other.query_moments,
            self.gaps + other.gaps,
            self.squares + other.squares,
        )

    @property
    def scene(self) -> Scene:
        """The window's examples and queries."""
        n = self.prompt_count
        queries = law(self.query_means / n, self.query_moments / n)
        lifted = self.moments + RIDGE * np.trace(self.moments) * np.eye(len(self.gaps))  # (p, p)
        drift = np.linalg.solve(lifted, self.gaps)  # (p,)
        examples = law(self.means / n, self.moments / n)
        return Scene(examples, queries, n / self.inverse_lengths, drift)


class Kind(NamedTuple):
    """In which way a window hurts; the name is empty where it does not."""

    name: str  # one of KINDS, tail, or empty
    shares: dict[str, float]  # of KINDS, sum 1; empty where nothing fell
    tail_ratio: float  # observed rise of the excess over what moments explain; NaN if unknown


def scene_sums(
    count: int, means: Array, grams: Array, queries: Array, gaps: Array | None = None
) -> Sums:
    """Return the sums of B prompts of M = count rows: ū (B, p), G = UᵀU (B, p, p), v (B, Q, p).

    gaps (B, p) is Uᵀr - Gm, what the labels say beyond the prior mean, 0 where it is not known. A
    model that centres each prompt has ū = 0; an intercept is a coordinate that is always 1.
    """
    B, Q = queries.shape[:2]
    moments = grams.sum(axis=0) / count  # (p, p)
    query_moments = np.einsum("bqi,bqj->ij", queries, queries) / Q  # (p, p)
    gap = np.zeros(means.shape[1]) if gaps is None else gaps.sum(axis=0) / count  # (p,)
    query_means = queries.mean(axis=1).sum(axis=0)  # (p,)
    squares = (grams @ grams).sum(axis=0) / count**2  # (p, p)
    sums = means.sum(axis=0), moments, query_means, query_moments, gap, squares
    return Sums(float(B), B / count, *sums)


def law(mean: Array, second_moment: Array) -> Law:
    """Return the law of a mean (p,) and E[uuᵀ] (p, p)."""
    covariance = second_moment - np.outer(mean, mean)  # (p, p)
    power = np.diagonal(second_moment)  # (p,)
    variance = np.diagonal(covariance)  # (p,)
    varies = variance > 1e-12 * power  # (p,) else a constant, and rounding
    deviation = np.sqrt(np.where(varies, variance, 0.0))  # (p,)
    inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies)  # (p,)
    correlation = covariance * np.outer(inverse, inverse)  # (p, p)
    np.fill_diagonal(correlation, 1.0)
    return Law(mean, deviation, correlation)


def expected_excess(answering: Answering, scene: Scene) -> float:
    """Return R, the expected squared error of an answer above the noise, working units²."""
    S, C = scene.examples.second_moment, scene.queries.second_moment  # (p, p)
    T, noise, M = answering.task_covariance, answering.noise_variance, scene.length
    A = answering.weights
    if A is None:
        precision = np.linalg.inv(T)  # (p, p)
        P = np.linalg.inv(M * S + noise * precision)  # (p, p)
        k = noise * (P @ (precision @ scene.drift))  # (p,)
        return noise * float(np.trace(C @ P)) + float(k @ C @ k)
    T = T + np.outer(scene.drift, scene.drift)  # (p, p)
    alpha, beta = answering.spread
    STS = S @ T @ S  # (p, p)
    F = _looks(scene, T) + alpha * STS + beta / M * (STS + S * np.trace(T @ S))  # (p, p)
    seen = np.trace(C @ A @ (F + noise * S / M) @ A.T)
    return float(np.trace(T @ C) - 2.0 * np.trace(C @ A @ S @ T) + seen)


def fitted(answering: Answering, reference: Sums) -> Answering:
    """Return the same with α and β as in the reference, by least squares on its E[GG]."""
    scene, eye = reference.scene, np.eye(len(reference.means))  # (p, p)
    S = scene.examples.second_moment  # (p, p)
    SS, M = S @ S, scene.length
    basis = np.stack([SS.ravel(), (SS + S * np.trace(S)).ravel() / M], axis=1)  # (p², 2)
    left = reference.squares / reference.prompt_count - _looks(scene, eye)  # (p, p)
    alpha, beta = np.linalg.lstsq(basis, left.ravel())[0]
    return replace(answering, spread=(float(alpha), float(beta)))


def _looks(scene: Scene, T: Array) -> Array:
    """Return E[GTG]/M² (p, p) of independent normal rows."""
    S, m, M = scene.examples.second_moment, scene.examples.mean, scene.length
    STS = S @ T @ S  # (p, p)
    fourth = S * np.trace(T @ S) + 2.0 * STS - 2.0 * (m @ T @ m) * np.outer(m, m)  # (p, p)
    looks: Array = (1.0 - 1.0 / M) * STS + fourth / M
    return looks


def harm_shares(answering: Answering, reference: Scene, now: Scene) -> Array:
    """Return the share (p,) of the excess error that goes when a coordinate is put back, sum 1.

    NaN where the window does not hurt more than the reference by `NOTEWORTHY`.
    """
    excess, p = expected_excess(answering, now), len(now.examples.mean)
    if not excess > NOTEWORTHY * expected_excess(answering, reference):
        return np.full(p, np.nan)
    falls = np.zeros(p)  # (p,)
    for place in range(p):
        examples = _feature_back(now.examples, reference.examples, place)
        queries = _feature_back(now.queries, reference.queries, place)
        drift = now.drift.copy()  # (p,)
        drift[place] = reference.drift[place]
        back = replace(now, examples=examples, queries=queries, drift=drift)
        falls[place] = max(0.0, excess - expected_excess(answering, back))
    total = falls.sum()
    return falls / total if total > 0.0 else np.full(p, np.nan)


def kind(
    answering: Answering, reference: Scene, now: Scene, observed_rise: float = float("nan")
) -> Kind:
    """Return the aspect whose return to the reference lowers the excess error most.

    observed_rise is the window's mean excess h - σ² over that of the reference, unclipped. It is
    what moments explain times what they do not; where the latter is larger, and more than
    `TAIL_RATIO`, the kind is `tail`.
    """
    excess, normal = expected_excess(answering, now), expected_excess(answering, reference)
    tail_ratio = observed_rise * normal / max(excess, 1e-300)
    shares: dict[str, float] = {}
    if excess > NOTEWORTHY * normal:
        backs = {name: _aspect_back(name, reference, now) for name in KINDS}
        falls = {k: max(0.0, excess - expected_excess(answering, s)) for k, s in backs.items()}
        total = sum(falls.values())
        shares = {name: fall / total for name, fall in falls.items()} if total > 0.0 else {}
    name = max(shares, key=lambda one: shares[one]) if shares else ""
    is_tail = tail_ratio > max(TAIL_RATIO, excess / normal) and observed_rise > NOTEWORTHY
    return Kind("tail" if is_tail else name, shares, tail_ratio)


def _feature_back(now: Law, reference: Law, place: int) -> Law:
    mean, deviation, correlation = (part.copy() for part in now)
    mean[place], deviation[place] = reference.mean[place], reference.deviation[place]
    correlation[place] = correlation[:, place] = reference.correlation[place]
    return Law(mean, deviation, _possible(correlation))


def _aspect_back(name: str, reference: Scene, now: Scene) -> Scene:
    """Return the scene with one aspect as in the reference.

    Queries go along with the examples; `query` puts back only how they differ from them.
    """
    here, there = now.examples, reference.examples
    asked, usual = now.queries, reference.queries
    match name:
        case "mean":
            examples = here._replace(mean=there.mean)
            queries = asked._replace(mean=asked.mean + there.mean - here.mean)
        case "scale":
            examples = here._replace(deviation=there.deviation)
            grown = _ratio(there.deviation, here.deviation)  # (p,)
            queries = asked._replace(deviation=asked.deviation * grown)
        case "correlation":
            examples = here._replace(correlation=there.correlation)
            moved = asked.correlation + there.correlation - here.correlation  # (p, p)
            queries = asked._replace(correlation=_possible(moved))
        case "query":
            examples, grown = here, _ratio(usual.deviation, there.deviation)
            mean = here.mean + usual.mean - there.mean  # (p,)
            moved = here.correlation + usual.correlation - there.correlation  # (p, p)
            queries = Law(mean, here.deviation * grown, _possible(moved))
        case "task":
            return replace(now, drift=reference.drift)
        case _:
            return replace(now, length=reference.length)
    return replace(now, examples=examples, queries=queries)


def _ratio(wanted: Array, found: Array) -> Array:
    return np.divide(wanted, found, out=np.ones_like(found), where=found > 0.0)


def _possible(correlation: Array) -> Array:
    """Return the matrix (p, p) without negative eigenvalues and with a diagonal of 1."""
    values, vectors = np.linalg.eigh(correlation)  # (p,), (p, p)
    if values[0] >= 0.0:
        return correlation
    raised = (vectors * np.maximum(values, 0.0)) @ vectors.T  # (p, p)
    unit = np.sqrt(np.diagonal(raised))  # (p,)
    possible: Array = raised / np.outer(unit, unit)
    return possible
