"""What sending prompts together buys: 256 of one shape in a call, against one a call."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table

from bench.promises import Gate, at_least
from bench.serving import prompts
from bench.serving.lab import Cost, Lab, Plan, ratio
from bench.serving.part import SPREAD, Part, Tick
from bench.serving.prompts import BATCH_PROMPTS, PREDICT_BATCH, SHAPES, Shape
from bench.serving.servers import Models, Service
from bench.spread import Spread
from bench.tables import titled

PROMPTS_GATE = 120_000.0  # a second, on two cores
GAIN_GATES = {"paper": 50.0, "foundation": 40.0}  # times one by one: either holds


@dataclass(frozen=True, slots=True)
class Batch:
    """One model at one shape; costs are per call, the gain is per prompt."""

    model: str
    shape: Shape
    gain: Spread  # prompts/s in batches ÷ prompts/s one by one
    unary: Cost
    batch: Cost

    @property
    def prompts_per_second(self) -> float:
        """Prompts answered a second in batches."""
        return self.batch.rate.median * BATCH_PROMPTS


def rows_of(plan: Plan) -> list[tuple[str, Shape]]:
    """Return what is measured: every model at the two smaller shapes."""
    return [(kind, shape) for kind, shape in plan.rows if shape in SHAPES[:2]]


def measure(lab: Lab, models: Models, tick: Tick) -> list[Batch]:
    """Return the gain of every model at the two smaller shapes."""
    rows = []
    with Service([lab.cores.server], models) as service:
        for kind, shape in rows_of(lab.plan):
            many_at_once = prompts.batch(kind, shape)
            contenders = {
                "unary": lab.contender(service, prompts.unary(kind, shape)),
                "batch": lab.contender(service, many_at_once, PREDICT_BATCH),
            }
            samples = lab.in_turns(contenders)
            one, many = samples["unary"], samples["batch"]
            gain = Spread(*(BATCH_PROMPTS * x for x in ratio(many, one, "rate")))
            rows.append(Batch(kind, shape, gain, Cost.of(one), Cost.of(many)))
            tick()
    return rows


def tables(rows: list[Batch]) -> Iterator[Table]:
    """Show the gain of every model."""
    table = titled(
        f"{BATCH_PROMPTS} prompts in a call against one a call, {SPREAD}",
        *("model, shape", "prompts/s, ÷ one by one", "one by one", "in batches"),
        *("µs CPU a prompt, one by one", "in batches"),
    )
    for row in rows:
        table.add_row(
            f"{row.model} {row.shape}",
            row.gain.text(1),
            f"{row.unary.rate.median:,.0f}",
            f"{row.prompts_per_second:,.0f}",
            f"{row.unary.cpu_us.median:.0f}",
            f"{row.batch.cpu_us.median / BATCH_PROMPTS:.1f}",
        )
    yield table


def gates(rows: list[Batch]) -> Iterator[Gate]:
    """Promise what the smaller shape brings: prompts/s or, where calls are fast, times one call."""
    for row in rows:
        if row.shape != SHAPES[0] or row.model not in GAIN_GATES:
            continue
        name, gain = f"{row.model} {row.shape} in batches of {BATCH_PROMPTS}", GAIN_GATES[row.model]
        if row.gain.median >= gain:
            yield at_least(f"{name} ÷ one by one", row.gain.median, gain)
        else:
            yield at_least(f"{name}, prompts/s", row.prompts_per_second, PROMPTS_GATE)


PART = Part("batch", "in batches", lambda plan: len(rows_of(plan)), measure, tables, gates)
