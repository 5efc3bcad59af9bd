"""What monitoring costs a server: watched against not watched, in turns on one core.

Repeated prompts are watched like new ones here (`--monitor-repeat-seconds 0`), or nothing would be.
"""

import re
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.serving import prompts
from bench.serving.lab import Cost, Lab, ratio
from bench.serving.prompts import SHAPES, Shape
from bench.serving.servers import Service
from bench.spread import Spread

WATCHED = ("--monitor-repeat-seconds", "0")
UNWATCHED = ("--monitor-prompts-per-second", "0")
REFERENCE_SECONDS = 60.0
MODELS = (  # one layer of 20 features errs 4 times as much as a ridge: it is no normal
    ("paper", SHAPES[0]),
    ("foundation", SHAPES[0]),
    ("foundation", SHAPES[1]),
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


def measure(lab: Lab, papers: list[Path], tick: Callable[[], None]) -> list[Watching]:
    """Return the table of the models that are admitted as a reference of these prompts."""
    rows = []
    cores = [lab.cores.server]
    for kind, shape in MODELS:
        with Service(cores, papers, WATCHED) as watched, Service(cores, papers, UNWATCHED) as un:
            _make_reference(watched, kind, shape)
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


def _make_reference(service: Service, kind: str, shape: Shape) -> None:
    """Send enough prompts for a reference, and wait until it is there."""
    ends = time.monotonic() + REFERENCE_SECONDS
    model = prompts.model_name(kind, shape)
    name = f'sonoba_drift_reference_info{{model="{model}"'
    while name not in _metrics(service):
        if time.monotonic() > ends:
            raise RuntimeError(f"expected a reference of {model} within a minute, got none")
        service.call(prompts.PREDICT_BATCH, prompts.batch(kind, shape))
        time.sleep(1.0)


def _watched_count(service: Service) -> float:
    found = re.findall(r"^sonoba_drift_prompts_total\{.*\} (\S+)$", _metrics(service), re.MULTILINE)
    return sum(map(float, found))


def _metrics(service: Service) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{service.metrics_port}/metrics") as page:
        text: str = page.read().decode()
    return text
