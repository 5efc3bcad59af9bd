"""Which kind of server: a pool of threads or an event loop, around the same core."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.serving import prompts
from bench.serving.lab import Cost, Lab, ratio
from bench.serving.prompts import SHAPES, Shape
from bench.serving.servers import Echo
from bench.spread import Spread

THREADS = (1, 4, 8, 16)
BASELINE = "sync, 8 threads"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of server at one shape; ratios are to a pool of 8 threads on the same core."""

    name: str
    pinned: bool
    shape: Shape
    cost: Cost
    rate_ratio: Spread
    cpu_ratio: Spread  # its processor time a call ÷ the baseline's: below 1 is cheaper


def measure(lab: Lab, papers: list[Path], tick: Callable[[], None]) -> list[Kind]:
    """Return the kinds pinned to one core, and two of them free to roam."""
    pinned, free = [lab.cores.server], list(lab.cores.all)
    models = ("--model-files", ",".join(map(str, papers)))
    with ExitStack() as stack:
        servers: dict[tuple[str, bool], Echo] = {}
        for count in THREADS:
            flags = ("--threads", str(count), *models)
            name = f"sync, {count} thread{'s' if count > 1 else ''}"
            servers[name, True] = stack.enter_context(Echo(pinned, *flags))
        servers["asyncio", True] = stack.enter_context(Echo(pinned, "--kind", "asyncio", *models))
        if len(free) > 1:
            servers[BASELINE, False] = stack.enter_context(Echo(free, "--threads", "8", *models))
            asyncio = Echo(free, "--kind", "asyncio", *models)
            servers["asyncio", False] = stack.enter_context(asyncio)
        rows = []
        for shape in SHAPES[:2]:
            rows += _rows(lab, servers, shape)
            tick()
    return rows


def _rows(lab: Lab, servers: dict[tuple[str, bool], Echo], shape: Shape) -> list[Kind]:
    message = prompts.unary("paper", shape)
    contenders = {
        f"{name}|{pinned}": lab.contender(server, message)
        for (name, pinned), server in servers.items()
    }
    samples = lab.in_turns(contenders)
    baseline = samples[f"{BASELINE}|True"]
    return [
        Kind(
            name=name,
            pinned=pinned,
            shape=shape,
            cost=Cost.of(samples[f"{name}|{pinned}"]),
            rate_ratio=ratio(samples[f"{name}|{pinned}"], baseline, "rate"),
            cpu_ratio=ratio(samples[f"{name}|{pinned}"], baseline, "cpu_us"),
        )
        for name, pinned in servers
    ]
