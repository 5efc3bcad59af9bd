"""What a prompt costs the server, against its size, the batch and every switch.

One thing at a time is changed, from (64,20), one query, one prompt a call, float64; all take turns.
`python -m bench.serving.costs` draws it for docs/performance.md.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

from rich.table import Table

from bench.serving import prompts
from bench.serving.encrypted import write_certificate
from bench.serving.lab import Cost, Lab, Plan, Sample, ratio
from bench.serving.part import SPREAD, Part, Tick, no_gates
from bench.serving.prompts import PREDICT, PREDICT_BATCH, SHAPES, WIDTHS, Shape
from bench.serving.servers import Models, Service
from bench.serving.watching import UNWATCHED, WATCHED
from bench.spread import Spread
from bench.tables import titled
from sonoba.v1 import predictor_pb2 as pb

USUAL = SHAPES[1]
M_S, Q_S, BATCHES = (8, 16, 64, 256, 1024), (1, 4, 16, 64, 256), (1, 4, 16, 64, 256, 1024)
AGAINST = {"M": "examples", "d": "features", "Q": "queries", "n": "prompts a call"}
ELSE = {"M": "d = 20, Q = 1", "d": "M = 64, Q = 1", "Q": "(64,20)", "n": "(16,5), Q = 1"}
BASE, FLOAT32 = "as it comes", "float32"


class Point(NamedTuple):
    """What is asked: `against` names what differs from the usual prompt."""

    against: str
    model: str
    shape: Shape
    prompt_count: int = 1

    @property
    def place(self) -> int:
        """Its place on the axis."""
        if self.against == "n":
            return self.prompt_count
        return dict(zip("MdQ", self.shape, strict=True))[self.against]

    def message(self) -> tuple[bytes, str]:
        """Return the request, and the method that takes it."""
        if self.against == "n" and self.prompt_count > 1:
            message = prompts.batch(self.model, self.shape, prompt_count=self.prompt_count)
            return message, PREDICT_BATCH
        return prompts.unary(self.model, self.shape), PREDICT


@dataclass(frozen=True, slots=True)
class PointCost:
    """What a point costs, a prompt."""

    against: str
    model: str
    shape: Shape
    prompt_count: int
    place: int
    cpu_us: Spread  # a prompt
    calls_per_second: Spread


@dataclass(frozen=True, slots=True)
class SwitchCost:
    """A switch beside the server as it comes."""

    name: str
    model: str
    shape: Shape
    cpu_ratio: Spread  # processor time a call ÷ that of the server as it comes
    cost: Cost


@dataclass(frozen=True, slots=True)
class Costs:
    """All of it."""

    points: list[PointCost]
    switches: list[SwitchCost]


def points(plan: Plan) -> list[Point]:
    """Return every point, profiles where there is one."""
    learnt = [shape.d for shape in plan.profile_shapes]
    widths = {"paper": WIDTHS, "foundation": WIDTHS, "profile": learnt}
    found: list[Point] = []
    for model, known in widths.items():
        d = USUAL.d if USUAL.d in known else known[0]
        axes = (
            [Point("M", model, Shape(M, d)) for M in M_S],
            [Point("d", model, Shape(USUAL.M, width)) for width in known],
            [Point("Q", model, Shape(USUAL.M, d, Q)) for Q in Q_S],
            [Point("n", model, SHAPES[0], n) for n in BATCHES],
        )
        for axis in axes:
            found += dict.fromkeys([*axis[:: plan.cost_step], axis[-1]])
    return found


def measure(lab: Lab, models: Models, tick: Tick) -> Costs:
    """Measure both, each in turns on one core."""
    with Service([lab.cores.server], models) as service:
        found = _points(lab, service, tick)
    return Costs(found, _switches(lab, models, tick))


def _points(lab: Lab, service: Service, tick: Tick) -> list[PointCost]:
    asked = {point: lab.contender(service, *point.message()) for point in points(lab.plan)}
    calls = {}
    for point, one in asked.items():
        calls[point] = lab.calls_of(one, lab.plan.cost_seconds)
        tick()
    samples: dict[Point, list[Sample]] = {point: [] for point in asked}
    for _ in range(lab.plan.cost_repetitions):
        for point, one in asked.items():
            samples[point].append(lab.slice(one, calls[point]))
        tick()
    return [_point_cost(point, found) for point, found in samples.items()]


def _point_cost(point: Point, samples: list[Sample]) -> PointCost:
    cost = Cost.of(samples)
    each = Spread(*(us / point.prompt_count for us in cost.cpu_us))
    return PointCost(*point, point.place, each, cost.rate)


def _switches(lab: Lab, models: Models, tick: Tick) -> list[SwitchCost]:
    cores = [lab.cores.server]
    rows = []
    with ExitStack() as stack:
        usual = stack.enter_context(Service(cores, models))
        servers = {BASE: usual, FLOAT32: usual}
        pair = write_certificate(lab.folder)
        servers["TLS"] = stack.enter_context(Service(cores, models, pair=pair))
        servers["monitoring off"] = stack.enter_context(Service(cores, models, UNWATCHED))
        servers["every prompt watched"] = stack.enter_context(Service(cores, models, WATCHED))
        if lab.cores.apart:
            both = [lab.cores.server, lab.cores.generator]
            servers["two workers"] = stack.enter_context(Service(both, models, workers=2))
        for model, shape in (("paper", USUAL), ("profile", lab.plan.profile_shapes[:2][-1])):
            rows += _switch_rows(lab, model, shape, servers)
            tick()
    return rows


def _switch_rows(
    lab: Lab, model: str, shape: Shape, servers: dict[str, Service]
) -> list[SwitchCost]:
    asked = {}
    for name, server in servers.items():
        data_type = pb.DATA_TYPE_FLOAT32 if name == FLOAT32 else pb.DATA_TYPE_FLOAT64
        asked[name] = lab.contender(server, prompts.unary(model, shape, data_type))
    samples = lab.in_turns(asked, 2 * lab.plan.cost_seconds)
    base = samples[BASE]
    return [
        SwitchCost(name, model, shape, ratio(found, base, "cpu_us"), Cost.of(found))
        for name, found in samples.items()
    ]


def tables(found: Costs) -> Iterator[Table]:
    """Show a table a thing that grows, models side by side, and the switches."""
    for against, words in AGAINST.items():
        rows = [one for one in found.points if one.against == against]
        models = list(dict.fromkeys(one.model for one in rows))
        title = f"µs CPU a prompt (calls/s) against {words}, {ELSE[against]}"
        table = titled(title, words, *models)
        for place in sorted({one.place for one in rows}):
            cells = {one.model: one for one in rows if one.place == place}
            table.add_row(str(place), *(_cell(cells.get(model)) for model in models))
        yield table
    columns = ("CPU a call ÷ as it comes", "µs CPU a call", "calls/s")
    table = titled(f"What switches cost, {SPREAD}", "model, shape", *columns)
    for row in found.switches:
        cpu, rate = row.cost.cpu_us.median, row.cost.rate.median
        name = f"{row.model} {row.shape}, {row.name}"
        table.add_row(name, row.cpu_ratio.text(), f"{cpu:.0f}", f"{rate:.0f}")
    yield table


def _cell(one: PointCost | None) -> str:
    if one is None:
        return "–"
    return f"{one.cpu_us.median:.3g} ({one.calls_per_second.median:.0f})"


def _steps(plan: Plan) -> int:
    return len(points(plan)) + plan.cost_repetitions + 2


PART = Part("costs", "costs", _steps, measure, tables, no_gates)
