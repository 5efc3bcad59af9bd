"""What it costs a server when the kernel spreads its threads over cores, and what `--pin` saves.

All may use every core. Each is started anew: a server that waits for its turn would see the cores
that others of this bench use, and leave them. On two cores the generator has one of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table

from bench.promises import Gate, at_least
from bench.serving import prompts
from bench.serving.lab import Cost, Lab, Sample, ratio
from bench.serving.part import SPREAD, Part, Tick
from bench.serving.prompts import SHAPES, Shape
from bench.serving.servers import Models, Service
from bench.spread import Spread
from bench.tables import titled

PINS = "off", "auto", "on"
ASKED = ("paper", SHAPES[0]), ("foundation", SHAPES[0]), ("foundation", SHAPES[1])
GATE = 1.2


@dataclass(frozen=True, slots=True)
class Together:
    """One model at one shape; ratios are to a server whose threads the kernel places."""

    model: str
    shape: Shape
    pin: str
    cost: Cost
    rate_ratio: Spread
    cpu_ratio: Spread  # below 1 is cheaper


def measure(lab: Lab, models: Models, tick: Tick) -> list[Together]:
    """Return every way to be placed, in turns; nothing on a machine of one core."""
    rows = []
    for model, shape in ASKED[: lab.plan.pair_count]:
        if len(lab.cores.all) > 1:
            rows += _rows(lab, models, model, shape)
        tick()
    return rows


def _rows(lab: Lab, models: Models, model: str, shape: Shape) -> list[Together]:
    message = prompts.unary(model, shape)
    samples: dict[str, list[Sample]] = {pin: [] for pin in PINS}
    for _ in range(lab.plan.pair_count):
        for pin in PINS:
            samples[pin].append(_one(lab, models, message, pin))
    free = samples["off"]
    return [
        Together(
            model=model,
            shape=shape,
            pin=pin,
            cost=Cost.of(found),
            rate_ratio=ratio(found, free, "rate"),
            cpu_ratio=ratio(found, free, "cpu_us"),
        )
        for pin, found in samples.items()
    ]


def _one(lab: Lab, models: Models, message: bytes, pin: str) -> Sample:
    with Service(lab.cores.all, models, ["--pin", pin]) as service:
        contender = lab.contender(service, message)
        calls = lab.calls_of(contender, lab.plan.slice_seconds)
        if pin == "auto":
            service.settle()
        return lab.slice(contender, calls)


def tables(rows: list[Together]) -> Iterator[Table]:
    """Show every row."""
    table = titled(
        f"One process that may use every core, {SPREAD}",
        *("asked, --pin", "calls/s ÷ off", "CPU a call ÷ off", "calls/s", "µs CPU a call"),
    )
    for row in rows:
        table.add_row(
            f"{row.model} {row.shape}, {row.pin}",
            *(row.rate_ratio.text(), row.cpu_ratio.text()),
            *(f"{row.cost.rate.median:.0f}", f"{row.cost.cpu_us.median:.0f}"),
        )
    yield table


def gates(rows: list[Together]) -> Iterator[Gate]:
    """Promise that the default is worth it."""
    for row in rows:
        if row.pin == "auto":
            name = f"calls/s, --pin auto ÷ off, {row.model} {row.shape}"
            yield at_least(name, row.rate_ratio.median, GATE)


PART = Part("together", "cores", lambda plan: plan.pair_count, measure, tables, gates)
