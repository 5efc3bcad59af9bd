"""`python -m bench.serving.overload`: more calls than can be answered; what is, in time, and whose.

The load is open: h2load sends at a fixed rate over 8 connections whatever comes back, and the
server knows each call's deadline. Capacity is measured in the same run, before and after (the
machine's own speed swings by a third), by 64 calls in flight. Goodput is what the server's own
count says was answered OK, by capacity; what it begins after a deadline is no answer. The server
runs as it comes: its threads keep to one core, gRPC's share the generator's where there are two;
with --one-core it has one for all. Beside the load a gRPC client samples what callers see, and a
probe asks for health (bench/serving/sampling.py).
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import click
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.promises import Gate, at_least, at_most, plain
from bench.serving import prompts
from bench.serving.load import Load, Target
from bench.serving.pressing import pressing
from bench.serving.prompts import SHAPES, Shape, write_papers
from bench.serving.sampling import ONCE, RETRYING, Sampler, Seen, probed
from bench.serving.servers import Models, Service
from bench.tables import held, titled
from service.settings import Settings

DEADLINE_SECONDS = 1.0
SAMPLES_PER_SECOND = 40.0
SETTLING_SECONDS = 1.0  # of load before anything is counted
CAPACITY_CALLS = 4000
TENANT = "x-sonoba-tenant"
GOODPUT, HEALTH_MS, WAIT_RATIO = 0.85, 100.0, 2.0


class Case(NamedTuple):
    """A load: what is asked, and how much by capacity."""

    model: str
    shape: Shape
    offered: float
    light: float = 0.0  # by capacity: what the sampled calls' own tenant offers; 0: it has none


CASES = (
    *(Case("foundation", SHAPES[0], factor) for factor in (1.0, 2.0, 3.0)),
    *(Case("foundation", SHAPES[1], 3.0), Case("paper", SHAPES[0], 3.0)),
    *(Case("paper", SHAPES[2], 3.0), Case("foundation", SHAPES[0], 3.0, 0.02)),
    Case(
        "foundation", SHAPES[0], 1.5, 0.15
    ),  # the heavy tenant offers ten times what the light does
)


@dataclass(frozen=True, slots=True)
class Pressed:
    """What one load has shown."""

    case: Case
    capacity: float  # calls/s
    goodput: float  # by capacity
    once: Seen  # of callers who send each call once
    patient: Seen  # of callers who send it again as the SDK's channel does
    health_ms: float  # the slowest


def measure(
    cores: Collection[int], load: Load, folder: Path, seconds: float, rounds: int
) -> list[Pressed]:
    """Return the middle round, by goodput, of every case."""
    models, found = Models(write_papers(folder)), []
    for number, case in enumerate(CASES):
        body = folder / f"pressed-{number}"
        name = case.model
        body.write_bytes(prompts.framed(prompts.unary(name, case.shape)))
        with Service(cores, models) as service:
            service.settle()
            target = Target(service.port, prompts.PREDICT, body)
            load.fire(target, CAPACITY_CALLS)
            runs = [_one(load, service, target, case, seconds) for _ in range(rounds)]
        found.append(sorted(runs, key=lambda run: run.goodput)[rounds // 2])
    return found


def _one(load: Load, service: Service, target: Target, case: Case, seconds: float) -> Pressed:
    before = load.fire(target, CAPACITY_CALLS).rate
    headers = {"grpc-timeout": f"{DEADLINE_SECONDS * 1e3:.0f}m"}
    own = ((TENANT, "light"),) if case.light else ()
    per_second = case.light * before or SAMPLES_PER_SECOND
    if case.light:
        headers[TENANT] = "heavy"
    whole = SETTLING_SECONDS + 2 * seconds + 4 * DEADLINE_SECONDS
    core = machine.cores().generator
    with pressing(target, case.offered * before, headers, core, whole):
        time.sleep(SETTLING_SECONDS)
        answered, begun = service.ok_count(), time.perf_counter()
        with probed(service.port) as health:
            samplers = (Sampler(target, DEADLINE_SECONDS, own, how) for how in (ONCE, RETRYING))
            once, patient = (one.run(seconds, per_second) for one in samplers)
        rate = (service.ok_count() - answered) / (time.perf_counter() - begun)
    capacity = (before + load.fire(target, CAPACITY_CALLS).rate) / 2
    goodput = rate / capacity
    return Pressed(case, capacity, goodput, once, patient, max(health) * 1e3)


def table(rows: list[Pressed]) -> Table:
    """Return the rows as a person reads them."""
    columns = "offered", "calls/s", "goodput", "answered, sent once", "p50 · p99, ms"
    found = titled("Overload", "asked", *columns, "answered, sent again", "health, ms")
    for row in rows:
        case, once = row.case, row.once
        who = f", and a light tenant {case.light:g} x" if case.light else ""
        found.add_row(
            *(f"{case.model} {case.shape}{who}", f"{case.offered:g} x", f"{row.capacity:.0f}"),
            *(
                f"{row.goodput:.2f}",
                f"{once.ok_share:.0%}",
                f"{once.p50_ms:.0f} · {once.p99_ms:.0f}",
            ),
            *(f"{row.patient.ok_share:.0%}", f"{row.health_ms:.0f}"),
        )
    return found


def gates(rows: list[Pressed]) -> list[Gate]:
    """Return what is promised of overload."""
    found = []
    for row in rows:
        name = f"{row.case.model} {row.case.shape} at {row.case.offered:g}x"
        found.append(at_most(f"{name}: health, ms", row.health_ms, HEALTH_MS))
        wait_ms = Settings().max_pending / row.capacity * 1e3
        found.append(at_most(f"{name}: p99 ÷ a full line", row.once.p99_ms / wait_ms, WAIT_RATIO))
        if row.case.light * 10 >= row.case.offered:
            found.append(at_least(f"{name}: light tenant answered", row.once.ok_share, 0.99))
        elif not row.case.light and row.case.model == "foundation":
            found.append(at_least(f"{name}: goodput", row.goodput, GOODPUT))
    return found


@click.command()
@click.option("--seconds", default=4.0, help="Of each sample; two a round.")
@click.option("--rounds", default=3, help="Of each load; the middle one is told.")
@click.option("--one-core", is_flag=True, help="For all of the server, gRPC's threads, too.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/overload.json"))
@click.option("--gate", is_flag=True, help="Exit with 1 when a gate is missed.")
def main(seconds: float, rounds: int, one_core: bool, out: Path, gate: bool) -> None:
    """Offer up to three times what can be answered; about 5 minutes. Wants h2load."""
    cores, console = machine.cores(), Console(width=None if sys.stdout.isatty() else 150)
    os.sched_setaffinity(0, {cores.generator})
    with tempfile.TemporaryDirectory() as folder:
        where = [cores.server] if one_core else cores.all
        rows = measure(where, Load(cores.generator), Path(folder), seconds, rounds)
    promised = gates(rows)
    console.print(table(rows), held(promised))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps({"machine": machine.describe(), "rows": plain(rows)}, indent=1) + "\n"
    )
    if gate and not all(one.ok for one in promised):
        sys.exit(1)


if __name__ == "__main__":
    main()
