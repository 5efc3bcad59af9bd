"""How an assessment speaks: its codes as sentences, its numbers with their units, two languages.

A code that has no words is shown as it is. Backticks stand around what the page sets apart: names
of columns, and commands.
"""

import math
from collections.abc import Mapping

from service.assess.findings import (
    Accuracy,
    Argument,
    Assessment,
    Bounds,
    Change,
    ColumnFound,
    Offer,
    QualityFinding,
    WorstGroup,
)
from service.assess.sentences import LABELS
from service.assess.sentences_changes import (
    ABOUT,
    ALERTS,
    CHANGES,
    SEVERITIES,
    STEADINESS,
    STRENGTHS,
    WORST,
)
from service.assess.sentences_decision import ARGUMENTS, CHOICES, TOLD, WATCH
from service.assess.sentences_fixes import FIXES
from service.assess.sentences_quality import FOUND
from service.report_words import TEXTS as REPORT
from service.report_words import UNKNOWN, Voice

Detail = Mapping[str, str | float | int]
Pair = tuple[str, str]


def _under(kind: str, texts: Mapping[str, Pair]) -> dict[str, Pair]:
    return {f"{kind}_{code}": pair for code, pair in texts.items()}


TEXTS: dict[str, Pair] = {  # a code's key is its kind, an underscore and itself
    **REPORT,
    **LABELS,
    **CHOICES,
    **TOLD,
    **_under("quality", FOUND),
    **_under("fix", FIXES),
    **_under("worst", WORST),
    **_under("steady", STEADINESS),
    **_under("change", CHANGES),
    **_under("strength", STRENGTHS),
    **_under("about", ABOUT),
    **_under("alert", ALERTS),
    **_under("severity", SEVERITIES),
    **_under("argument", ARGUMENTS),
    **_under("watch", WATCH),
}
SHARES = {"share", "explained", "saves", "covered", "alerted", "refused", "left", "level"} | {
    *("moved", "moved_mostly", "coverage"),
}
IN_COLUMN = {
    "usual",
    "spread",
    "value",
    "low",
    "high",
    "farthest",
    "small",
    "large",
    "middle",
    "before",
    "after",
}
IN_TARGET = {"noise", "usual_noise", "label_spread", "usual_label_spread"}
FEW_DIGITS = 4  # from so many behind the first on, thousands are set apart
LONG_NAME = 28  # letters of the target, where it stands for a unit


class Speaker(Voice):
    """Says every text of an assessment in one language."""

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its values; a key that is not there is a KeyError."""
        return self.pick(TEXTS[key]).format(**values)

    def code(self, kind: str, code: str) -> str:
        """Return the words of a code; of one that has none, the code itself."""
        key = f"{kind}_{code}"
        return self.pick(TEXTS[key]) if key in TEXTS else code

    def number(self, value: float | None) -> str:
        """Return an error or a ratio; a dash for one that was not measured."""
        return UNKNOWN if value is None or not math.isfinite(value) else super().number(value)

    def figure(self, value: float | None) -> str:
        """Return a number to three digits.

        >>> say = Speaker("en")
        >>> [say.figure(v) for v in (0.0123, 5.0, -12.345, 1234.5, 2.5e7, 1e-7, float("nan"))]
        ['0.0123', '5', '−12.3', '1234', '25,000,000', '1e-07', '–']
        """
        if value is None or not math.isfinite(value):
            return UNKNOWN
        size = math.floor(math.log10(abs(value))) if value else 0
        text = self.quantity(value, max(0, 2 - size))
        if size < FEW_DIGITS:  # a year has no separator
            text = text.replace(",", "")
        return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text

    def measure(self, value: float | None, unit: str) -> str:
        """Return a number with its unit."""
        text = self.figure(value)
        return f"{text} {unit}" if unit and text != UNKNOWN else text

    def of_target(self, value: float | None, target: ColumnFound) -> str:
        """Return a number in the target's unit; where none was told, with the target's name."""
        if target.unit:
            return self.measure(value, target.unit)
        name = target.name if len(target.name) <= LONG_NAME else target.name[:LONG_NAME] + "…"
        text = self.figure(value)
        return text if text == UNKNOWN else f"{text} ({name})"

    def share(self, value: float | None) -> str:
        """Return a share in percent, with a digit more where it is small.

        >>> [Speaker("en").share(value) for value in (0.0, 0.0004, 0.012, 0.34, 1.0)]
        ['0%', '<0.1%', '1.2%', '34%', '100%']
        """
        if value is None or not math.isfinite(value):
            return UNKNOWN
        if 0 < value < 0.0005:
            return "<0.1%"
        return f"{value:.1%}".replace(".0%", "%") if value < 0.0995 else f"{value:.0%}"

    def hundredths(self, value: float) -> str:
        """Return a share in whole percent without the sign; never a negative nothing."""
        if not math.isfinite(value):
            return UNKNOWN
        return super().hundredths(value if abs(value) > 0.005 else 0.0)

    def gap(self, ratio: Bounds) -> str:
        """Return how much smaller or larger an error is than another, from their ratio.

        >>> Speaker("en").gap(Bounds(0.34, 0.29, 0.4)), Speaker("ja").gap(Bounds(1.2, 1.1, 1.34))
        ('66% smaller (60 to 71%)', '20% 増（10〜34%）')
        """
        if not math.isfinite(ratio.value):
            return UNKNOWN
        key, ends = "gap_less", (1 - ratio.high, 1 - ratio.low)
        if ratio.value > 1:
            key, ends = "gap_more", (ratio.low - 1, ratio.high - 1)
        low, high = (self.hundredths(end) for end in ends)
        mean = self.percent(abs(1 - ratio.value))
        if mean == "0%":
            key = "gap_same"
        return self(key, mean=mean, low=low, high=high)

    def gap_alone(self, ratio: Bounds) -> str:
        """Return the same without its bounds, where a picture shows them."""
        text = self.percent(abs(1 - ratio.value)) if math.isfinite(ratio.value) else UNKNOWN
        if text in (UNKNOWN, "0%"):
            return self("same") if text == "0%" else text
        return self("less_alone" if ratio.value < 1 else "more_alone", mean=text)

    def times(self, ratio: Bounds) -> str:
        """Return how many times as large an error became, with its bounds."""
        low, high = self.number(ratio.low), self.number(ratio.high)
        if not math.isfinite(ratio.value):
            return self("unanswered")
        return self("times", value=self.number(ratio.value), low=low, high=high)


def quoted(names: tuple[str, ...], say: Voice) -> str:
    """Return names set apart and joined."""
    return say("separator").join(f"`{name}`" for name in names)


def units(offer: Offer) -> dict[str, str]:
    """Return the unit of every column and of the target."""
    return {one.name: one.unit for one in (*offer.columns, offer.target)}


def told(detail: Detail, say: Speaker, unit: str = "", target: str = "") -> dict[str, str]:
    """Return a finding's detail as words: shares in percent, values with their unit."""
    return {key: _word(key, value, say, unit, target) for key, value in detail.items()}


