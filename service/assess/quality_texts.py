"""Faults of texts: numbers with units, one thing spelt in two ways, sums among the rows, rare ones.

Only columns that became categories are looked at, and the group: the reader refuses other texts.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from model.features import Category
from service.assess.sample import Looked
from service.assess.suspects import NEVER, Detail, Suspect
from service.history_columns import Source
from service.history_scan import quoted
from service.written_numbers import mark_of

MOST_LEVELS, MOST_LISTED = 20_000, 300
MOSTLY = 0.8  # of the rows with a value
FEWEST_NUMBERS = 3  # different ones, so that a class such as "2 rooms" alone is none
RARE_FROM = 0.1  # share of the rows that became "any other"

TOTALS = {"total", "totals", "grand total", "subtotal", "sub total", "sub-total", "sum"}
TOTALS |= {"合計", "総計", "小計", "総合計", "計", "全体計"}
UNKNOWN = {"unknown", "n/a", "#n/a", "na", "nan", "null", "?", "-", "--", "missing", "tbd", "blank"}
UNKNOWN |= {
    "(blank)",
    "not available",
    "不明",
    "未定",
    "未入力",
    "該当なし",
    "データなし",
    "(空白)",
}

Levels = Sequence[tuple[str, int]]


def text_suspects(looked: Looked, sources: Sequence[Source]) -> Iterator[Suspect]:
    """Yield what the sample shows of categories and of the group."""
    for source in sources:
        if isinstance(source, Category):
            text, levels = _levels(looked, source.name)
            yield from _numbers(source.name, text, levels)
            yield from _rare(source, text, levels)
            yield from _words(source.name, text, levels, "missing_word", UNKNOWN, NEVER)
    names = [source.name for source in sources if isinstance(source, Category)]
    for name in (*names, looked.roles.group):
        text, levels = _levels(looked, name)
        yield from _spellings(name, text, levels)
        yield from _words(name, text, levels, "total_rows", TOTALS, 0.0)


def _levels(looked: Looked, name: str) -> tuple[str, Levels]:
    """Return the SQL of a column's text, and its texts with their rows, the frequent first."""
    text = f"t{looked.rows.index(name)}"
    found = looked.list(
        f"SELECT {text}, count(*) AS n FROM {looked.rows.rows} WHERE {text} IS NOT NULL "
        f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST_LEVELS}"
    )
    return text, [(str(level), int(str(rows))) for level, rows in found]


def _numbers(name: str, text: str, levels: Levels) -> Iterator[Suspect]:
    """Yield a column whose texts are numbers, all with the same thing in the way."""
    marks = {level: mark for level, _ in levels if (mark := mark_of(level))}
    rows: Counter[object] = Counter()
    for level, count in levels:
        if level in marks:
            mark = marks[level]
            rows[mark if mark.kind == "unit" else mark.kind] += count
    if not rows:
        return
    common, count = rows.most_common(1)[0]
    of = [level for level, m in marks.items() if common in (m, m.kind)]
    if len(of) < FEWEST_NUMBERS or count < MOSTLY * sum(n for _, n in levels):
        return
    detail = {"kind": marks[of[0]].kind, "mark": marks[of[0]].letters}
    yield Suspect("number_as_text", (name,), among(text, of), text, detail=detail)


def _rare(source: Category, text: str, levels: Levels) -> Iterator[Suspect]:
    kept = {*source.levels, *([source.base] if source.base is not None else [])}
    if rare := [level for level, _ in levels if level not in kept]:
        condition = f"{text} IS NOT NULL AND NOT {among(text, sorted(kept))}"
        detail = {"levels": len(rare), "kept": len(kept)}
        yield Suspect(
            *("rare_levels", (source.name,), condition, text),
            repair_from=NEVER,
            least=RARE_FROM,
            detail=detail,
        )


def _spellings(name: str, text: str, levels: Levels) -> Iterator[Suspect]:
    """Yield texts that differ in upper case, spaces or full width only; the frequent is right."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for level, _ in levels:
        if len(key := plain(level)) > 1:
            alike[key].append(level)
    several = [spellings for spellings in alike.values() if len(spellings) > 1]
    if several:
        rarer = [spelling for spellings in several for spelling in spellings[1:]]
        detail: Detail = {"first": several[0][0], "second": several[0][1], "count": len(rarer)}
        every = [spelling for spellings in several for spelling in spellings]
        order = f"list_position([{', '.join(map(quoted, every[:MOST_LISTED]))}], {text})"
        yield Suspect("spelling", (name,), among(text, rarer), text, order, detail=detail)


def _words(
    name: str, text: str, levels: Levels, code: str, words: set[str], repair_from: float
) -> Iterator[Suspect]:
    if of := [level for level, _ in levels if plain(level) in words]:
        detail = {"word": of[0]}
        yield Suspect(code, (name,), among(text, of), text, repair_from=repair_from, detail=detail)


def plain(text: str) -> str:
    """Return a text in lower case, half width, with single spaces.

    >>> plain(" Ｔｏｋｙｏ\u3000 West")
    'tokyo west'
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def among(text: str, levels: Sequence[str]) -> str:
    """Return the SQL that tells whether a text is one of some."""
    return f"({text} IN ({', '.join(map(quoted, levels[:MOST_LISTED]))}))"
