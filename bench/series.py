"""`python -m bench.series`: how many series a server exposes, by models and their features.

A real server with a store of profiles is sent enough prompts for every gate, and its `/metrics` is
read as Prometheus reads it. docs/scaling.md has the figures.
"""

import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from rich.console import Console

import sonoba
from bench.serving.profiles import write_profiles
from bench.serving.prompts import Shape, model_name, schema
from bench.tables import titled
from model.document import remade
from model.manifest import Draft
from model.store import Store
from service.server import Server
from service.settings import Settings

PROMPTS = 250  # of each model: more than the gate's window, in whole blocks
ROWS = 16
WAIT_SECONDS = 60.0
STILL_LOOKS = 10  # with the same number of series


class Exposed(NamedTuple):
    """What one server exposes."""

    models: int
    features: int
    series: int
    drift_series: int  # those of monitoring among them
    byte_count: int
    scrape_ms: float


def named(store: Path, d: int, count: int) -> list[str]:
    """Store the profile of d features under more names, and return all."""
    first = model_name("profile", Shape(ROWS, d))
    known = Store(store).load(first)
    names = [first, *(f"model-{place}" for place in range(1, count))]
    for name in names[1:]:
        Store(store).save(remade(Draft, known.manifest, name=name), known.arrays)
    return names


def exposed(store: Path, names: Sequence[str], d: int) -> Exposed:
    """Serve a store, send prompts to each model, and read its metrics."""
    server = Server(Settings(grpc_port=0, metrics_port=0, store=str(store)))
    server.start()
    try:
        _send(server.grpc_port, names, d)
        return _read(server.metrics_port, len(names), d)
    finally:
        server.stop(0.0)


def _send(port: int, names: Sequence[str], d: int) -> None:
    rng = np.random.default_rng(0)
    with sonoba.Client(f"127.0.0.1:{port}", timeout=WAIT_SECONDS) as client:
        for name in names:
            for _ in range(PROMPTS):
                x = rng.normal(size=(ROWS, d))
                y = x @ rng.normal(size=d)
                client.predict(x, y, x[:1], model=name, columns=schema(d).names)


def _read(port: int, model_count: int, d: int) -> Exposed:
    """Return what is exposed once every gate is there and nothing is added any more."""
    ends, still, before = time.monotonic() + WAIT_SECONDS, 0, 0
    while True:
        body, scrape_ms = _scraped(port)
        lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
        gates = sum(line.startswith("sonoba_drift_gate{") for line in lines)
        still = still + 1 if gates >= 2 * model_count and len(lines) == before else 0
        if still >= STILL_LOOKS or time.monotonic() > ends:
            drift = sum(line.startswith("sonoba_drift_") for line in lines)
            return Exposed(model_count, d, len(lines), drift, len(body), scrape_ms)
        before = len(lines)
        time.sleep(0.5)


def _scraped(port: int) -> tuple[bytes, float]:
    """Return the metrics, and the milliseconds that they took."""
    began = time.perf_counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
        body = reply.read()
    return body, 1e3 * (time.perf_counter() - began)


@click.command()
@click.option("--models", multiple=True, type=int, default=(1, 5, 20), help="How many.")
@click.option("--features", multiple=True, type=int, default=(5, 20), help="Of each.")
def main(models: tuple[int, ...], features: tuple[int, ...]) -> None:
    """Count series of a server with some models of some features; about a minute."""
    table = titled(
        "What a server exposes",
        *("models", "features", "series", "of monitoring", "kB a scrape", "ms"),
    )
    for d in features:
        for count in models:
            with tempfile.TemporaryDirectory() as folder:
                store = write_profiles(Path(folder), [Shape(ROWS, d)])
                one = exposed(store, named(store, d, count), d)
            table.add_row(
                *(str(one.models), str(one.features), f"{one.series:,}", f"{one.drift_series:,}"),
                *(f"{one.byte_count / 1e3:.0f}", f"{one.scrape_ms:.0f}"),
            )
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    main()
