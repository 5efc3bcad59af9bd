"""Tables of a bench, as a person reads them."""

from collections.abc import Iterable

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
