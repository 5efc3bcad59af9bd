"""How long a call takes when it is the only one."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table

from bench.serving import prompts
from bench.serving.lab import Lab
from bench.serving.part import Part, Tick, no_gates
from bench.serving.prompts import Shape
from bench.serving.servers import Models, Service
from bench.tables import titled


@dataclass(frozen=True, slots=True)
class Latency:
    """One call after the other, as the caller sees it."""

    model: str
    shape: Shape
    p50_ms: float
    p99_ms: float


def measure(lab: Lab, models: Models, tick: Tick) -> list[Latency]:
    """Return what every model takes at every shape."""
    rows = []
    log = lab.folder / "latency.log"
    with Service([lab.cores.server], models) as service:
        for kind, shape in lab.plan.rows:
            contender = lab.contender(service, prompts.unary(kind, shape))
            lab.slice(contender, 64)
            lab.slice(contender, lab.plan.latency_calls, log)
            taken = [int(line.split("\t")[2]) / 1e3 for line in log.read_text().splitlines()]
            p99 = statistics.quantiles(taken, n=100)[-1]
            rows.append(Latency(kind, shape, statistics.median(taken), p99))
            tick()
    return rows


def tables(rows: list[Latency]) -> Iterator[Table]:
    """Show the middle and the slow end."""
    table = titled("One call in flight", "model, shape", "p50 ms", "p99 ms")
    for row in rows:
        table.add_row(f"{row.model} {row.shape}", f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}")
    yield table


PART = Part("latency", "one in flight", lambda plan: len(plan.rows), measure, tables, no_gates)
