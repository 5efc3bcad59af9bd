"""From the start of the process to its first right answer."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from bench.promises import Gate, at_most
from bench.serving import prompts
from bench.serving.lab import Lab
from bench.serving.part import SPREAD, Part, Tick
from bench.serving.profiles import alone
from bench.serving.prompts import Shape
from bench.serving.servers import NOTHING_MORE, Models, Service
from bench.spread import Spread
from bench.tables import titled
from model.checkpoint import FOUNDATION_FILE, Artifact, load, load_stored
from sonoba.v1 import predictor_pb2 as pb

GATE_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from exec to the first right answer of a model."""

    model: str
    shape: Shape
    seconds: Spread


def measure(lab: Lab, models: Models, tick: Tick) -> list[Start]:
    """Return how long the shipped model takes, and a server of the widest profile."""
    assert models.store is not None
    shape = lab.plan.profile_shapes[-1]
    name = prompts.model_name("profile", shape)
    served = {
        "foundation": (NOTHING_MORE, load(FOUNDATION_FILE)),
        "profile": (alone(models, shape, lab.folder), load_stored(models.store, name)),
    }
    rows = []
    for kind, (serving, artifact) in served.items():
        seconds = []
        for _ in range(lab.plan.start_count):
            seconds.append(_one_start(lab, kind, shape, serving, artifact))
            tick()
        rows.append(Start(kind, shape, Spread.of(seconds)))
    return rows


def _one_start(lab: Lab, kind: str, shape: Shape, models: Models, artifact: Artifact) -> float:
    expected = artifact.model.answer(prompts.block(shape)).predictions[0]
    message = prompts.unary(kind, shape)
    with Service([lab.cores.server], models) as service:
        answer = service.call(prompts.PREDICT, message)
        seconds = time.perf_counter() - service.begun
    response = pb.PredictResponse.FromString(answer)
    lab.sent += 1
    lab.ok += bool(np.allclose(response.predictions, expected, rtol=1e-9, atol=0.0))
    return seconds


def tables(rows: list[Start]) -> Iterator[Table]:
    """Show the seconds of every start."""
    table = titled(f"From exec to the first right answer, {SPREAD}", "model, shape", "seconds")
    for row in rows:
        table.add_row(f"{row.model} {row.shape}", row.seconds.text())
    yield table


def gates(rows: list[Start]) -> Iterator[Gate]:
    """Promise how soon a server is useful."""
    for row in rows:
        name = f"seconds to the first right answer, {row.model} {row.shape}"
        yield at_most(name, row.seconds.median, GATE_SECONDS)


PART = Part("start", "starts", lambda plan: 2 * plan.start_count, measure, tables, gates)
