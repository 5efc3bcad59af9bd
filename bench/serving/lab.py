"""One measurement after another: contenders take turns, and every call is accounted for."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench import machine
from bench.serving import prompts
from bench.serving.load import WARM_UP_SECONDS, Clients, Load, Target
from bench.serving.prompts import KINDS, SHAPES, Shape
from bench.serving.servers import Server
from bench.spread import Spread

LEAST_FLOOD_SECONDS = 0.3  # in less, many clients may not see one call end


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to look: repetitions of every pair, seconds of every slice, and the counts."""

    repetitions: int = 9
    slice_seconds: float = 0.8
    floor_repetitions: int = 25  # of shorter slices: what disturbs a machine lasts seconds, so that
    floor_seconds: float = 0.4  # it meets both of a pair, or few of the pairs
    latency_calls: int = 2000
    memory_calls: int = 100_000
    profile_calls: int = 20_000  # of each profile alone, whose memory is looked at
    start_count: int = 7
    answer_seconds: float = 0.3
    cost_repetitions: int = 3
    cost_seconds: float = 0.25
    pair_count: int = 3  # of models that are watched, that two workers share, that keep to a core
    least_calls: int = 32  # of a slice, however slow they are
    cost_step: int = 1  # takes every so-manieth place of an axis, and its last
    profile_shapes: tuple[Shape, ...] = SHAPES

    @property
    def rows(self) -> list[tuple[str, Shape]]:
        """Every model at every shape, profiles where there is one."""
        shapes = dict.fromkeys(KINDS, SHAPES) | {"profile": self.profile_shapes}
        return [(kind, shape) for kind in KINDS for shape in shapes[kind]]


QUICK = Plan(
    repetitions=1,
    slice_seconds=0.05,
    floor_repetitions=1,
    floor_seconds=0.05,
    latency_calls=100,
    memory_calls=1500,
    profile_calls=1000,
    start_count=2,
    answer_seconds=0.01,
    cost_repetitions=1,
    cost_seconds=0.01,
    pair_count=1,
    least_calls=8,  # one a connection
    cost_step=10,
    profile_shapes=SHAPES[:1],
)


class Contender(NamedTuple):
    """A server and what it is asked."""

    server: Server
    target: Target


class Sample(NamedTuple):
    """One slice of load on one server."""

    rate: float  # calls per second
    cpu_us: float  # of the server, a call
    server_share: float  # of the server's core: near 1 when it is what limits
    generator_share: float  # of the generator's core: far below 1, or it limits


class Lab:
    """The load, the cores, and the count of calls sent and answered OK."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.cores = machine.cores()
        self.load = Load(self.cores.generator)
        self._bodies = itertools.count()
        self.part = ""  # being measured
        self.lost: list[str] = []  # a sentence for every slice of which calls were not answered OK
        self.sent = 0
        self.ok = 0

    def contender(self, server: Server, message: bytes, method: str = prompts.PREDICT) -> Contender:
        """Return a server with a request, which is written to a file of its own."""
        body = self.folder / f"body-{next(self._bodies)}"
        body.write_bytes(prompts.framed(message))
        return Contender(server, Target(server.port, method, body, server.is_encrypted))

    def slice(self, contender: Contender, calls: int, log: Path | None = None) -> Sample:
        """Send calls to a contender and return what they cost; count those answered OK."""
        server = contender.server
        answered = server.ok_count()
        used = server.cpu_seconds()
        shot = self.load.fire(contender.target, calls, log)
        used = server.cpu_seconds() - used
        self._count(server, shot.calls, server.ok_count() - answered)
        return Sample(
            shot.rate,
            used / shot.calls * 1e6,
            used / shot.seconds,
            shot.generator_seconds / shot.seconds,
        )

    def flood(self, contender: Contender, cores: Sequence[int], clients: Clients) -> Sample:
        """Load a contender from some cores for a slice's time; count what ended within it."""
        server = contender.server
        answered, used = server.ok_count(), server.cpu_seconds()
        seconds = max(self.plan.slice_seconds, LEAST_FLOOD_SECONDS)
        shot = self.load.flood(contender.target, seconds, cores, clients)
        used = server.cpu_seconds() - used
        answered = server.ok_count() - answered  # more than ended in time: with the warm-up's
        self._count(server, shot.calls, min(shot.calls - shot.failed, answered))
        whole = shot.seconds + WARM_UP_SECONDS
        return Sample(
            shot.rate,
            used / max(answered, 1) * 1e6,
            used / whole / len(cores),
            shot.generator_seconds / whole / len(cores),
        )

    def _count(self, server: Server, sent: int, ok: int) -> None:
        self.sent += sent
        self.ok += ok
        if ok != sent:
            how = ", ".join(f"{count} {code}" for code, count in server.outcomes().items())
            self.lost.append(f"{self.part}: {sent - ok} of {sent} lost by a server of {how}")

    def in_turns(
        self,
        contenders: Mapping[str, Contender],
        seconds: float | None = None,
        repetitions: int | None = None,
    ) -> dict[str, list[Sample]]:
        """Return the slices of every contender, interleaved: A B A B in one run."""
        lasting = seconds or self.plan.slice_seconds
        calls = {name: self.calls_of(one, lasting) for name, one in contenders.items()}
        samples: dict[str, list[Sample]] = {name: [] for name in contenders}
        for _ in range(repetitions or self.plan.repetitions):
            for name, one in contenders.items():
                samples[name].append(self.slice(one, calls[name]))
        return samples

    def calls_of(self, contender: Contender, seconds: float) -> int:
        """Return how many calls take so long; also warms the server up."""
        calls = least = self.plan.least_calls
        for _ in range(2):  # so few gauge the slowest request, and far too little of a fast one
            rate = self.slice(contender, min(calls, 500)).rate
            calls = max(least, round(rate * seconds))
        return calls


class Cost(NamedTuple):
    """What a server's slices say together."""

    rate: Spread  # calls per second
    cpu_us: Spread
    server_share: Spread
    generator_share: Spread

    @classmethod
    def of(cls, samples: list[Sample]) -> "Cost":
        """Return the spreads of slices."""
        return cls(*(Spread.of(column) for column in zip(*samples, strict=True)))


def ratio(ours: list[Sample], theirs: list[Sample], field: str) -> Spread:
    """Return ours ÷ theirs of a field, pair by pair in the order they ran."""
    pairs = zip(ours, theirs, strict=True)
    return Spread.of(getattr(a, field) / max(getattr(b, field), 1e-9) for a, b in pairs)
