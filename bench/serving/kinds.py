"""Which kind of server: a pool of threads or an event loop, around the same core."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from rich.table import Table

from bench.serving import prompts
from bench.serving.lab import Cost, Lab, ratio
from bench.serving.part import SPREAD, Part, Tick, no_gates
from bench.serving.prompts import SHAPES, Shape
from bench.serving.servers import Echo, Models
from bench.spread import Spread
from bench.tables import titled

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


def measure(lab: Lab, models: Models, tick: Tick) -> list[Kind]:
    """Return the kinds pinned to one core, and two of them free to roam."""
    pinned, free = [lab.cores.server], list(lab.cores.all)
    files = ("--model-files", ",".join(map(str, models.papers)))
    with ExitStack() as stack:
        servers: dict[tuple[str, bool], Echo] = {}
        for count in THREADS:
            flags = ("--threads", str(count), *files)
            name = f"sync, {count} thread{'s' if count > 1 else ''}"
            servers[name, True] = stack.enter_context(Echo(pinned, *flags))
        servers["asyncio", True] = stack.enter_context(Echo(pinned, "--kind", "asyncio", *files))
        if len(free) > 1:
            servers[BASELINE, False] = stack.enter_context(Echo(free, "--threads", "8", *files))
            asyncio = Echo(free, "--kind", "asyncio", *files)
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


def tables(rows: list[Kind]) -> Iterator[Table]:
    """Show every row."""
    table = titled(
        f"The same core (`paper`) on every kind of server, {SPREAD}",
        *("kind, cores, shape", "calls/s ÷ 8 threads pinned", "CPU a call ÷ the same"),
        *("calls/s", "µs CPU a call"),
    )
    for row in rows:
        table.add_row(
            f"{row.name}, {'pinned' if row.pinned else 'free'}, {row.shape}",
            row.rate_ratio.text(),
            row.cpu_ratio.text(),
            f"{row.cost.rate.median:.0f}",
            f"{row.cost.cpu_us.median:.0f}",
        )
    yield table


PART = Part("kinds", "kinds of server", lambda _: 2, measure, tables, no_gates)
