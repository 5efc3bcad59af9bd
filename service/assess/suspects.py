"""A fault that the sample shows, and its rows counted in the whole file: all faults in one scan."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from service.assess.findings import QualityFinding, Weight
from service.assess.sample import Looked

Detail = Mapping[str, str | float | int]

NEVER = 2.0
EXAMPLES, LONGEST_EXAMPLE = 5, 80
HEADER_ROWS = 1  # a spreadsheet counts the heading as row 1


@dataclass(frozen=True, slots=True)
class Suspect:
    """A fault whose rows a condition tells."""

    code: str
    columns: tuple[str, ...]
    condition: str  # SQL over t<i>, v<i>
    text: str = ""  # SQL of an example; empty: none are shown
    first: str = "r"  # SQL of what examples are ordered by, the smallest first
    repair_from: float = 0.0  # share of the rows
    least: float = 0.0  # share of the rows: of fewer nothing is said
    detail: Detail = field(default_factory=dict)


def confirmed(looked: Looked, suspects: Sequence[Suspect]) -> Iterator[QualityFinding]:
    """Yield the suspects that rows of the whole file bear out, with their count and examples."""
    for start in range(0, len(suspects), 40):
        some = suspects[start : start + 40]
        parts = [part for suspect in some for part in _asked(suspect)]
        cells = looked.whole.row(f"SELECT {', '.join(parts)} FROM {looked.whole.rows}")
        for place, suspect in enumerate(some):
            count, row, texts = cells[3 * place : 3 * place + 3]
            rows = int(str(count))
            if rows and rows >= suspect.least * looked.whole_count:
                shown = [str(text) for text in texts] if isinstance(texts, list) else []
                yield _finding(suspect, rows, int(str(row)), shown, looked.whole_count)


def _asked(suspect: Suspect) -> Iterator[str]:
    only = f"FILTER (WHERE {suspect.condition})"
    yield f"count(*) {only}"
    yield f"min(r) {only}"
    yield f"arg_min({suspect.text}, {suspect.first}, 20) {only}" if suspect.text else "NULL"


def _finding(
    suspect: Suspect, rows: int, first_row: int, texts: Sequence[str], whole: int
) -> QualityFinding:
    share = rows / whole
    weight, examples = weighed(share, suspect.repair_from), shown(texts)
    detail = {**suspect.detail, "share": share, "row": first_row + HEADER_ROWS}
    return QualityFinding(suspect.code, weight, suspect.columns, rows, examples, detail)


def weighed(share: float, repair_from: float) -> Weight:
    """Return what a fault weighs: to repair where its share is so large."""
    return "repair" if share >= repair_from else "know"


def shown(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the first different texts, long ones cut."""
    cut = [t if len(t) <= LONGEST_EXAMPLE else f"{t[: LONGEST_EXAMPLE - 1]}…" for t in texts]
    return tuple(dict.fromkeys(cut))[:EXAMPLES]
