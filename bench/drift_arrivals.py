"""Prompts of several lengths in the order they come, and what a model and its monitor make of them.

The error of an answer is taken in the label unit of its own estimator, as the monitor takes it:
natural units of `paper` and of a profile whose unit is fixed; the prompt's own standard deviation
of `foundation`, whose harm is therefore relative to the prompt's own label variance.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.drift_worlds import Prompts, Shift, World, draw
from model.estimator import Estimating
from model.prompt import Block, Examples
from monitoring.gate import Inflated, Window
from monitoring.harm import Served
from monitoring.observation import Observations, observe
from monitoring.reference import Reference
from service.seen import served

Array = NDArray[np.float64]
Places = NDArray[np.intp]

BATCH = 256
RIDGE_EVERY = 8  # as the monitor does


class Law(NamedTuple):
    """A world after a shift; a rotation is another world."""

    world: World
    shift: Shift


class Arrivals(NamedTuple):
    """n prompts; parts hold those of one length, with their places in the order of arrival."""

    parts: list[tuple[Places, Prompts]]
    counts: Array  # (n,) M

    def rows(self) -> list[Array]:
        """Return the covariates (M, d) of every prompt in order."""
        found: dict[int, Array] = {}
        for places, prompts in self.parts:
            found |= dict(zip(places.tolist(), prompts.x, strict=True))
        return [found[place] for place in range(len(self.counts))]


def arrive(law: Law, count: int, lengths: Sequence[int], rng: np.random.Generator) -> Arrivals:
    """Return prompts with one query each, of lengths drawn from `lengths`."""
    chosen = rng.choice(np.array(lengths), size=count)  # (n,)
    parts, counts = [], np.empty(count)
    for length in np.unique(chosen).tolist():
        places = np.flatnonzero(chosen == length)  # (B,)
        prompts = draw(law.world, law.shift, len(places), length, rng)
        counts[places] = prompts.x.shape[1]
        parts.append((places, prompts))
    return Arrivals(parts, counts)


def joined(first: Arrivals, second: Arrivals) -> Arrivals:
    """Return one stream after the other."""
    shift = len(first.counts)
    later = [(places + shift, prompts) for places, prompts in second.parts]
    return Arrivals(first.parts + later, np.concatenate([first.counts, second.counts]))


def answered(model: Estimating, came: Arrivals) -> list[tuple[Places, Served]]:
    """Return what the monitor would get, in batches; without prompts answered by their mean."""
    found = []
    for places, prompts in came.parts:
        for start in range(0, len(places), BATCH):
            part = slice(start, start + BATCH)
            block = Block(Examples(prompts.x[part], prompts.y[part]), prompts.queries[part])
            made = served(model.estimator(block))
            own = np.flatnonzero(made.inverse.any(axis=(1, 2)))
            found.append((places[part][own], made.take(own)))
    return found


def observed(
    model: Estimating, came: Arrivals, ridge_every: int = RIDGE_EVERY
) -> tuple[Observations, Places]:
    """Return the numbers of the prompts that count, in order of arrival, and their places."""
    batches = answered(model, came)
    joined = Observations.joined([observe(one, None, ridge_every) for _, one in batches])
    places = np.concatenate([places for places, _ in batches])  # (n',)
    order = np.argsort(places)
    return joined.take(order), places[order]


def squared_errors(model: Estimating, prompts: Prompts) -> Array:
    """Return the squared errors of the answers (B, Q), working units²."""
    found = []
    for start in range(0, len(prompts.x), BATCH):
        x, y, queries, targets = (part[start : start + BATCH] for part in prompts)
        made = model.estimator(Block(Examples(x, y), queries)).smoother
        found.append(((made.predictions - targets) / made.label_unit[:, None]) ** 2)
    return np.concatenate(found)


def inflations(reference: Reference, seen: Observations) -> Inflated:
    """Return errors over normal as `monitoring.watch` puts them into the window."""
    seen = reference.baselines.limited(seen)
    over = reference.inflations(seen.counts, seen.predicted, seen.loo)
    return Inflated(over.clipped, over.ratios, np.empty((len(seen.counts), 0)))


def gates(reference: Reference, seen: Observations) -> Array:
    """Return the gate after each prompt (n,); NaN until it is warm."""
    over = inflations(reference, seen)
    window = Window(reference.feature_count, reference.window_prompts)
    found = np.full(len(seen.counts), np.nan)  # (n,)
    for place, rows in enumerate(seen.counts.tolist()):
        window.add(Inflated(*(part[place : place + 1] for part in over)), int(rows))
        found[place] = max((level.gate for level in window.levels().values()), default=np.nan)
    return found
