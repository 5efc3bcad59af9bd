"""Who is judged: three kinds of model in six settings, each with references of its own.

A setting is a world and the lengths of its prompts. `paper` and `foundation` take the first 400
prompts of their setting as the reference, as a server does; a profile is fitted to groups of the
world and takes the reference of its fit. In a mixed world no single layer is admitted as a
reference: even the one with the best weights errs 3 to 5 times as much as the exact ridge, where 3
is the bound. It is judged there all the same, so that the gate is seen on heterogeneous prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from bench.drift_arrivals import Law, answered, arrive, squared_errors
from bench.drift_worlds import NOISE_VARIANCE, Shift, World, draw, optimum, worlds
from model.estimator import Estimating
from model.foundation import FoundationModel
from model.history import Group, History
from model.paper import PaperModel
from model.profile import ProfileModel
from model.profile_fit import fit, layer_steps
from model.profile_support import held_out_folds
from monitoring.attribution import Sums
from monitoring.baseline import PROMPTS_MIN, Quiet, build
from monitoring.observation import Observations, observe, sums_of
from monitoring.reference import Reference
from service.reference_fit import profile_reference

Array = NDArray[np.float64]

KINDS = ("paper", "foundation", "profile")
LENGTH, MIXED_LENGTHS = 50, (12, 24, 50, 100)
WORLDS = ("iid5", "iid20", "het5")
GROUPS, GROUP_ROWS = 100, 120
TRUTH_QUERIES = 16


@dataclass(frozen=True, slots=True)
class Setting:
    """A world and the lengths of the prompts that come from it."""

    name: str
    world_name: str
    world: World
    lengths: tuple[int, ...]

    @property
    def quiet(self) -> Law:
        """The law of the reference."""
        return Law(self.world, Shift())

    @property
    def feature_count(self) -> int:
        """d."""
        return len(self.world.root)


@dataclass(frozen=True, slots=True)
class Subject:
    """A model of one kind in a setting."""

    kind: str
    model: Estimating
    reference: Reference
    normal_errors: dict[int, float]  # true squared error of quiet prompts by length, working units²


class BestLayer(PaperModel):
    """The paper's layer with the best weights of a world that its formula does not describe."""

    def __init__(self, world: World) -> None:
        covariance = world.root @ world.root  # (d, d)
        super().__init__(covariance, NOISE_VARIANCE, world.task_variance, centred=False)
        self._world = world
        self._weights: dict[int, Array] = {}  # by length

    def weights(self, length: int) -> Array:
        """Return A_M (d, d)."""
        if length not in self._weights:
            self._weights[length] = optimum(self._world, length)
        return self._weights[length]


def settings() -> list[Setting]:
    """Return the six settings."""
    known = worlds()
    return [
        Setting(f"{name}, {label}", name, known[name], lengths)
        for name in WORLDS
        for label, lengths in ((f"M = {LENGTH}", (LENGTH,)), ("M mixed", MIXED_LENGTHS))
    ]


def subjects(setting: Setting, seed: int, truth_prompts: int) -> list[Subject]:
    """Return the kinds with references drawn by the seed."""
    rng = np.random.default_rng([seed, 1])
    world = setting.world
    history = _history(world, rng)
    parameters = fit(history, seed=seed)
    models: dict[str, Estimating] = {
        "paper": BestLayer(world),
        "foundation": FoundationModel(layer_steps(4)),
        "profile": ProfileModel(parameters),
    }
    found = []
    for kind, model in models.items():
        if kind == "profile":
            reference = profile_reference(held_out_folds(history, parameters, seed), seed)
        else:
            reference = first_prompts(kind, model, setting, rng)
        errors = normal_errors(model, setting, truth_prompts, rng)
        found.append(Subject(kind, model, reference, errors))
    return found


def normal_errors(
    model: Estimating, setting: Setting, prompt_count: int, rng: np.random.Generator
) -> dict[int, float]:
    """Return the true squared error on quiet prompts by length."""
    return errors(model, setting.quiet, setting.lengths, prompt_count, rng)


def errors(
    model: Estimating,
    law: Law,
    lengths: Sequence[int],
    prompt_count: int,
    rng: np.random.Generator,
) -> dict[int, float]:
    """Return the mean squared error of fresh labelled queries by length, working units²."""
    each = max(prompt_count // len(lengths), 2)
    drawn = {M: draw(law.world, law.shift, each, M, rng, TRUTH_QUERIES) for M in lengths}
    return {M: float(squared_errors(model, prompts).mean()) for M, prompts in drawn.items()}


def _history(world: World, rng: np.random.Generator) -> History:
    """Return groups: prompts whose examples and queries are rows of one task."""
    drawn = draw(world, "quiet", GROUPS, GROUP_ROWS, rng)
    groups = zip(drawn.x, drawn.y, strict=True)
    return History(tuple(Group(str(i), x, y) for i, (x, y) in enumerate(groups)), world.is_mixed)


def first_prompts(
    kind: str, model: Estimating, setting: Setting, rng: np.random.Generator
) -> Reference:
    """Return the reference of the first prompts that come."""
    came = arrive(setting.quiet, PROMPTS_MIN, setting.lengths, rng)
    batches = answered(model, came)
    order = np.argsort(np.concatenate([places for places, _ in batches]))
    numbers = Observations.joined([observe(one) for _, one in batches]).take(order)
    scene = reduce(Sums.joined, [sums_of(one) for _, one in batches])
    if kind == "paper" and setting.world.is_mixed:
        numbers = numbers._replace(ridge=numbers.loo)  # admitted without the comparison
    return build(Quiet(numbers, came.rows(), scene, batches[0][1].noise_variance), kind)
