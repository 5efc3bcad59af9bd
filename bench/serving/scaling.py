"""Two workers on two cores against one on one.

Generator and server share every core here, in both: one worker and its generator have one core,
two workers and theirs have two. So the ratio of calls/s is what a second core brings to the whole,
and the generator is no bottleneck of either: it takes the same share of both. Beside it stands one
worker whose generator has the other core; on a machine of two that is no fair rival, for the two
workers have to feed their generator from the same two cores.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from rich.table import Table

from bench.promises import Gate, at_least
from bench.serving import prompts
from bench.serving.lab import Contender, Cost, Lab, Sample, ratio
from bench.serving.load import MANY
from bench.serving.part import SPREAD, Part, Tick
from bench.serving.prompts import SHAPES, Shape
from bench.serving.servers import Models, Service
from bench.spread import Spread
from bench.tables import titled

GATE = 1.7
ONE, ONE_ALONE, TWO = "one", "one, generator elsewhere", "two"
MODELS = (("paper", SHAPES[0]), ("paper", SHAPES[1]), ("profile", SHAPES[0]))


@dataclass(frozen=True, slots=True)
class Scaling:
    """One model at one shape; calls/s of two workers beside those of one."""

    model: str
    shape: Shape
    rate_ratio: Spread  # two ÷ one, every core with its share of the generator
    alone_ratio: Spread  # two so ÷ one whose generator has the other core
    cpu_ratio: Spread  # processor time a call, two ÷ one
    busier_share: float  # of the calls, answered by the busier of the two
    one: Cost
    two: Cost


def measure(lab: Lab, models: Models, tick: Tick) -> list[Scaling]:
    """Return what a second worker brings; RuntimeError on a machine of one core."""
    if not lab.cores.apart:
        raise RuntimeError("expected two cores for two workers, got one")
    rows = []
    first, both = [lab.cores.server], [lab.cores.server, lab.cores.generator]
    with ExitStack() as stack:
        one = stack.enter_context(Service(first, models))
        two = stack.enter_context(Service(both, models, workers=2))
        for kind, shape in MODELS[: lab.plan.pair_count]:
            message = prompts.unary(kind, shape)
            places = {
                ONE: (lab.contender(one, message), first),
                ONE_ALONE: (lab.contender(one, message), both[1:]),
                TWO: (lab.contender(two, message), both),
            }
            before = two.ok_counts()
            samples = _in_turns(lab, places)
            shares = [now - then for now, then in zip(two.ok_counts(), before, strict=True)]
            rows.append(_row(kind, shape, samples, max(shares) / max(sum(shares), 1)))
            tick()
    return rows


def _in_turns(
    lab: Lab, places: Mapping[str, tuple[Contender, Sequence[int]]]
) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {name: [] for name in places}
    for _ in range(lab.plan.repetitions):
        for name, (contender, cores) in places.items():
            samples[name].append(lab.flood(contender, cores, MANY))
    return samples


def _row(kind: str, shape: Shape, samples: dict[str, list[Sample]], busier: float) -> Scaling:
    one, two = samples[ONE], samples[TWO]
    return Scaling(
        model=kind,
        shape=shape,
        rate_ratio=ratio(two, one, "rate"),
        alone_ratio=ratio(two, samples[ONE_ALONE], "rate"),
        cpu_ratio=ratio(two, one, "cpu_us"),
        busier_share=busier,
        one=Cost.of(one),
        two=Cost.of(two),
    )


def tables(rows: list[Scaling]) -> Iterator[Table]:
    """Show every row."""
    table = titled(
        f"Two workers on two cores against one on one, {SPREAD}",
        *("model, shape", "calls/s, two ÷ one", "÷ one, generator elsewhere", "CPU, two ÷ one"),
        *("calls/s, two", "one", "µs CPU a call, two", "one"),
        *("the busier answers", "generator's share, two", "one"),
    )
    for row in rows:
        table.add_row(
            f"{row.model} {row.shape}",
            row.rate_ratio.text(),
            row.alone_ratio.text(),
            row.cpu_ratio.text(),
            f"{row.two.rate.median:.0f}",
            f"{row.one.rate.median:.0f}",
            f"{row.two.cpu_us.median:.0f}",
            f"{row.one.cpu_us.median:.0f}",
            f"{row.busier_share:.0%}",
            f"{row.two.generator_share.median:.0%}",
            f"{row.one.generator_share.median:.0%}",
        )
    yield table


def gates(rows: list[Scaling]) -> Iterator[Gate]:
    """Promise what the second worker brings."""
    for row in rows:
        name = f"{row.model} {row.shape}, calls/s of two workers ÷ one"
        yield at_least(name, row.rate_ratio.median, GATE)


PART = Part("scaling", "two workers", lambda plan: plan.pair_count, measure, tables, gates)
