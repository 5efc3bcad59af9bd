"""`python -m bench.serving`: measures every part or the named ones, prints tables and gates."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy loads: as the service does

from bench.serving.run import PARTS, run
from bench.tables import as_markdown


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([part.name for part in PARTS]))
@click.option("--quick", is_flag=True, help="Look briefly: tries the bench, proves nothing.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/bench.json"))
@click.option("--gate", is_flag=True, help="Exit with 1 when a gate is missed.")
def main(names: Sequence[str], quick: bool, out: Path, gate: bool) -> None:
    """Measure speed and memory: every part (about 15 minutes, --quick two), or those named."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    report = run(names, quick, console)
    tables = report.tables
    for table in tables:
        console.print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n")
    out.with_suffix(".md").write_text(as_markdown(tables))
    for sentence in report.lost:
        console.print(sentence)
    counted = f"{report.answered_ok:,} of {report.sent:,} calls answered OK"
    console.print(f"{counted}; wrote {out} and .md beside it")
    if gate and not all(one.ok for one in report.gates):
        sys.exit(1)


if __name__ == "__main__":
    main()
