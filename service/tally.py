"""What is counted of calls and prompts: plain numbers, turned into metrics when Prometheus asks.

A counter of the metrics library takes a lock and a dozen function calls for each increment, and one
answer moves eight of them; here one lock guards all that one event moves. What every answered call
moves takes not even that: it leaves a mark, and who reads adds the marks up (docs/adr/0021).
"""

import threading
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

import grpc

from model.answer import Answer, Mode, Solver
from monitoring.ticks import Ticks
from service.trace_context import CURRENT

RATIO_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
UNSETTLED_MAX = 1024  # calls whose seconds wait to be added up


class MethodTally:
    """The calls of one method; the names are those of go-grpc-prometheus."""

    def __init__(self, kind: str, service: str, method: str) -> None:
        self.labels = (kind, service, method)
        self.lock = threading.Lock()
        self.started = 0
        self.received = 0
        self.sent = 0
        self._entered, self._answered = Ticks(), deque[float]()
        self.enter: Callable[[], object] = self._entered.tick
        """Counts a unary call that begins, without a lock."""
        self.handled = dict.fromkeys(grpc.StatusCode, 0)
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)  # calls by the first bound they do not exceed

    def answer(self, seconds: float) -> None:
        """Count a unary call that ends OK, without a lock."""
        self._answered.append(seconds)
        if len(self._answered) >= UNSETTLED_MAX:
            self.settle()

    def settle(self) -> None:
        """Add up what was counted without a lock: who reads does this first."""
        with self.lock:
            for _ in range(len(self._answered)):
                seconds = self._answered.popleft()
                self.seconds += seconds
                self.buckets[bisect_left(BUCKETS, seconds)] += 1
                self.handled[grpc.StatusCode.OK] += 1
                self.sent += 1
            entered = self._entered.take()  # after the ends: none is counted before its beginning
            self.started += entered
            self.received += entered

    def begin(self, received: int) -> None:
        """Count a call that begins."""
        with self.lock:
            self.started += 1
            self.received += received

    def message(self, received: int, sent: int) -> None:
        """Count messages of a stream."""
        with self.lock:
            self.received += received
            self.sent += sent

    def end(self, code: grpc.StatusCode, seconds: float, sent: int) -> None:
        """Count a call that ends."""
        place = bisect_left(BUCKETS, seconds)
        with self.lock:
            self.handled[code] += 1
            self.sent += sent
            self.seconds += seconds
            self.buckets[place] += 1


class Exemplar(NamedTuple):
    """One call of a bucket, whose trace shows what took its time."""

    trace_id: str
    seconds: float
    at: float  # s since 1970


class ExemplaryTally(MethodTally):
    """A tally that remembers for each bucket the last call whose trace is kept."""

    def __init__(self, kind: str, service: str, method: str) -> None:
        super().__init__(kind, service, method)
        self.exemplars: list[Exemplar | None] = [None] * len(self.buckets)

    def answer(self, seconds: float) -> None:
        """Count a unary call that ends OK, and remember its trace."""
        self.end(grpc.StatusCode.OK, seconds, 1)

    def end(self, code: grpc.StatusCode, seconds: float, sent: int) -> None:
        """Count a call that ends, and remember its trace."""
        super().end(code, seconds, sent)
        trace = CURRENT.get()
        if trace is not None and trace.is_sampled:
            exemplar = Exemplar(trace.trace_id, seconds, time.time())
            self.exemplars[bisect_left(BUCKETS, seconds)] = exemplar


class RejectionTally:
    """The calls that got no answer, by reason."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.lock = threading.Lock()
        self.counts = dict.fromkeys(reasons, 0)

    def count(self, reason: str) -> None:
        """Count a refusal."""
        with self.lock:
            self.counts[reason] += 1


class PromptTally:
    """The prompts and queries of every model, by what really answered and how."""

    def __init__(self, models: Iterable[str] = ()) -> None:
        self.lock = threading.Lock()
        self.prompts: dict[tuple[str, int], int] = {}
        self.queries: dict[str, int] = {}
        self.solvers = {int(solver): 0 for solver in Solver}
        self._ticks: dict[tuple[str, int, int, int], Ticks] = {}
        for model in models:
            self.admit(model)

    def admit(self, model: str) -> None:
        """Begin to count a model, before its first answer; one that is known goes on."""
        with self.lock:
            for mode in Mode:
                self.prompts.setdefault((model, int(mode)), 0)
            self.queries.setdefault(model, 0)

    def ticks(
        self, model: str, mode: int, solver: int, query_count: int = 1
    ) -> Callable[[], object]:
        """Return what counts one answered prompt of so many queries, without a lock.

        What counts is kept: the caller bounds of how many numbers of queries it asks.
        """
        with self.lock:
            return self._ticks.setdefault((model, mode, solver, query_count), Ticks()).tick

    def settle(self) -> None:
        """Add up what was counted without a lock: who reads does this first."""
        with self.lock:
            for (model, mode, solver, query_count), ticks in self._ticks.items():
                self._add(model, mode, solver, count := ticks.take(), count * query_count)

    def observe(self, model: str, answer: Answer, query_count: int) -> None:
        """Count a block of answers; refused prompts are not among them."""
        modes, solvers, count = answer.modes, answer.solvers, len(answer.modes)
        if modes.count(modes[0]) == count == solvers.count(solvers[0]) and modes[0]:
            return self._count(model, modes[0], solvers[0], count, count * query_count)
        for (mode, solver), some in Counter(zip(modes, solvers, strict=True)).items():
            if mode:
                self._count(model, mode, solver, some, some * query_count)

    def _count(self, model: str, mode: int, solver: int, prompts: int, queries: int) -> None:
        with self.lock:
            self._add(model, mode, solver, prompts, queries)

    def _add(self, model: str, mode: int, solver: int, prompts: int, queries: int) -> None:
        self.prompts[model, mode] += prompts
        self.solvers[solver] += prompts
        self.queries[model] += queries


class ShadowTally:
    """The prompts of one model that were handed to an exact solve, and how far it was off."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.outcomes = {"solved": 0, "dropped": 0, "failed": 0}
        self.ratios = 0.0
        self.buckets = [0] * (len(RATIO_BUCKETS) + 1)  # prompts by the first bound not exceeded

    def solved(self, ratio: float) -> None:
        """Count a prompt that was solved, and its disagreement."""
        place = bisect_left(RATIO_BUCKETS, ratio)
        with self.lock:
            self.outcomes["solved"] += 1
            self.ratios += ratio
            self.buckets[place] += 1

    def lost(self, outcome: str) -> None:
        """Count a prompt that was dropped or failed."""
        with self.lock:
            self.outcomes[outcome] += 1
