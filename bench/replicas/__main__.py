"""`python -m bench.replicas`: two replicas shared, restarted, replaced, killed, added, taken away.

Real servers at addresses of their own on loopback, behind a DNS name whose meaning changes as that
of a headless Service does; callers by the SDK, by plain gRPC and through the real Envoy, all at
once. Each caller asks a model of its own, so that the servers' own counters tell who got whom.
"""

import json
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from bench import machine
from bench.promises import plain
from bench.replicas.findings import findings, gates, table
from bench.replicas.sessions import SHORT, Plan, beside, short
from bench.tables import held


@click.command()
@click.option("--repetitions", default=5, help="Of the trials that promise something.")
@click.option("--short", "is_short", is_flag=True, help="As tests do: once, and only those.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/replicas.json"))
@click.option("--gate", is_flag=True, help="Exit with 1 when a promise is not kept.")
def main(repetitions: int, is_short: bool, out: Path, gate: bool) -> None:
    """Show what callers notice of replicas that come and go; about 13 minutes, 1 if short."""
    console, rows, begun = Console(width=None if sys.stdout.isatty() else 170), [], time.monotonic()
    plan = SHORT if is_short else Plan()
    for _ in range(1 if is_short else repetitions):
        rows += short(plan)
        console.print(f"{time.monotonic() - begun:.0f} s, {len(rows)} rows", style="dim")
    if not is_short:
        rows += beside(plan)
    found = findings(rows)
    promised = gates(found, plan)
    console.print(table(found), held(promised))
    out.parent.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine.describe(), "rows": plain(rows), "gates": plain(promised)}
    out.write_text(json.dumps(report, indent=1) + "\n")
    if gate and not all(one.ok for one in promised):
        sys.exit(1)


if __name__ == "__main__":
    main()
