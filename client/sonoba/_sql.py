"""The query that reduces a table of labelled examples to their sums, in standard SQL."""

from collections.abc import Sequence
from itertools import combinations_with_replacement


def summary_query(
    columns: Sequence[str],
    target: str,
    table: str,
    group: str | None,
    point: Sequence[float],
    label_origin: float,
) -> str:
    """Return the query; point (d,) and label_origin are what values are measured from."""
    x = [f"x{j + 1}" for j in range(len(columns))]
    names = zip([*columns, target], [*point, label_origin], [*x, "y"], strict=True)
    inner = [_measured(name, origin, alias) for name, origin, alias in names]
    outer = ["count(*) AS example_count", *_sums(x)]
    present = " AND ".join(f"{alias} IS NOT NULL" for alias in [*x, "y"])
    grouping = ""
    if group is not None:
        inner.insert(0, f"{_quoted(group)} AS entity")
        outer.insert(0, "entity")
        grouping = "\nGROUP BY entity"
    rows = f"(SELECT {', '.join(inner)} FROM {table}) AS examples"
    return f"SELECT {', '.join(outer)}\nFROM {rows}\nWHERE {present}{grouping}"


def _sums(x: Sequence[str]) -> list[str]:
    terms = {"label_sum": "y", "label_square_sum": "y * y"}
    terms |= {f"sum_{a}": a for a in x}
    terms |= {f"product_{a}": f"{a} * y" for a in x}
    terms |= {f"moment_{a}_{b}": f"{a} * {b}" for a, b in combinations_with_replacement(x, 2)}
    return [f"sum({term}) AS {alias}" for alias, term in terms.items()]


def _measured(name: str, origin: float, alias: str) -> str:
    """Cast first: the product of two integers overflows in most databases."""
    value = f"CAST({_quoted(name)} AS DOUBLE PRECISION)"
    return f"{value} - ({float(origin)!r}) AS {alias}" if origin else f"{value} AS {alias}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