def _word(key: str, value: str | float | int, say: Speaker, unit: str, target: str) -> str:
    if isinstance(value, str):
        return f"`{value}`" if key in ("column", "columns") and value else value
    if key in SHARES:
        return say.share(value)
    if key == "correlation":
        return f"{value:.4g}".replace("-", "−")
    if key in IN_COLUMN:
        return say.measure(value, unit)
    if key in IN_TARGET:
        return say.measure(value, target)
    return say.count(value) if isinstance(value, int) else say.figure(value)


def quality_words(found: QualityFinding, offer: Offer, say: Speaker) -> tuple[str, str]:
    """Return what was found, and the fix."""
    unit = units(offer).get(found.columns[0], "") if found.columns else ""
    values = told(found.detail, say, unit)
    names = quoted(found.columns, say)
    values |= {"column": quoted(found.columns[:1], say), "columns": names}
    values["row_count"] = say.count(found.row_count)
    variant = found.code
    if "kind" in found.detail:
        variant = f"{found.code}_{found.detail['kind']}"
    elif found.code == "sentinel" and found.detail.get("value") == "0":
        variant = "sentinel_zero"
    elif found.code == "leak" and not found.detail.get("is_copy", 1):
        variant = "leak_near"
    return _said("quality", variant, values, say), say.code("fix", found.code)


def worst_words(worst: WorstGroup, offer: Offer, say: Speaker) -> str:
    """Return why a group's error is large."""
    detail, target = dict(worst.detail), offer.target
    is_target = detail.get("part") == "target"
    unit = target.unit if is_target else units(offer).get(str(detail.get("column", "")), "")
    parts = (str(detail[key]) for key in ("part", "direction", "cause") if key in detail)
    values = told(detail, say, unit, target.unit)
    return _said("worst", "_".join((worst.code, *parts)), values, say)


def change_words(change: Change, say: Speaker) -> tuple[str, str]:
    """Return the kind of a change, and its strength with the column."""
    values = {
        "factor": say.figure(change.strength),
        "share": say.share(change.strength),
        "count": say.count(round(change.strength)),
        "column": say("separator").join(change.columns),
    }
    key = f"strength_{change.code}"
    strength = say(key, **values) if key in TEXTS else say.figure(change.strength)
    return say.code("change", change.code), strength


def argument_words(one: Argument, made: Assessment, say: Speaker) -> str:
    """Return the sentence of an argument."""
    detail = dict(one.detail)
    values = told(detail, say)
    ends = "low", "high"
    if "ratio" in detail:
        bounds = Bounds(*(float(detail.get(key, math.nan)) for key in ("ratio", *ends)))
        values |= {"gap": say.gap(bounds)} | {
            key: say.number(float(detail[key])) for key in ("ratio", *ends) if key in detail
        }
    if "covered" in detail:
        values |= {key: say.share(float(detail[key])) for key in ends if key in detail}
    if "method" in detail:
        values["method"] = say.code("method", str(detail["method"]))
    if one.code == "silent_harm":
        values["change"] = _silent(detail, say)
    return _said("argument", one.code, values, say)


def group_name(worst: WorstGroup, offer: Offer) -> str:
    """Return the name of a group behind the column that tells groups apart."""
    return f"{offer.group} {worst.name}"


def watch_words(code: str, made: Assessment, say: Speaker) -> str:
    """Return the sentence of something to watch."""
    limits = made.decision.limits
    values = {
        "coverage": say.share(limits.coverage),
        "examples": say.count(limits.example_count_min),
    }
    return _said("watch", code, values, say)


def main_accuracy(made: Assessment) -> Accuracy | None:
    """Return the accuracy at the number of examples that the decision is about."""
    known = made.stability.accuracy
    same = [one for one in known if one.example_count == made.decision.cost.example_count]
    return next(iter((*same, *known[-1:])), None)


def _silent(detail: dict[str, str | float | int], say: Speaker) -> str:
    names = str(detail.get("columns", ""))
    kind = say.code("change", str(detail["code"]))
    return f"{kind} (`{names}`)" if names else kind


def _said(kind: str, code: str, values: Mapping[str, str], say: Speaker) -> str:
    key = f"{kind}_{code}"
    return say(key, **values) if key in TEXTS else code
