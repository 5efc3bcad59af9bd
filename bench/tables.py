"""Tables of a bench, as a person reads them."""

import io
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from bench.promises import Gate


def titled(title: str, *columns: str) -> Table:
    """Return an empty table, its first column to the left and the others to the right."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    return table


def held(gates: Iterable[Gate]) -> Table:
    """Return what was promised beside what was measured."""
    table = titled("Gates", "promise", "measured", "bound", "")
    for gate in gates:
        verdict = "[green]ok[/]" if gate.ok else "[bold red]MISSED[/]"
        table.add_row(gate.name, f"{gate.measured:.3g}", gate.bound, verdict)
    return table


def as_markdown(tables: Iterable[Table]) -> str:
    """Return tables as a document shows them, each below its title."""
    text = io.StringIO()
    console = Console(file=text, width=1000, color_system=None)
    for table in tables:
        title, table.title, table.box = table.title, None, box.MARKDOWN
        console.print(f"### {title}\n", table, sep="\n")
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    kept = (line for i, line in enumerate(lines) if line or (i and lines[i - 1]))
    return "\n".join(kept).rstrip("\n") + "\n"
