"""What monitoring costs a server: watched against not watched, in turns on one core.

Repeated prompts are watched like new ones here (`--monitor-repeat-seconds 0`), or nothing would be.
"""

import re
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table

from bench.promises import Gate, at_least
from bench.serving import prompts
from bench.serving.lab import Cost, Lab, ratio
from bench.serving.part import SPREAD, Part, Tick
from bench.serving.prompts import SHAPES, Shape
from bench.serving.servers import Models, Service
from bench.spread import Spread
from bench.tables import titled

WATCHED = ("--monitor-repeat-seconds", "0")
UNWATCHED = ("--monitor-prompts-per-second", "0")
REFERENCE_SECONDS = 180.0  # of (256,64) a look takes seven prompts
GATE = 0.90
MODELS = (  # one layer of 20 features errs 4 times as much as a ridge: it is no normal
    ("paper", SHAPES[0]),
    ("foundation", SHAPES[1]),
    ("profile", SHAPES[0]),
)
METHODS = {"one by one": prompts.PREDICT, "in batches": prompts.PREDICT_BATCH}


@dataclass(frozen=True, slots=True)
class Watching:
    """One model at one shape; a ratio of 1 would be monitoring for nothing."""

    model: str
    shape: Shape
    form: str  # one by one, in batches
    rate_ratio: Spread  # calls/s, watched ÷ not
    cpu_ratio: Spread  # processor time a call, not ÷ watched
    watched_per_second: float  # prompts
    watched: Cost
    unwatched: Cost

    @property
    def decisive(self) -> float:
        """The lower median of both ratios: what the gate looks at."""
        return min(self.rate_ratio.median, self.cpu_ratio.median)


def measure(lab: Lab, models: Models, tick: Tick) -> list[Watching]:
    """Return the table of the models that are admitted as a reference of these prompts."""
    rows = []
    cores = [lab.cores.server]
    for kind, shape in MODELS[: lab.plan.pair_count]:
        with Service(cores, models, WATCHED) as watched, Service(cores, models, UNWATCHED) as un:
            make_reference(watched, kind, shape)
            for form in METHODS:
                rows.append(_row(lab, watched, un, kind, shape, form))
                tick()
    return rows


def _row(lab: Lab, watched: Service, un: Service, kind: str, shape: Shape, form: str) -> Watching:
    make = prompts.unary if form == "one by one" else prompts.batch
    message, method = make(kind, shape), METHODS[form]
    contenders = {
        "watched": lab.contender(watched, message, method),
        "unwatched": lab.contender(un, message, method),
    }
    before, began = _watched_count(watched), time.monotonic()
    samples = lab.in_turns(contenders)
    seen = (_watched_count(watched) - before) / (time.monotonic() - began)
    on, off = samples["watched"], samples["unwatched"]
    ratios = ratio(on, off, "rate"), ratio(off, on, "cpu_us")
    return Watching(kind, shape, form, *ratios, seen, Cost.of(on), Cost.of(off))


def make_reference(service: Service, kind: str, shape: Shape) -> None:
    """Send enough prompts for a reference, and wait until it is there."""
    ends = time.monotonic() + REFERENCE_SECONDS
    model = prompts.model_name(kind, shape)
    name = f'sonoba_drift_reference_info{{model="{model}"'
    while name not in _metrics(service):
        if time.monotonic() > ends:
            within = f"within {REFERENCE_SECONDS:.0f} s"
            raise RuntimeError(f"expected a reference of {model} {within}, got none")
        service.call(prompts.PREDICT_BATCH, prompts.batch(kind, shape))
        time.sleep(1.0)


def _watched_count(service: Service) -> float:
    found = re.findall(r"^sonoba_drift_prompts_total\{.*\} (\S+)$", _metrics(service), re.MULTILINE)
    return sum(map(float, found))


def _metrics(service: Service) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{service.metrics_port}/metrics") as page:
        text: str = page.read().decode()
    return text


def tables(rows: list[Watching]) -> Iterator[Table]:
    """Show every row."""
    table = titled(
        f"The service watched by its monitor against the same not watched, {SPREAD}",
        *("model, shape", "calls/s, watched ÷ not", "CPU, not ÷ watched"),
        *("calls/s", "not watched", "prompts watched a second"),
    )
    for row in rows:
        table.add_row(
            f"{row.model} {row.shape}, {row.form}",
            row.rate_ratio.text(),
            row.cpu_ratio.text(),
            f"{row.watched.rate.median:.0f}",
            f"{row.unwatched.rate.median:.0f}",
            f"{row.watched_per_second:,.0f}",
        )
    yield table


def gates(rows: list[Watching]) -> Iterator[Gate]:
    """Promise what monitoring leaves."""
    for row in rows:
        name = f"{row.model} {row.shape} {row.form}, watched ÷ not"
        yield at_least(name, row.decisive, GATE)


PART = Part(
    "watching",
    "with monitoring",
    lambda plan: plan.pair_count * len(METHODS),
    measure,
    tables,
    gates,
)
