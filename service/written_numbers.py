"""Numbers as people write them and no program reads them: with a unit, separators, full width."""

import re
import unicodedata
from typing import Literal, NamedTuple

Written = Literal["unit", "currency", "thousands", "decimal_comma", "full_width", "negative"]

_PLAIN = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_GROUPED = r"\d{1,3}(?:[,' \u00a0\u202f]\d{3})+(?:\.\d+)?"
_NUMBER = rf"[-+]?(?:{_GROUPED}|{_PLAIN})"


class Mark(NamedTuple):
    """What keeps a text from being a number: its kind, and the letters that do it."""

    kind: Written
    letters: str

    @property
    def advice(self) -> str:
        """What to do about it, to follow a colon."""
        return {
            "unit": f"take the unit {self.letters!r} out of the cells, into the column's name",
            "currency": f"take {self.letters!r} out of the cells, into the column's name",
            "thousands": f"write numbers without the thousands separator {self.letters!r}",
            "decimal_comma": "write decimals with a point, not with a comma",
            "full_width": "write digits half-width (1, not １)",
            "negative": f"write a minus, not {self.letters!r}",
        }[self.kind]


def mark_of(text: str) -> Mark | None:
    """Return what keeps a text from being a number; None of a number and of any other text.

    >>> mark_of("12.5 kg"), mark_of("1,234").kind, mark_of("12,5").kind, mark_of("▲30").kind
    (Mark(kind='unit', letters='kg'), 'thousands', 'decimal_comma', 'negative')
    >>> mark_of("12.5"), mark_of("Tokyo"), mark_of("3-4 rooms")
    (None, None, None)
    """
    text = text.strip()
    if re.fullmatch(rf"[-+]?{_PLAIN}", text, re.ASCII):
        return None
    if found := re.fullmatch(rf"[-+]?{_GROUPED}", text, re.ASCII):
        return Mark("thousands", re.search(r"[,' \u00a0\u202f]", text)[0])  # type: ignore[index]
    if re.fullmatch(r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+", text, re.ASCII):
        return Mark("decimal_comma", ",")
    if found := re.fullmatch(rf"([▲△])\s*{_NUMBER}|\({_NUMBER}\)", text, re.ASCII):
        return Mark("negative", found[1] or "( )")
    if found := re.fullmatch(rf"[-+]?([¥￥$€£₩]|US\$|JPY|USD|EUR)\s?{_NUMBER}", text, re.ASCII):
        return Mark("currency", found[1])
    if found := re.fullmatch(rf"{_NUMBER}\s?([^\d\s,.;:/'-][^\d,;:/-]{{0,11}})", text, re.ASCII):
        return Mark("unit", found[1].strip())
    plain = unicodedata.normalize("NFKC", text)
    if plain != text and re.fullmatch(rf"{_NUMBER}", plain, re.ASCII):
        return Mark("full_width", text)
    return None


def advice_on(text: str | None) -> str:
    """Return what to do about a text that should be a number; empty where nothing is known."""
    if text is None:
        return ""
    if text.startswith("#"):  # #N/A, #DIV/0!, #REF!
        return "empty the cells with an error of the spreadsheet"
    mark = mark_of(text)
    return mark.advice if mark else ""
