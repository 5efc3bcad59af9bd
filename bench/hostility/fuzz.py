"""`python -m bench.hostility.fuzz`: damaged requests by the hundred thousand, each checked.

Whatever is sent is answered in numbers, or refused with a reason that is written down. A seed and
a count give the same requests again; a failure is told with the bytes that made it.
"""

import base64
import logging
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

import click
import numpy as np
from google.protobuf.message import DecodeError

from bench.hostility import requests
from bench.hostility.checks import check_answer, check_refusal
from bench.hostility.target import Target
from bench.hostility.wire import Damaging, damaged
from model.refusal import Refusal
from sonoba.v1 import predictor_pb2 as pb

CASES_A_REQUEST = 12
LOOK_EVERY = 500
ANEW_EVERY = {"Predict": 5, "ModelInfer": 101}  # of a method: primes to the cases of a request
FAILURES_KEPT = 10
PAGE_BYTES = resource.getpagesize()


class Case(NamedTuple):
    """The bytes of one call."""

    method: str
    wire: bytes


class Failure(NamedTuple):
    """A case that was neither answered nor refused as it should be."""

    number: int
    case: Case
    trace: str

    @property
    def place(self) -> str:
        """Where it happened: the last line of code and its method."""
        lines = [line for line in self.trace.splitlines() if line.startswith("  File ")]
        return f"{self.case.method} {lines[-1] if lines else self.trace}"

    def __str__(self) -> str:
        wire = base64.b64encode(self.case.wire).decode()
        return f"case {self.number}, {self.case.method}, base64 {wire}\n{self.trace}"


@dataclass
class Report:
    """What a run of cases showed."""

    seed: int
    count: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    places: set[str] = field(default_factory=set)
    slowest_seconds: float = 0.0
    slowest: Case | None = None
    resident_bytes: list[int] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)

    def fail(self, failure: Failure) -> None:
        """Keep a failure unless there is one of the same place already."""
        if len(self.failures) < FAILURES_KEPT and failure.place not in self.places:
            self.places.add(failure.place)
            self.failures.append(failure)

    @property
    def answered_count(self) -> int:
        """Cases that were answered."""
        return sum(n for name, n in self.outcomes.items() if name.endswith(" answered"))

    @property
    def reasons(self) -> set[str]:
        """Reasons of the refusals."""
        return {name.split()[1] for name in self.outcomes if name.split()[1].isupper()}


def cases(models: list[requests.Served], seed: int) -> Iterator[Case]:
    """Yield the cases of a seed without end: requests as they are, twice, and then damaged."""
    drawn = requests.Requests(models, np.random.default_rng(seed))
    chance, other = Random(seed), b""
    while True:
        method, message = drawn.draw()
        whole = Damaging(message)
        yield Case(method, whole.wire)
        yield Case(method, whole.wire)  # the second time its layout is learnt
        for _ in range(CASES_A_REQUEST - 2):
            yield Case(method, _hostile(chance, whole, other))
        other = whole.wire


def _hostile(chance: Random, whole: Damaging, other: bytes) -> bytes:
    draw = chance.random()
    if draw < 0.35:
        return whole.renumbered(chance)
    if draw < 0.75:
        return whole.changed(chance)
    if draw < 0.95:
        return damaged(chance, whole.wire, other)
    return damaged(chance, whole.changed(chance), other)


def run(target: Target, seed: int, count: int, seconds: float = float("inf")) -> Report:
    """Send the first cases of a seed, for so long at most."""
    report, ends = Report(seed), time.monotonic() + seconds
    handler = _Logged(report.logged)
    logging.getLogger("sonoba").addHandler(handler)
    try:
        for number, case in enumerate(cases(target.models, seed)):
            if number == count or (number % 100 == 0 and time.monotonic() > ends):
                break
            _send(target, number, case, report)
            if number % LOOK_EVERY == 0:
                target.look()
                report.resident_bytes.append(_resident_bytes())
    finally:
        logging.getLogger("sonoba").removeHandler(handler)
    return report


def _send(target: Target, number: int, case: Case, report: Report) -> None:
    report.count += 1
    began = time.thread_time()
    try:
        outcome, answer = _outcome(target, case)
    except Exception:
        report.fail(Failure(number, case, traceback.format_exc()))
        outcome, answer = "failed", b""
    seconds = time.thread_time() - began
    if seconds > report.slowest_seconds:
        report.slowest_seconds, report.slowest = seconds, case
    report.outcomes[f"{case.method} {outcome}"] += 1
    every = ANEW_EVERY.get(case.method, 0)
    if every and number % every == 0 and outcome != "failed":
        _compare(target, number, case, outcome, answer, report)


def _outcome(target: Target, case: Case) -> tuple[str, bytes]:
    try:
        answer = target.ask(*case)
    except Refusal as refusal:
        return check_refusal(refusal), str(refusal).encode(errors="surrogateescape")
    return check_answer(case.method, case.wire, answer), answer


def _compare(
    target: Target, number: int, case: Case, outcome: str, answer: bytes, report: Report
) -> None:
    """Hold an answer against that of a server which has seen no request before: every bit."""
    try:
        fresh = target.ask_anew(case.wire, case.method)
    except Refusal as refusal:
        fresh = str(refusal).encode(errors="surrogateescape")
    if _unnamed(case.method, fresh) != _unnamed(case.method, answer):
        report.fail(Failure(number, case, f"another answer than anew: {outcome}"))


def _unnamed(method: str, answer: bytes) -> bytes:
    """Return an answer to a Predict without the id that the server made up."""
    if method != "Predict":
        return answer
    try:
        response = pb.PredictResponse.FromString(answer)
    except DecodeError:  # a refusal's sentence
        return answer
    if len(response.request_id) == 16:
        response.ClearField("request_id")
    return response.SerializeToString(deterministic=True)


class _Logged(logging.Handler):
    """Keeps what the threads beside the calls log as bugs."""

    def __init__(self, kept: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._kept) < FAILURES_KEPT:
            self._kept.append(logging.Formatter().format(record))


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


@click.command()
@click.option("--seed", default=1, show_default=True, help="Of the first requests.")
@click.option("--cases", "count", default=1_000_000, show_default=True, help="Most requests.")
@click.option("--minutes", default=10.0, show_default=True, help="Most time.")
def main(seed: int, count: int, minutes: float) -> None:
    """Send damaged requests to the service in process; exit with 1 where one is not answered."""
    from bench.serving import profiles, prompts

    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shape = prompts.Shape(16, 5)
        store = profiles.write_profiles(folder, [shape])
        papers = [one for one in prompts.write_papers(folder) if one.stem == "paper5"]
        target = Target(tuple(papers), store)
        report = run(target, seed, count, 60.0 * minutes)
    for line in told(report):
        click.echo(line)
    if report.failures or report.logged:
        sys.exit(1)


def told(report: Report) -> Iterator[str]:
    """Yield what a run showed, line by line."""
    yield f"seed {report.seed}: {report.count:,} cases, {report.answered_count:,} answered"
    for name, n in sorted(report.outcomes.items()):
        yield f"  {name:<40} {n:>9,}"
    yield f"slowest case {report.slowest_seconds * 1e3:.1f} ms of processor time"
    if report.resident_bytes:
        few = max(len(report.resident_bytes) // 10, 1)
        first, last = report.resident_bytes[few - 1], report.resident_bytes[-1]
        yield f"resident {first / 2**20:.1f} MiB after a tenth, {last / 2**20:.1f} at the end"
    yield from map(str, report.failures)
    yield from report.logged


if __name__ == "__main__":
    main()
