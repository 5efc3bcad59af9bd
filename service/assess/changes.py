"""Held-out prompts as they would come under changed conditions.

Two kinds. Of a changed world (scale, mean, rotation, correlation) examples and queries move alike,
and a label moves with its group's own relation, y + bᵀ(x' - x): its slopes and its residual stay.
Of an error in the data (noise, gaps, units) the row is written wrongly, and its label is still that
of the row as it was. Only columns of numbers move with a world: a flag, a category, a date or a
place on a clock (two columns on a circle) has no scale.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import Category, Date, Number
from model.history import Prompts
from service.assess.relation import Usual
from service.assess.units import misreadings

Array = NDArray[np.float64]
Places = NDArray[np.intp]
Source = Number | Category | Date

SCALES, MEANS = (1.5, 2.0), (0.5, 1.0, 2.0)
ANGLES = (30.0, 90.0)  # degrees, the largest of a turn
SHARES = (0.5, 0.8)  # of a column's movement that becomes common to all
LABEL_NOISE = 2.0  # of the learnt noise
FEATURE_NOISE = 0.5  # deviations within a group
SOME = 0.1  # of the rows
FEWER = (2, 4)  # of the examples one in so many remains
FEWEST = 4


class Changed(NamedTuple):
    """Prompts under one condition; NaN where a value is missing."""

    code: str
    strength: float
    columns: tuple[str, ...]  # empty: all that a world moves
    prompts: Prompts


@dataclass(frozen=True, slots=True)
class Scene:
    """Prompts as they are, and all that a change of them needs."""

    prompts: Prompts
    usual: Usual
    sources: Sequence[Source]
    slopes: Array  # (P, d) of each prompt's group
    noise: float  # learnt, target's unit
    reliance: Array  # (sources,) how much of the answers rests on each
    seed: int

    def places(self, source: int) -> Places:
        """Return the features of a source."""
        counts = [len(one.columns()) for one in self.sources]
        return np.arange(counts[source]) + sum(counts[:source])

    def free(self) -> Places:
        """Return the features that a world moves."""
        on_circle = _clocks(self.prompts.x)
        numbers = [
            int(place)
            for i, source in enumerate(self.sources)
            for place in self.places(i)
            if isinstance(source, Number)
        ]
        return np.array([p for p in numbers if self.usual.varies[p] and not on_circle[p]], np.intp)


def changes(scene: Scene) -> Iterator[Changed]:
    """Yield the prompts under every condition that makes sense for them."""
    yield from _worlds(scene)
    yield from _noises(scene)
    yield from _gaps(scene)
    yield from _units(scene)
    M = scene.prompts.x.shape[1]
    for part in FEWER:
        if (kept := M // part) >= FEWEST:
            prompts = scene.prompts
            fewer = prompts._replace(x=prompts.x[:, -kept:], y=prompts.y[:, -kept:])
            yield Changed("fewer_examples", float(kept), (), fewer)


def _worlds(scene: Scene) -> Iterator[Changed]:
    free = scene.free()
    f, rng = len(free), np.random.default_rng([scene.seed, 1])
    if not f:
        return
    for factor in SCALES:
        yield Changed("scale", factor, (), moved(scene, free, np.multiply, factor))
    for deviations in MEANS:
        yield Changed("mean", deviations, (), moved(scene, free, np.add, deviations))
    if f < 2:
        return
    for degrees in ANGLES:
        turn = rotation(f, np.deg2rad(degrees), rng)  # (f, f)
        yield Changed("rotation", degrees, (), moved(scene, free, np.matmul, turn.T))
    correlation = scene.usual.correlation[np.ix_(free, free)]  # (f, f)
    for share in SHARES:
        mixed = together(correlation, share)  # (f, f)
        yield Changed("correlation", share, (), moved(scene, free, np.matmul, mixed.T))


def moved(
    scene: Scene, free: Places, how: Callable[[Array, Array | float], Array], by: Array | float
) -> Prompts:
    """Return prompts of a world in which standardised columns z (…, f) are how(z, by)."""
    prompts, usual = scene.prompts, scene.usual
    mean, deviation = usual.mean[free], usual.deviation[free]  # (f,), (f,)
    slopes = scene.slopes[:, free, None]  # (P, f, 1)

    def world(rows: Array) -> tuple[Array, Array]:
        z = (rows[..., free] - mean) / deviation  # (P, R, f)
        step = (how(z, by) - z) * deviation  # (P, R, f)
        new = rows.copy()  # (P, R, d)
        new[..., free] += step
        return new, (step @ slopes)[..., 0]  # (P, R, d), (P, R)

    x, more = world(prompts.x)
    queries, more_asked = world(prompts.queries)
    return prompts._replace(
        x=x, y=prompts.y + more, queries=queries, targets=prompts.targets + more_asked
    )


def rotation(f: int, angle: float, rng: np.random.Generator) -> Array:
    """Return exp(angle K) (f, f), K skew and random with largest singular value 1."""
    drawn = rng.normal(size=(f, f))  # (f, f)
    values, vectors = np.linalg.eigh(1j * (drawn - drawn.T))  # (f,), (f, f) of iK, Hermitian
    turns = np.exp(-1j * angle * values / np.abs(values).max())  # (f,)
    turn: Array = ((vectors * turns) @ vectors.conj().T).real
    return turn


def together(correlation: Array, share: float) -> Array:
    """Return A (f, f) that makes a share of every standardised column common to all.

    z'_j ∝ √(1 - share) z_j + √share s_j c, with c = Σ s_j z_j of unit variance, the signs s those
    of the main axis, so that what goes together already does so more; each z'_j keeps its variance.
    """
    axis = np.linalg.eigh(correlation)[1][:, -1]  # (f,)
    sign = np.where(axis < 0.0, -1.0, 1.0)  # (f,)
    common = sign / np.sqrt(sign @ correlation @ sign)  # (f,)
    mixed = np.sqrt(1.0 - share) * np.eye(len(sign)) + np.sqrt(share) * np.outer(sign, common)
    variance = np.einsum("ij,jk,ik->i", mixed, correlation, mixed)  # (f,)
    A: Array = mixed / np.sqrt(variance)[:, None]
    return A


def _noises(scene: Scene) -> Iterator[Changed]:
    prompts, free = scene.prompts, scene.free()
    rng = np.random.default_rng([scene.seed, 2])
    more = scene.noise * np.sqrt(LABEL_NOISE**2 - 1.0)
    noisy = prompts.y + more * rng.normal(size=prompts.y.shape)  # (P, M)
    yield Changed("label_noise", LABEL_NOISE, (), prompts._replace(y=noisy))
    if len(free):
        x, queries = prompts.x.copy(), prompts.queries.copy()  # (P, M, d), (P, Q, d)
        for rows in (x, queries):
            error = rng.normal(size=(*rows.shape[:2], len(free)))  # (P, R, f)
            rows[..., free] += FEATURE_NOISE * scene.usual.within[free] * error
        noised = prompts._replace(x=x, queries=queries)
        yield Changed("feature_noise", FEATURE_NOISE, (), noised)


def _gaps(scene: Scene) -> Iterator[Changed]:
    """Yield the column relied upon most, and the one in the middle, without values."""
    order = np.argsort(-scene.reliance, kind="stable")  # (sources,)
    rng = np.random.default_rng([scene.seed, 3])
    for source in dict.fromkeys(order[[0, len(order) // 2]].tolist()):
        one, places = scene.sources[source], scene.places(source)
        is_category = isinstance(one, Category)
        code, times = ("missing_category", 0.0) if is_category else ("missing", np.nan)
        for share in (1.0, SOME):
            gone = written(scene.prompts, places, (times, 0.0), share, rng)
            yield Changed(code, share, (one.name,), gone)


def _units(scene: Scene) -> Iterator[Changed]:
    """Yield the two columns of numbers relied upon most in another unit."""
    free, rng = set(scene.free().tolist()), np.random.default_rng([scene.seed, 4])
    order = np.argsort(-scene.reliance, kind="stable")  # (sources,)
    numbers = [int(i) for i in order if free & set(scene.places(int(i)).tolist())]
    for rank, source in enumerate(numbers[:2]):
        one, places = scene.sources[source], scene.places(source)
        low, high = (float(end[places[0]]) for end in (scene.usual.low, scene.usual.high))
        unit = one.unit if isinstance(one, Number) else ""
        found = misreadings(one.name, unit, low, high)
        for code, factor, plus in found if rank == 0 else found[:1]:
            for kind, share in ((code, 1.0), (f"{code}_some", SOME)):
                wrong = written(scene.prompts, places, (factor, plus), share, rng)
                yield Changed(kind, factor, (one.name,), wrong)


def written(
    prompts: Prompts,
    places: Places,
    line: tuple[float, float],
    share: float,
    rng: np.random.Generator,
) -> Prompts:
    """Return prompts whose features v at places are a v + b in a share of the rows."""
    parts = []
    for rows in (prompts.x, prompts.queries):
        new = rows.copy()  # (P, R, d)
        chosen = rng.random(rows.shape[:2]) < share  # (P, R)
        old = rows[..., places]  # (P, R, k)
        new[..., places] = np.where(chosen[..., None], line[0] * old + line[1], old)
        parts.append(new)
    return prompts._replace(x=parts[0], queries=parts[1])


def _clocks(x: Array) -> NDArray[np.bool_]:
    """Return which features (d,) lie on a circle with another, as the hands of a clock do."""
    rows = x.reshape(-1, x.shape[2])[:2000]  # (n, d)
    squares = rows * rows  # (n, d)
    bounded = np.flatnonzero((squares.max(axis=0) <= 1.0 + 1e-6) & (rows.min(axis=0) < 0.0))
    found = np.zeros(x.shape[2], np.bool_)  # (d,)
    for place, i in enumerate(bounded.tolist()):
        for j in bounded[place + 1 :].tolist():
            if np.abs(squares[:, i] + squares[:, j] - 1.0).max() < 1e-3:
                found[[i, j]] = True
    return found
