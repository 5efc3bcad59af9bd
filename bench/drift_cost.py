"""What watching costs a prompt, and how much of it stays: time, bytes, and what wild values do."""

import pickle
import time
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.drift_worlds import Prompts, World, draw, world
from model.estimator import Estimating
from model.foundation import FoundationModel
from model.history import Group, History
from model.paper import PaperModel
from model.profile import ProfileModel
from model.profile_fit import fit, layer_steps
from model.prompt import Block, Examples
from monitoring.attribution import Sums
from monitoring.baseline import Quiet, build
from monitoring.monitor import RIDGE_EVERY, Monitor
from monitoring.observation import Observations, observe, sums_of
from monitoring.reference import Reference
from monitoring.watch import Seen
from service.seen import seen, served

Array = NDArray[np.float64]

SHAPES = ((16, 5), (50, 20), (64, 20))
COUNTS = (1, 256)
STATE_SHAPES = {(16, 5): 1_000_000, (16, 64): 100_000}  # prompts
CHECKPOINTS = (10_000, 100_000, 1_000_000)


class Cost(NamedTuple):
    """Median processor time of one prompt, µs."""

    kind: str
    shape: str
    prompt_count: int  # in a batch
    estimator_us: float  # the model's answer again, in the monitor's terms
    numbers_us: float  # h, leave-one-out and the rest of what is kept of a prompt
    monitor_us: float  # the same, window, sums and COMBO


class State(NamedTuple):
    """The pickled state of a monitor over many prompts."""

    shape: str
    prompts: list[int]
    size: list[int]  # bytes
    spoilt: int  # numbers of the state and the snapshot that are not finite after wild prompts
    gate_before: float
    gate_after: float  # wild prompts, and as many quiet ones as the window holds

    @property
    def early(self) -> int:
        """Bytes at the first look."""
        return self.size[0]

    @property
    def largest(self) -> int:
        """Bytes, the most of all looks."""
        return max(self.size)


def costs(repeats: int, shape_count: int = len(SHAPES)) -> list[Cost]:
    """Measure every kind of model at so many shapes."""
    found = []
    for length, d in SHAPES[:shape_count]:
        law, rng = world(d, is_mixed=False), np.random.default_rng(0)
        for kind, model in _models(law, rng).items():
            reference = _reference(kind, model, draw(law, "quiet", 400, length, rng))
            for count in COUNTS:
                prompts = draw(law, "quiet", count, length, rng)
                found.append(_cost(kind, model, reference, prompts, repeats))
    return found


def state(prompt_count: int, length: int, d: int) -> State:
    """Feed prompts without end, then wild ones, and look at what stays."""
    law, rng = world(d, is_mixed=False), np.random.default_rng(1)
    model = _models(law, rng, kinds=("paper",))["paper"]
    reference = _reference("paper", model, draw(law, "quiet", 2000, length, rng))
    monitor = Monitor("bench", "1", "paper", reference)
    batches = [_seen(model, draw(law, "quiet", 256, length, rng)) for _ in range(8)]
    sizes, fed, at = [], 0, []
    for checkpoint in [n for n in CHECKPOINTS if n <= prompt_count] or [prompt_count]:
        while fed < checkpoint:
            monitor.observe(batches[fed // 256 % len(batches)])
            fed += 256
        at.append(fed)
        sizes.append(len(pickle.dumps(monitor.watch)))
    before = monitor.snapshot().gate
    for block in _wild(draw(law, "quiet", 64, length, rng)):
        if wild := seen(model, block):
            monitor.observe(wild)
    spoilt = _not_finite(monitor)
    for batch in batches:
        monitor.observe(batch)
    sizes.append(len(pickle.dumps(monitor.watch)))
    at.append(monitor.snapshot().prompt_count)
    spoilt += _not_finite(monitor)
    return State(f"({length},{d})", at, sizes, spoilt, before, monitor.snapshot().gate)


def _models(
    law: World,
    rng: np.random.Generator,
    kinds: tuple[str, ...] = ("paper", "foundation", "profile"),
) -> dict[str, Estimating]:
    covariance = law.root @ law.root  # (d, d)
    found: dict[str, Estimating] = {}
    for kind in kinds:
        if kind == "paper":
            found[kind] = PaperModel(covariance, 0.1, law.task_variance, centred=False)
        elif kind == "foundation":
            found[kind] = FoundationModel(layer_steps(4))
        else:
            drawn = draw(law, "quiet", 40, 80, rng)
            groups = zip(drawn.x, drawn.y, strict=True)
            history = History(tuple(Group(str(i), x, y) for i, (x, y) in enumerate(groups)), False)
            found[kind] = ProfileModel(fit(history, coordinates="intercept"))
    return found


def _reference(kind: str, model: Estimating, prompts: Prompts) -> Reference:
    made = served(model.estimator(_block(prompts)))
    scene = reduce(Sums.joined, [sums_of(made)])
    numbers = Observations.joined([observe(made)])
    return build(Quiet(numbers, list(prompts.x), scene, made.noise_variance), kind)


def _cost(
    kind: str, model: Estimating, reference: Reference, prompts: Prompts, repeats: int
) -> Cost:
    count, monitor = len(prompts.x), Monitor("bench", "1", kind, reference)
    taken: list[tuple[float, float, float]] = []
    for _ in range(repeats * (8 if count == 1 else 1)):
        began = time.thread_time()
        found = _seen(model, prompts)
        answered = time.thread_time()
        observe(found.served, ridge_every=RIDGE_EVERY)
        numbers = time.thread_time()
        monitor.observe(found)
        done = time.thread_time()
        taken.append((answered - began, numbers - answered, done - numbers))
    estimator, kept, all_of_it = (
        float(x) * 1e6 / count for x in np.median(np.array(taken), axis=0)
    )
    return Cost(
        kind, f"({prompts.x.shape[1]},{prompts.x.shape[2]})", count, estimator, kept, all_of_it
    )


def _seen(model: Estimating, prompts: Prompts) -> Seen:
    found = seen(model, _block(prompts))
    assert found is not None  # rows have second moments
    return found


def _block(prompts: Prompts) -> Block:
    return Block(Examples(prompts.x, prompts.y), prompts.queries)


def _wild(prompts: Prompts) -> list[Block]:
    """Return prompts that no one should send: huge, tiny, constant, and not numbers at all."""
    x, y, queries, _ = prompts
    constant = x.copy()  # (B, M, d)
    constant[:, :, 0] = 3.0
    holed = x.copy()  # (B, M, d)
    holed[:, 0, 0] = np.nan
    changed = [
        *((x * factor, y, queries * factor) for factor in (1e300, 1e150, 1e9, 5e-324, 1e-310)),
        *((x, y * factor, queries) for factor in (1e300, 1e150, 5e-324, np.inf)),
        *((constant, y, queries), (holed, y, queries), (np.zeros_like(x), y * 0.0, queries)),
    ]
    return [Block(Examples(a, b), q) for a, b, q in changed]


def _not_finite(monitor: Monitor) -> int:
    """Return how many numbers of the sums, levels and scores are not finite."""
    assert monitor.watch is not None  # it was given a reference
    public = monitor.watch.released.public
    sums: list[Array] = [
        np.asarray(getattr(public, name), np.float64) for name in public.__dataclass_fields__
    ]
    told = monitor.snapshot()
    levels = [value for level in told.levels.values() for value in level]
    numbers = [one.ravel() for one in sums]
    numbers += [np.array(levels), np.array(list(told.info_channels.values()))]
    return int((~np.isfinite(np.concatenate(numbers))).sum())
