"""Prompts of known laws, quiet and shifted, on which a monitor is judged.

Rows x ~ N(0, S), the eigenvalues of S from 1 to 0.1, tasks w ~ N(0, τ²I) with E wᵀSw = 1, noise
σ² = 0.1. A *het* world adds what real prompts have: an own mean (0.3 deviations) and an own scale
(15 %), rows that follow each other (AR(1), 0.5) and t tails of 6 degrees. The squared error of a
model is the mean of (ŷ - target)² over queries: their labels are drawn, noise included.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NOISE_VARIANCE = 0.1
MEAN_SPREAD, SCALE_SPREAD, FOLLOW, FREEDOM = 0.3, 0.15, 0.5, 6


class Prompts(NamedTuple):
    """B prompts of one length, with the labels of their queries."""

    x: Array  # (B, M, d)
    y: Array  # (B, M)
    queries: Array  # (B, Q, d)
    targets: Array  # (B, Q)


@dataclass(frozen=True, slots=True)
class World:
    """A law of prompts; `root` makes rows of unit deviation into rows of covariance S."""

    root: Array  # (d, d) S^½, symmetric
    task_variance: float  # τ²
    is_mixed: bool  # prompts differ, rows follow each other, tails are heavy


@dataclass(frozen=True, slots=True)
class Shift:
    """What became of a world; the defaults change nothing."""

    scale: float = 1.0  # of rows and queries
    mean: float = 0.0  # added to every feature, its deviations
    first_mean: float = 0.0  # added to the first feature alone, its deviations
    first_scale: float = 1.0  # of the first feature alone
    is_rotated: bool = False  # other eigenvectors, the same eigenvalues
    is_flipped: bool = False  # every second feature's correlations change sign, marginals stay
    freedom: int | None = None  # of t tails of unit variance
    query_scale: float = 1.0  # of queries alone
    noise_scale: float = 1.0  # of the noise variance
    task_scale: float = 1.0  # of the targets
    has_other_tasks: bool = False  # another covariance of w, the same E wᵀSw
    length_share: float = 1.0  # of the examples that are sent


SHIFTS = {
    "quiet": Shift(),
    "scale_0.5": Shift(scale=0.5),
    "scale_1.1": Shift(scale=1.1),
    "scale_1.5": Shift(scale=1.5),
    "scale_2": Shift(scale=2.0),
    "rotation": Shift(is_rotated=True),
    "correlation": Shift(is_flipped=True),
    "mean_0.25": Shift(mean=0.25),
    "mean_0.5": Shift(mean=0.5),
    "one_mean_0.25": Shift(first_mean=0.25),
    "one_scale_2": Shift(first_scale=2.0),
    "t3": Shift(freedom=3),
    "t5": Shift(freedom=5),
    "query_2": Shift(query_scale=2.0),
    "noise_4": Shift(noise_scale=4.0),
    "task_2": Shift(task_scale=2.0),
    "task_new": Shift(has_other_tasks=True),
    "short": Shift(length_share=0.5),
}


def worlds() -> dict[str, World]:
    """Return the reference worlds by name."""
    return {
        "iid5": world(5, is_mixed=False),
        "iid20": world(20, is_mixed=False),
        "het5": world(5, is_mixed=True),
        "het20": world(20, is_mixed=True),
    }


def world(d: int, is_mixed: bool) -> World:
    """Return the world of d features; its directions are the same in every process."""
    values = np.geomspace(1.0, 0.1, d)  # (d,)
    return World(_root(values, seed=d), 1.0 / float(values.sum()), is_mixed)


def draw(
    world: World,
    shift: str | Shift,
    prompt_count: int,
    length: int,
    rng: np.random.Generator,
    query_count: int = 1,
) -> Prompts:
    """Return prompts of `length` examples; a shift of lengths shortens them."""
    shift = SHIFTS[shift] if isinstance(shift, str) else shift
    M = max(2, round(length * shift.length_share))
    rows = _rows(world, shift, (prompt_count, M + query_count), rng)  # (B, M + Q, d)
    rows[:, M:] *= shift.query_scale
    w = _tasks(world, shift, prompt_count, rng)  # (B, d)
    noise = np.sqrt(NOISE_VARIANCE * shift.noise_scale) * rng.normal(size=rows.shape[:2])
    labels = (rows @ w[..., None])[..., 0] + noise  # (B, M + Q)
    return Prompts(rows[:, :M], labels[:, :M], rows[:, M:], labels[:, M:])


def stream(
    world: World,
    shift: str | Shift,
    prompt_count: int,
    lengths: Sequence[int],
    rng: np.random.Generator,
    query_count: int = 1,
) -> Iterator[Prompts]:
    """Yield prompts one by one (B = 1), their lengths drawn from `lengths`."""
    chosen = rng.choice(np.array(lengths), size=prompt_count)  # (n,)
    parts = {
        int(length): iter(
            zip(*draw(world, shift, int(n), int(length), rng, query_count), strict=True)
        )
        for length, n in zip(*np.unique(chosen, return_counts=True), strict=True)
    }
    for length in chosen.tolist():
        yield Prompts(*(part[None] for part in next(parts[length])))


def optimum(world: World, length: int) -> Array:
    """Return A (d, d), the paper's best single layer on a quiet world: ŷ = xᵀA Xᵀy/M.

    A⁻¹ = (1 + 1/M)S + (tr S + σ²/τ²)/M · I where rows are independent and normal (arXiv 2306.09927
    Theorem 4.1, with noise), else E[G](E[G²] + σ²/(τ²M) E[G])⁻¹ over 8000 prompts, G = XᵀX/M.
    """
    S = world.root @ world.root  # (d, d)
    eye, noise = np.eye(len(S)), NOISE_VARIANCE / world.task_variance
    if not world.is_mixed:
        A: Array = np.linalg.inv((1.0 + 1.0 / length) * S + (np.trace(S) + noise) / length * eye)
        return A
    x = _rows(world, Shift(), (8000, length), np.random.default_rng(0))  # (B, M, d)
    G = x.mT @ x / length  # (B, d, d)
    mean = G.mean(axis=0)  # (d, d)
    fitted: Array = mean @ np.linalg.inv((G @ G).mean(axis=0) + noise / length * mean)
    return fitted


def _rows(world: World, shift: Shift, size: tuple[int, int], rng: np.random.Generator) -> Array:
    """Return rows (B, n, d) of a shifted world."""
    d = len(world.root)
    root = _shifted_root(world, shift)  # (d, d)
    deviation = np.sqrt((root * root).sum(axis=1))  # (d,) of every feature
    freedom = shift.freedom or (FREEDOM if world.is_mixed else None)
    unit = _tailed(_followed(rng.normal(size=(*size, d)), world.is_mixed), freedom, rng)
    rows = unit @ root.T  # (B, n, d)
    if world.is_mixed:
        rows *= np.exp(SCALE_SPREAD * rng.normal(size=(size[0], 1, 1)))
        rows += MEAN_SPREAD * deviation * rng.normal(size=(size[0], 1, d))
    moved = np.full(d, shift.mean)  # (d,)
    moved[0] += shift.first_mean
    shifted: Array = shift.scale * rows + moved * deviation  # (B, n, d)
    return shifted


def _followed(unit: Array, is_mixed: bool) -> Array:
    """Return rows that follow each other within a prompt, of the same variance."""
    if is_mixed:
        fresh = np.sqrt(1.0 - FOLLOW**2)
        for place in range(1, unit.shape[1]):
            unit[:, place] = FOLLOW * unit[:, place - 1] + fresh * unit[:, place]
    return unit


def _tailed(unit: Array, freedom: int | None, rng: np.random.Generator) -> Array:
    """Return rows with t tails of unit variance, one radius a row."""
    if freedom is None:
        return unit
    radius = (freedom - 2) / rng.chisquare(freedom, size=(*unit.shape[:2], 1))  # (B, n, 1)
    return unit * np.sqrt(radius)


def _shifted_root(world: World, shift: Shift) -> Array:
    """Return the root (d, d) of the shifted covariance, less what one number scales."""
    d = len(world.root)
    root = world.root
    if shift.is_rotated:
        values = np.linalg.eigvalsh(root)[::-1] ** 2  # (d,)
        root = _root(np.asarray(values, np.float64), seed=d + 1000)
    signs = np.where(np.arange(d) % 2, -1.0, 1.0)  # (d,)
    root = signs[:, None] * root if shift.is_flipped else root.copy()
    root[0] *= shift.first_scale
    return root


def _tasks(world: World, shift: Shift, count: int, rng: np.random.Generator) -> Array:
    """Return tasks w (B, d); other tasks lie along the strongest directions of S."""
    d = len(world.root)
    w = np.sqrt(world.task_variance) * rng.normal(size=(count, d))  # (B, d)
    if shift.has_other_tasks:
        power = np.sum(world.root**2) / np.sum((world.root @ world.root) ** 2)
        w = np.sqrt(power) * w @ world.root  # E wᵀSw = 1 again
    tasks: Array = shift.task_scale * w  # (B, d)
    return tasks


def _root(values: Array, seed: int) -> Array:
    """Return the symmetric root (d, d) of a covariance of these eigenvalues."""
    d = len(values)
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]  # (d, d)
    root: Array = (basis * np.sqrt(values)) @ basis.T
    return root
