"""How long a long history takes: `sonoba pretrain` of a table made here, as CSV and as Parquet.

A row is 20 columns beside its group: 16 numbers (one with gaps), a flag, a category, a date that
orders the rows, and the label. The promise is about reading, which reduces the rows to sums and a
sample of each group; what follows takes as long for any number of rows.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import duckdb
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.serving.servers import ROOT

READ_GATE_SECONDS = 20.0
MEMORY_GATE_MB = 1500.0
NUMBERS, GROUPS = 15, 1000
GROUP_ROWS_MIN = 12  # fewer are no history of a group

ROWS = """
    WITH drawn AS (
        SELECT i // {each} AS store, i % {each} AS day,
            {numbers},
            CASE WHEN random() > 0.02 THEN round(100 * random(), 3) END AS load,
            CAST(random() < 0.3 AS INTEGER) AS promo,
            ['red', 'green', 'blue'][1 + CAST(floor(3 * random()) AS INTEGER)] AS colour
        FROM range({rows}) AS numbers(i))
    SELECT * REPLACE (DATE '2020-01-01' + CAST(day AS INTEGER) AS day),
        round(2 * x0 - x3 + (1 + 0.2 * (store % 5)) * x2 + 3 * promo + random(), 4) AS sold
    FROM drawn"""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """One run of the command."""

    kind: str
    row_count: int
    file_mb: float
    read_seconds: float  # from the start of the process until the rows are reduced
    read_processor_seconds: float
    whole_seconds: float  # until the profile is stored, its errors told
    processor_seconds: float
    peak_mb: float

    @property
    def ok(self) -> bool:
        """Whether the promise is kept."""
        return self.read_seconds <= READ_GATE_SECONDS and self.peak_mb <= MEMORY_GATE_MB


def write_history(
    folder: Path, row_count: int, group_count: int = GROUPS, number_count: int = NUMBERS
) -> list[Path]:
    """Write the same table as CSV and as Parquet; groups of equal size."""
    paths = [folder / "history.csv", folder / "history.parquet"]
    with duckdb.connect() as connection:
        connection.execute("SELECT setseed(0.5)")
        numbers = ", ".join(f"round(10 * random(), 4) AS x{j}" for j in range(number_count))
        each = max(row_count // group_count, 1)
        rows = ROWS.format(rows=row_count, each=each, numbers=numbers)
        connection.execute(f"CREATE TABLE history AS {rows}")
        for path, form in zip(paths, ("csv, header", "parquet"), strict=True):
            connection.execute(f"COPY history TO '{path}' (FORMAT {form})")
    return paths


def measure(history: Path, row_count: int) -> Pretrained:
    """Run the command on a file and return what it took; raise where it fails."""
    roles = ["--group", "store", "--target", "sold", "--order", "day", "--name", history.suffix[1:]]
    store = ["--store", str(history.with_name("store"))]
    command = [sys.executable, "-m", "service.cli", "pretrain", str(history), *roles, *store]
    paths = os.pathsep.join(str(path) for path in (ROOT, ROOT / "client"))
    begun, read = time.perf_counter(), (float("nan"), float("nan"))
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("read "):
                read = time.perf_counter() - begun, machine.cpu_seconds(process.pid)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    whole_seconds = time.perf_counter() - begun
    if process.returncode:
        raise RuntimeError(f"{history.name}: expected status 0, got {process.returncode}")
    file_mb, peak_mb = history.stat().st_size / 1e6, used.ru_maxrss * 1024 / 1e6
    times = *read, whole_seconds, used.ru_utime + used.ru_stime
    return Pretrained(history.suffix[1:], row_count, file_mb, *times, peak_mb)


def show(runs: list[Pretrained]) -> None:
    """Print the runs beside their promises."""
    seconds = "s to read", "of a processor", "s in all", "of a processor"
    table = Table("file", "rows", "MB", *seconds, "peak MB", "")
    for run in runs:
        read, whole = run.read_seconds, run.whole_seconds
        taken = read, run.read_processor_seconds, whole, run.processor_seconds
        numbers = [f"{run.file_mb:.0f}", *(f"{s:.1f}" for s in taken), f"{run.peak_mb:.0f}"]
        table.add_row(run.kind, f"{run.row_count:,}", *numbers, "ok" if run.ok else "MISSED")
    console = Console(width=100)
    console.print(table)
    console.print(
        f"promise: {READ_GATE_SECONDS:.0f} s to read, {MEMORY_GATE_MB:.0f} MB at the peak"
    )


@click.command()
@click.option("--rows", type=click.IntRange(min=1), default=1_000_000, show_default=True)
@click.option("--groups", type=click.IntRange(min=1), default=GROUPS, show_default=True)
@click.option("--numbers", type=click.IntRange(min=4), default=NUMBERS, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/pretraining.json"))
@click.option("--gate", is_flag=True, help="Exit with 1 when the promise is broken.")
def main(rows: int, groups: int, numbers: int, out: Path, gate: bool) -> None:
    """Print how long `sonoba pretrain` takes on a long history, and how much memory."""
    if rows < GROUP_ROWS_MIN * groups:
        least = GROUP_ROWS_MIN * groups
        raise click.BadParameter(f"expected at least {least}, {GROUP_ROWS_MIN} a group, got {rows}")
    with tempfile.TemporaryDirectory() as folder:
        paths = write_history(Path(folder), rows, groups, numbers)
        runs = [measure(path, rows) for path in paths]
    show(runs)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([asdict(run) for run in runs], indent=2) + "\n")
    if gate and not all(run.ok for run in runs):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
