"""`python -m bench.hostility.soak`: everything at once for twenty minutes, and nothing may grow.

One server process under callers of every kind, its profile swapped every ten seconds. Resident
memory, open files and threads are read once a second; what they grow by is the slope of a line
through what comes after the warm-up, over all of that time.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

from bench.hostility.traffic import Traffic
from bench.serving import profiles, prompts
from bench.serving.servers import Models, Service
from model.document import remade
from model.manifest import Draft
from model.store import Store

WARM_SHARE = 0.2  # of the time, until caches are full
GROWTH_MAX = 0.05
SWAP_SECONDS, LOOK_SECONDS = 10.0, 1.0


class Look(NamedTuple):
    """What a server holds at one moment."""

    seconds: float
    resident_bytes: float
    files: int
    threads: int


@dataclass
class Soaked:
    """What a soak showed."""

    looks: list[Look] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    swaps: int = 0

    def growth(self, name: str) -> float:
        """Return by which share something grew from the end of the warm-up to the end."""
        warm = [look for look in self.looks if look.seconds >= WARM_SHARE * self.looks[-1].seconds]
        times = np.array([look.seconds for look in warm])  # (n,)
        values = np.array([float(getattr(look, name)) for look in warm])  # (n,)
        slope, start = np.polyfit(times - times[0], values, 1)
        return float(slope * (times[-1] - times[0]) / start)

    def faults(self) -> Iterator[str]:
        """Yield what must not be, one sentence each."""
        yield from self.wrong
        for name in ("resident_bytes", "files", "threads"):
            if (growth := self.growth(name)) > GROWTH_MAX:
                yield f"{name} grew by {growth:.1%}, expected at most {GROWTH_MAX:.0%}"


def soak(models: Models, seconds: float, rate: float, swap_seconds: float, seed: int) -> Soaked:
    """Run a server under traffic; its store holds versions to swap."""
    soaked = Soaked()
    with Service((), models) as service:
        traffic = Traffic(service.port, service.metrics_port, rate, seed)
        traffic.start()
        began = swapped = time.monotonic()
        while (now := time.monotonic()) - began < seconds:
            soaked.looks.append(look(service.pid, now - began))
            if models.store is not None and now - swapped >= swap_seconds:
                swap(Store(models.store))
                swapped, soaked.swaps = now, soaked.swaps + 1
            time.sleep(LOOK_SECONDS)
        traffic.stop()
        soaked.codes, soaked.wrong = dict(traffic.codes), traffic.wrong
        ended = service.outcomes()
        bugs = {code: n for code, n in ended.items() if code in ("Internal", "Unknown") and n}
        soaked.wrong += [f"the server counts {n} x {code}" for code, n in bugs.items()]
    return soaked


def look(pid: int, seconds: float) -> Look:
    """Return what a process holds."""
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    files, threads = (len(list((folder / part).iterdir())) for part in ("fd", "task"))
    return Look(seconds, 4096.0 * pages, files, threads)


def swap(store: Store) -> None:
    """Put the next version of every model in force."""
    for name in store.names():
        versions = store.versions(name)
        place = versions.index(store.current(name).version)
        store.promote(name, versions[(place + 1) % len(versions)])


def add_twin(store: Store, name: str) -> None:
    """Store the version in force once more, as of a day later."""
    stored = store.load(name)
    created = stored.manifest.created + timedelta(days=1)
    store.add(remade(Draft, stored.manifest, created=created), stored.arrays)


@click.command()
@click.option("--minutes", default=20.0, show_default=True)
@click.option("--rate", default=60.0, show_default=True, help="Calls and messages a second.")
@click.option("--seed", default=1, show_default=True)
def main(minutes: float, rate: float, seed: int) -> None:
    """Soak one server; exit with 1 where something grows or a call ends as none may."""
    with tempfile.TemporaryDirectory() as name:
        folder, shape = Path(name), prompts.Shape(16, 5)
        store = profiles.write_profiles(folder, [shape])
        add_twin(Store(store), prompts.model_name("profile", shape))
        papers = [one for one in prompts.write_papers(folder) if one.stem == "paper5"]
        soaked = soak(Models(papers, store), 60.0 * minutes, rate, SWAP_SECONDS, seed)
    for line in told(soaked):
        click.echo(line)
    if list(soaked.faults()):
        sys.exit(1)


def told(soaked: Soaked) -> Iterator[str]:
    """Yield what a soak showed, line by line."""
    last = soaked.looks[-1]
    calls = ", ".join(f"{n:,} {code}" for code, n in sorted(soaked.codes.items()))
    yield f"{last.seconds / 60:.1f} minutes, {soaked.swaps} swaps; {calls}"
    for place in np.linspace(0, len(soaked.looks) - 1, 11).astype(int).tolist():
        one = soaked.looks[place]
        yield (
            f"  {one.seconds:7.0f} s {one.resident_bytes / 2**20:7.1f} MiB "
            f"{one.files:4d} files {one.threads:4d} threads"
        )
    for name in ("resident_bytes", "files", "threads"):
        yield f"{name}: {soaked.growth(name):+.2%} after the warm-up"
    yield from soaked.faults()


if __name__ == "__main__":
    main()
