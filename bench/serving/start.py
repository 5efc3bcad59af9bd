"""From the start of the process to its first right answer, and how long one call takes."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.serving import prompts
from bench.serving.floor import KINDS
from bench.serving.lab import Lab
from bench.serving.prompts import SHAPES, Shape
from bench.serving.servers import Service
from bench.spread import Spread
from model.checkpoint import FOUNDATION_FILE, load
from sonoba.v1 import predictor_pb2 as pb


@dataclass(frozen=True, slots=True)
class Latency:
    """One call after the other, as the caller sees it."""

    model: str
    shape: Shape
    p50_ms: float
    p99_ms: float


def measure(lab: Lab, tick: Callable[[], None]) -> Spread:
    """Return the seconds from exec to the first right answer of the shipped model."""
    seconds = []
    for _ in range(lab.plan.start_count):
        seconds.append(_one_start(lab))
        tick()
    return Spread.of(seconds)


def _one_start(lab: Lab) -> float:
    shape = SHAPES[0]
    expected = load(FOUNDATION_FILE).model.answer(prompts.block(shape)).predictions[0]
    message = prompts.unary("foundation", shape)
    with Service([lab.cores.server]) as service:
        answer = service.call(prompts.PREDICT, message)
        seconds = time.perf_counter() - service.begun
    response = pb.PredictResponse.FromString(answer)
    lab.sent += 1
    lab.ok += bool(np.allclose(response.predictions, expected, rtol=1e-9, atol=0.0))
    return seconds


def latencies(lab: Lab, papers: list[Path], tick: Callable[[], None]) -> list[Latency]:
    """Return how long a call takes when it is the only one."""
    rows = []
    log = lab.folder / "latency.log"
    with Service([lab.cores.server], papers) as service:
        for kind in KINDS:
            for shape in SHAPES:
                contender = lab.contender(service, prompts.unary(kind, shape))
                lab.slice(contender, 64)
                lab.slice(contender, lab.plan.latency_calls, log)
                taken = [int(line.split("\t")[2]) / 1e3 for line in log.read_text().splitlines()]
                p99 = statistics.quantiles(taken, n=100)[-1]
                rows.append(Latency(kind, shape, statistics.median(taken), p99))
                tick()
    return rows
