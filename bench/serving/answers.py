"""The models without the service: processor time per prompt, beside what one would run instead."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from bench.promises import Gate, at_most
from bench.serving import prompts
from bench.serving.lab import Lab
from bench.serving.part import Part, Tick
from bench.serving.profiles import COORDINATES
from bench.serving.prompts import BATCH_PROMPTS, PROFILE_SHAPE, SHAPES, Shape
from bench.serving.servers import Models
from bench.spread import Spread
from bench.tables import titled
from model import baselines
from model.checkpoint import FOUNDATION_FILE, load
from model.foundation import FoundationModel
from model.paper import PaperModel
from model.profile import ProfileModel
from model.profile_fit import fit, layer_steps
from model.prompt import Block, Examples

Array = NDArray[np.float64]
Method = Callable[[Block], object]
SHAPES_ALONE = (SHAPES[0], PROFILE_SHAPE, *SHAPES[1:])
GATE_US = 80.0
MOST_LEARNT_FEATURES = 8  # a profile of more takes longer to learn than all else here to measure


@dataclass(frozen=True, slots=True)
class Answering:
    """One way to answer, at one shape, so many prompts at once."""

    name: str
    shape: Shape
    prompt_count: int
    prompt_us: Spread


def exact_ridge(block: Block) -> Array:
    """Answer by one solve with a fixed penalty: centred, not scaled, nothing chosen or checked."""
    x, y = _rows(block)
    centre, label_mean = x.mean(axis=1, keepdims=True), y.mean(axis=1, keepdims=True)
    u, r = x - centre, (y - label_mean)[..., None]  # (B, M, d), (B, M, 1)
    slopes = np.linalg.solve(u.mT @ u + np.eye(x.shape[2]), u.mT @ r)  # (B, d, 1)
    answers: Array = label_mean + ((block.queries - centre) @ slopes)[..., 0]  # (B, Q)
    return answers


def _ridge_cv(block: Block) -> Array:
    x, y = _rows(block)
    return baselines.ridge_cv(x, y, block.queries)


def _rows(block: Block) -> tuple[Array, Array]:
    assert isinstance(block.context, Examples)
    return block.context.x, block.context.y


def measure(lab: Lab, models: Models, tick: Tick) -> list[Answering]:
    """Return the time per prompt alone and in blocks of 256, of models and of ridge."""
    foundation = load(FOUNDATION_FILE).model
    rows = []
    for shape in SHAPES_ALONE:
        methods: dict[str, Method] = {
            "paper": PaperModel(np.eye(shape.d), noise_variance=1.0).answer,
            "foundation": foundation.answer,
            "ridge, fixed penalty": exact_ridge,
            "ridge, penalty by leave-one-out": _ridge_cv,
        }
        if shape.d <= MOST_LEARNT_FEATURES:
            methods["profile"] = _profile(shape.d).answer
        for name, method in methods.items():
            for count in (1, BATCH_PROMPTS):
                spread = _timed(partial(method, prompts.block(shape, count)), lab)
                per_prompt = Spread(*(seconds / count * 1e6 for seconds in spread))
                rows.append(Answering(name, shape, count, per_prompt))
        tick()
    return rows


def _profile(d: int) -> ProfileModel:
    """Return a profile as served, with the model that answers what is not of its kind."""
    learnt = fit(prompts.history(d), seed=0, coordinates=COORDINATES)
    return ProfileModel(learnt, fallback=FoundationModel(layer_steps(4)))


def _timed(method: Callable[[], object], lab: Lab) -> Spread:
    """Return the processor seconds of one call, over repetitions of a slice."""
    method()
    begun = time.process_time()
    method()
    once = max(time.process_time() - begun, 1e-6)
    calls = max(1, round(lab.plan.answer_seconds / once))
    seconds = []
    for _ in range(lab.plan.repetitions):
        begun = time.process_time()
        for _ in range(calls):
            method()
        seconds.append((time.process_time() - begun) / calls)
    return Spread.of(seconds)


def tables(rows: list[Answering]) -> Iterator[Table]:
    """Show methods in rows and shapes in columns."""
    forms = [(shape, count) for shape in SHAPES_ALONE for count in (1, BATCH_PROMPTS)]
    headings = [f"{shape}{f' in {count}s' * (count > 1)}" for shape, count in forms]
    table = titled("µs a prompt without the service, median", "method", *headings)
    found = {(row.name, row.shape, row.prompt_count): row.prompt_us for row in rows}
    for name in dict.fromkeys(row.name for row in rows):
        spreads = [found.get((name, *form)) for form in forms]
        table.add_row(name, *("–" if one is None else f"{one.median:.1f}" for one in spreads))
    yield table


def gates(rows: list[Answering]) -> Iterator[Gate]:
    """Promise what a prediction of a profile takes."""
    for row in rows:
        if (row.name, row.shape, row.prompt_count) == ("profile", PROFILE_SHAPE, 1):
            name = f"µs of a `profile` prediction at {PROFILE_SHAPE}, beside the call"
            yield at_most(name, row.prompt_us.median, GATE_US)


PART = Part("answers", "models alone", lambda _: len(SHAPES_ALONE), measure, tables, gates)
