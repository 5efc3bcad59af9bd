"""Random shifts of eleven kinds and any size: who calls, and who should.

What should page is settled by fresh labelled queries: the true squared error over that of quiet
prompts of the same length, averaged over the lengths, in the unit of `bench.drift_arrivals`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.drift_arrivals import Arrivals, Law, arrive, joined, squared_errors
from bench.drift_subjects import TRUTH_QUERIES, Setting, Subject
from bench.drift_worlds import Shift, World, draw

Array = NDArray[np.float64]

SIZES = {
    "scale": (0.3, 3.0),
    "mean": (0.05, 2.0),  # of all features, deviations
    "one_mean": (0.1, 4.0),
    "one_scale": (0.25, 4.0),
    "rotation": (0.05, 1.57),  # the largest angle
    "correlation": (0.05, 1.0),  # of the way to every second feature's sign changed
    "tails": (1.0, 20.0),  # degrees of freedom above 2
    "query": (0.3, 4.0),
    "noise": (0.3, 20.0),  # of the variance
    "task": (0.25, 4.0),
    "other_task": (1.0, 1.0),
}
"""The smallest and largest size of every kind of shift; sizes are log-uniform between."""
QUIET_PROMPTS = 150  # before the shift
ROWS_TO_ALARM = 10_000


class Scenario(NamedTuple):
    """A shift and the prompts before and after it."""

    shift: str
    size: float
    law: Law
    came: Arrivals  # the first QUIET_PROMPTS are quiet


class Outcome(NamedTuple):
    """One scenario as one model saw it."""

    setting: str
    kind: str  # of the model
    shift: str
    size: float
    true_ratio: float  # over the normal of each prompt's own length
    pooled_ratio: float  # of all errors over all normal errors
    largest_gate: float  # within ROWS_TO_ALARM
    delays: dict[str, float]  # prompts from the shift to the call, by detector; infinite when none


def scenario(setting: Setting, shift: str, rng: np.random.Generator) -> Scenario:
    """Return a shift of random size and the prompts that may show it."""
    low, high = np.log(SIZES[shift])
    size = float(np.exp(rng.uniform(low, high)))
    law = shifted(setting.world, shift, size, rng)
    after = int(np.ceil(ROWS_TO_ALARM / np.mean(setting.lengths)))
    return Scenario(shift, size, law, stream(setting, law, after, rng))


def stream(setting: Setting, law: Law, after: int, rng: np.random.Generator) -> Arrivals:
    """Return QUIET_PROMPTS of the setting and so many of the law."""
    quiet = arrive(setting.quiet, QUIET_PROMPTS, setting.lengths, rng)
    return joined(quiet, arrive(law, after, setting.lengths, rng))


def shifted(world: World, shift: str, size: float, rng: np.random.Generator) -> Law:
    """Return the law of a world after a shift."""
    match shift:
        case "rotation":
            turned = _rotation(len(world.root), size, rng) @ world.root  # (d, d)
            return Law(World(turned, world.task_variance, world.is_mixed), Shift())
        case "correlation":
            return Law(_sign_changed(world, size), Shift())
        case "tails":
            return Law(world, Shift(freedom=2 + round(size)))
        case "other_task":
            return Law(world, Shift(has_other_tasks=True))
    return Law(world, _plain(shift, size))


def _plain(shift: str, size: float) -> Shift:
    return {
        "scale": Shift(scale=size),
        "mean": Shift(mean=size),
        "one_mean": Shift(first_mean=size),
        "one_scale": Shift(first_scale=size),
        "query": Shift(query_scale=size),
        "noise": Shift(noise_scale=size),
        "task": Shift(task_scale=size),
    }[shift]


def true_ratios(
    subjects: list[Subject],
    law: Law,
    setting: Setting,
    prompt_count: int,
    rng: np.random.Generator,
) -> list[tuple[float, float]]:
    """Return for each model the error over normal: by own lengths, and of all together."""
    each = max(prompt_count // len(setting.lengths), 2)
    parts = {M: draw(law.world, law.shift, each, M, rng, TRUTH_QUERIES) for M in setting.lengths}
    found = []
    for one in subjects:
        now = {M: float(squared_errors(one.model, part).mean()) for M, part in parts.items()}
        own = np.mean([now[M] / one.normal_errors[M] for M in now])
        found.append((float(own), sum(now.values()) / sum(one.normal_errors.values())))
    return found


def _rotation(d: int, angle: float, rng: np.random.Generator) -> Array:
    """Return exp(angle K) (d, d), K skew with largest singular value 1."""
    drawn = rng.normal(size=(d, d))  # (d, d)
    values, vectors = np.linalg.eigh(1j * (drawn - drawn.T))  # (d,), (d, d) of iK, Hermitian
    turns = np.exp(-1j * angle * values / np.abs(values).max())  # (d,)
    rotation: Array = ((vectors * turns) @ vectors.conj().T).real
    return rotation


def _sign_changed(world: World, share: float) -> World:
    """Return the world part of the way to changed signs, every feature's law unchanged."""
    signs = np.where(np.arange(len(world.root)) % 2, -1.0, 1.0)  # (d,)
    S = world.root @ world.root.T  # (d, d)
    S = (1.0 - share) * S + share * S * np.outer(signs, signs)
    return World(np.linalg.cholesky(S), world.task_variance, world.is_mixed)
