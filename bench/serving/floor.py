"""The service against a bare grpcio echo of the same kind: what our work costs beside the RPC."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.serving import prompts
from bench.serving.lab import Cost, Lab, ratio
from bench.serving.prompts import SHAPES, Shape
from bench.serving.servers import Echo, Service
from bench.spread import Spread
from service.settings import Settings

KINDS = ("paper", "foundation")


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


def measure(lab: Lab, papers: list[Path], tick: Callable[[], None]) -> list[Floor]:
    """Return the table of both models at every shape."""
    rows = []
    with Service([lab.cores.server], papers) as service:
        for kind in KINDS:
            for shape in SHAPES:
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
        samples = lab.in_turns(contenders)
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
