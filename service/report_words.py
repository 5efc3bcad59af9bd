"""How a report speaks: one voice for each language, and how it writes numbers and times."""

from datetime import UTC, datetime

from service.report_codes import CODES
from service.report_labels import LABELS
from service.report_sentences import SENTENCES
from service.status_page import LANGUAGES
from service.words import Words

TEXTS = SENTENCES | LABELS | CODES  # key → (English, Japanese)
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
MINUTE = 60
UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))  # seconds, the key of its word
UNKNOWN = "–"


class Voice:
    """Says every text of a report in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._place = LANGUAGES.index(language)

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its values; a key that is not there is a KeyError."""
        return self.pick(TEXTS[key]).format(**values)

    def code(self, kind: str, code: str) -> str:
        """Return the words of a code such as a verdict; of one that has none, the code itself."""
        key = f"{kind}_{code}"
        return self(key) if key in TEXTS else code

    def of(self, words: Words) -> str:
        """Return a sentence that came with the report."""
        return words.ja if self.language == "ja" else words.en

    def number(self, value: float | None) -> str:
        """Return an error or a ratio, as a reader compares them.

        >>> [Voice("en").number(value) for value in (0.951, 7.6, 71.26, 12345.6, None)]
        ['0.95', '7.60', '71.3', '12,346', '–']
        """
        if value is None:
            return UNKNOWN
        size = abs(value)
        return f"{value:,.{2 if size < 10 else 1 if size < 100 else 0}f}".replace("-", "−")

    def quantity(self, value: float, digits: int) -> str:
        """Return a value in the caller's unit with some digits behind the point.

        >>> say = Voice("en")
        >>> [say.quantity(*it) for it in ((71.26, 1), (12345.6, 0), (-0.001, 2), (-2.5e-9, 10))]
        ['71.3', '12,346', '0.00', '−2.5e-09']
        """
        text = f"{value:,.{digits}f}" if digits < 8 and abs(value) < 1e9 else f"{value:.3g}"
        is_below = text.startswith("-") and text.strip("-0.,") != ""
        return f"−{text[1:]}" if is_below else text.removeprefix("-")

    def percent(self, value: float | None) -> str:
        """Return a share in whole percent."""
        return UNKNOWN if value is None else f"{value:.0%}".replace("-", "−")

    def hundredths(self, value: float) -> str:
        """Return a share in whole percent without the sign, as an interval's end has it."""
        return f"{100 * value:.0f}".replace("-", "−")

    def count(self, value: int) -> str:
        """Return a whole number."""
        return f"{value:,}"

    def rule(self, name: str, value: str | float | bool | None) -> str:
        """Return the value of a business rule; a name that ends in seconds tells a duration.

        >>> say = Voice("en")
        >>> say.rule("calm_seconds", 1800.0), say.rule("roll_back", "auto"), say.rule("gain", 0.05)
        ('30 min', 'auto', '0.05')
        """
        if isinstance(value, bool):
            return self("yes" if value else "no")
        if value is None or isinstance(value, str):
            return value or UNKNOWN
        is_duration = name.removesuffix("_max").endswith("_seconds")
        return self.duration(value) if is_duration and value else f"{value:,g}"

    def pick(self, pair: tuple[str, str]) -> str:
        """Return the text of a pair."""
        return pair[self._place]

    def clock(self, moment: datetime | None) -> str:
        """Return a moment to the second, UTC, as tables have it."""
        return UNKNOWN if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"

    def time(self, moment: datetime | None) -> str:
        """Return a moment to the minute, UTC."""
        if moment is None:
            return UNKNOWN
        utc = moment.astimezone(UTC)
        if self.language == "ja":
            return f"{utc.year}年{utc.month}月{utc.day}日 {utc:%H:%M} (UTC)"
        return f"{utc.day} {MONTHS[utc.month - 1]} {utc.year}, {utc:%H:%M} UTC"

    def duration(self, seconds: float) -> str:
        """Return a length of time in its two largest units.

        >>> [Voice("en").duration(seconds) for seconds in (0.4, 70, 7260, 200_000)]
        ['0.4 s', '1 min 10 s', '2 h 1 min', '2 d 7 h']
        """
        if seconds < MINUTE:
            return self("second", count=f"{seconds:.2g}")
        for place, (unit, key) in enumerate(UNITS):
            if seconds >= unit:
                rest, small = int(seconds % unit), UNITS[place + 1 :][:1]
                parts = [self(key, count=int(seconds // unit))]
                parts += [
                    self(k, count=rest // u) for u, k in small or [(1, "second")] if rest // u
                ]
                return " ".join(parts)
        raise AssertionError("longer than a minute")
