"""How many examples a prompt needs: the error with M examples, and the knee of that curve.

Every M answers the same queries of the same held-out groups, and its examples are among those of
the next larger M: nearest in time where rows have an order. Errors are RMSE by the standard
deviation of the labels of the longest prompt, so that numbers of examples differ by nothing else.

The knee is the smallest M with

    ln e(M) - ln e(M*) <= max(ln 1.05, se),    M* = the best number beyond M,

where se is the standard error of the left side, whole groups drawn again: a gain is small when it
is below 5 %, or when it cannot be told from chance. One standard error is the usual rule for the
simplest choice that is as good as the best (Breiman et al. 1984); more would turn few groups, whose
errors say little, into short prompts.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model import baselines
from model.history import History, Prompts
from model.profile_fit import Tick
from model.prompt import Block, Examples
from service.assess.findings import Bounds, CurvePoint
from service.assess.material import Material
from service.held_out import BOOSTING, MEAN, MOST_UNANSWERED, PROFILE, RESAMPLES, RIDGE, draw

Array = NDArray[np.float64]
Method = Callable[[Array, Array, Array], Array]

NUMBERS = (4, 8, 12, 16, 24, 32, 48, 64)
PROMPTS, FEWEST_PROMPTS, PROMPTS_TIMES_FEATURES = 320, 100, 10_000  # fewer where d is large
SMALL_SHARE = 0.05  # more examples that gain less are not worth asking for
SMALLEST_ERROR = 1e-12  # of a perfect answer, so that its logarithm is finite


def learning_curve(material: Material, tick: Tick) -> tuple[tuple[CurvePoint, ...], int]:
    """Return the errors by number of examples, and the knee; none where nothing is answered."""
    prompts = nested_prompts(material.unseen, material.seed)
    if prompts is None:
        return (), 0
    longest = prompts.x.shape[1]
    numbers = [M for M in NUMBERS if longest > M] + [longest]
    methods = _methods(material)
    errors: dict[int, Mapping[str, Array]] = {}  # (P,) of each method
    for place, M in enumerate(numbers):
        tick(f"prompts of {M} examples", place / len(numbers))
        found = errors_with(prompts, M, methods, material.unseen.is_ordered)
        if np.isnan(found[PROFILE]).sum() <= MOST_UNANSWERED * len(prompts.y):
            errors[M] = found
    drawn = resamples(prompts.groups, material.seed)
    ours = np.array([medians(found[PROFILE], drawn) for found in errors.values()])  # (numbers, 1+R)
    points = tuple(
        _point(M, len(prompts.y), found, ours[place])
        for place, (M, found) in enumerate(errors.items())
    )
    return points, knee(list(errors), ours)


def nested_prompts(unseen: History, seed: int) -> Prompts | None:
    """Return the longest prompts that most groups can give; None where no group gives any."""
    groups = len(unseen.groups)
    usual = [M for M in NUMBERS if 2 * len(unseen.long_enough(M)) >= groups]
    if not groups:
        return None
    d = unseen.groups[0].x.shape[1]
    count = min(PROMPTS, max(PROMPTS_TIMES_FEATURES // d, FEWEST_PROMPTS))
    return draw(unseen, max(usual, default=NUMBERS[0]), seed, count)


def _methods(material: Material) -> dict[str, Method]:
    methods: dict[str, Method] = {
        PROFILE: lambda x, y, queries: (
            material.model.answer(Block(Examples(x, y), queries)).predictions
        ),
        RIDGE: baselines.ridge_cv,
        MEAN: baselines.mean,
    }
    if material.boosting is not None:
        methods[BOOSTING] = material.boosting.answer
    return methods


def errors_with(
    prompts: Prompts, example_count: int, methods: Mapping[str, Method], is_ordered: bool
) -> dict[str, Array]:
    """Return the error (P,) of every method when prompts keep some of their examples; NaN: none.

    The last ones where rows have an order, for they are next to the queries.
    """
    kept = slice(-example_count, None) if is_ordered else slice(example_count)
    x, y = prompts.x[:, kept], prompts.y[:, kept]  # (P, M, d), (P, M)
    scale = prompts.y.std(axis=1)  # (P,)
    weight = prompts.weight / prompts.weight.sum(axis=1, keepdims=True)  # (P, Q)
    found = {}
    for name, method in methods.items():
        square = (method(x, y, prompts.queries) - prompts.targets) ** 2  # (P, Q)
        found[name] = np.sqrt((weight * square).sum(axis=1)) / scale  # (P,)
    return found


def resamples(groups: NDArray[np.int64], seed: int) -> list[NDArray[np.int64]]:
    """Return places of prompts: all of them, then those of whole groups drawn again.

    Of one group only, prompts are drawn: the bounds then speak of that group.
    """
    rng = np.random.default_rng(seed)
    names, drawn = np.unique(groups), [np.arange(len(groups))]
    members = [np.flatnonzero(groups == name) for name in names]
    if len(names) == 1:
        members = [np.array([place]) for place in range(len(groups))]
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, len(members), len(members))
        drawn.append(np.concatenate([members[place] for place in chosen]))
    return drawn


def medians(error: Array, drawn: Sequence[NDArray[np.int64]]) -> Array:
    """Return the median error (1 + R,) of all prompts, then of each resample."""
    answered = np.where(np.isnan(error), np.inf, error)  # (P,) an answer refused is the worst
    return np.array([np.median(answered[places]) for places in drawn])  # (1 + R,)


def knee(numbers: Sequence[int], errors: Array) -> int:
    """Return from which number of examples on more gain little; 0 of an empty curve.

    `errors` (numbers, 1 + R) are those of all prompts, then of each resample.
    """
    logs = np.log(np.maximum(errors, SMALLEST_ERROR))  # (numbers, 1 + R)
    for place in range(len(numbers) - 1):
        best = place + 1 + int(logs[place + 1 :, 0].argmin())
        gain = logs[place] - logs[best]  # (1 + R,)
        if gain[0] <= max(np.log1p(SMALL_SHARE), gain[1:].std()):
            return numbers[place]
    return numbers[-1] if numbers else 0


def _point(M: int, prompt_count: int, errors: Mapping[str, Array], ours: Array) -> CurvePoint:
    low, high = np.quantile(ours[1:], [0.025, 0.975])
    others = {name: float(np.nanmedian(e)) for name, e in errors.items() if name != PROFILE}
    bounds = Bounds(float(ours[0]), float(low), float(high))
    return CurvePoint(M, prompt_count, bounds, others)
