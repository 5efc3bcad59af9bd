"""The service against a bare grpcio echo of the same kind: what our work costs beside the RPC.

Monitoring is on, and repeated prompts are watched like new ones; what it compares with is there
where these prompts are normal for their model (`bench.serving.watching`) or a profile brings it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table

from bench.promises import Gate, at_least
from bench.serving import prompts, watching
from bench.serving.lab import Cost, Lab, ratio
from bench.serving.part import SPREAD, Part, Tick
from bench.serving.prompts import SHAPES, Shape
from bench.serving.servers import Echo, Models, Service
from bench.spread import Spread
from bench.tables import titled
from service.settings import Settings

GATES = {  # `foundation` has rows, and no bound
    "paper": dict(zip(SHAPES, (0.85, 0.85, 0.70), strict=True)),
    "profile": dict(zip(SHAPES, (0.70, 0.65, 0.50), strict=True)),
}
COMPARED = {("paper", SHAPES[0]), ("profile", SHAPES[2])}  # with what their first prompts are


@dataclass(frozen=True, slots=True)
class Floor:
    """One model at one shape beside the echo; 1 would be a service that costs nothing."""

    model: str
    shape: Shape
    request_bytes: int
    answer_bytes: int
    rate_ratio: Spread  # calls/s, service ÷ echo
    cpu_ratio: Spread  # processor time a call, echo ÷ service
    service: Cost
    echo: Cost

    @property
    def decisive(self) -> float:
        """The lower median of both ratios: what the gate looks at."""
        return min(self.rate_ratio.median, self.cpu_ratio.median)


def measure(lab: Lab, models: Models, tick: Tick) -> list[Floor]:
    """Return the table of all models at every shape."""
    rows = []
    with Service([lab.cores.server], models, watching.WATCHED) as service:
        for pair in COMPARED & {*lab.plan.rows}:
            watching.make_reference(service, *pair)
        for kind, shape in lab.plan.rows:
            rows.append(_row(lab, service, kind, shape))
            tick()
    return rows


def _row(lab: Lab, service: Service, kind: str, shape: Shape) -> Floor:
    message = prompts.unary(kind, shape)
    answer = service.call(prompts.PREDICT, message)
    flags = ("--answer-bytes", str(len(answer)), "--threads", str(Settings().threads))
    with Echo([lab.cores.server], *flags) as echo:
        contenders = {
            "service": lab.contender(service, message),
            "echo": lab.contender(echo, message),
        }
        samples = lab.in_turns(contenders, lab.plan.floor_seconds, lab.plan.floor_repetitions)
    ours, theirs = samples["service"], samples["echo"]
    return Floor(
        model=kind,
        shape=shape,
        request_bytes=len(message),
        answer_bytes=len(answer),
        rate_ratio=ratio(ours, theirs, "rate"),
        cpu_ratio=ratio(theirs, ours, "cpu_us"),
        service=Cost.of(ours),
        echo=Cost.of(theirs),
    )


def tables(rows: list[Floor]) -> Iterator[Table]:
    """Show every row, and what the machine was busy with."""
    table = titled(
        f"The service against a bare grpcio echo of the same bytes, {SPREAD}",
        *("model, shape", "calls/s ÷ echo", "CPU, echo ÷ service"),
        *("calls/s", "echo", "µs CPU a call", "echo", "server busy", "generator busy"),
    )
    for row in rows:
        table.add_row(
            f"{row.model} {row.shape}",
            row.rate_ratio.text(),
            row.cpu_ratio.text(),
            f"{row.service.rate.median:.0f}",
            f"{row.echo.rate.median:.0f}",
            f"{row.service.cpu_us.median:.0f}",
            f"{row.echo.cpu_us.median:.0f}",
            f"{row.service.server_share.median:.0%}, echo {row.echo.server_share.median:.0%}",
            f"{row.service.generator_share.median:.0%}, echo {row.echo.generator_share.median:.0%}",
        )
    yield table


def gates(rows: list[Floor]) -> Iterator[Gate]:
    """Promise how much of the echo's rate is left."""
    for row in rows:
        if row.model in GATES:
            name = f"{row.model} {row.shape} ÷ echo, monitored"
            yield at_least(name, row.decisive, GATES[row.model][row.shape])


PART = Part("floor", "against an echo", lambda plan: len(plan.rows), measure, tables, gates)
