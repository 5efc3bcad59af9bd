"""What the pictures of a report show, in one language: the rows, the axes and the words."""

import math
from collections.abc import Sequence

from monitoring.levels import CRITICAL
from service.findings import BoundsTold, CandidateTold, FeatureTold, LevelTold
from service.report import Report
from service.report_plot import Axis, Bounds, Line, Moved, Row, intervals, moved, ticks
from service.report_words import UNKNOWN, Voice

SHOWN_COLUMNS = 8  # in the picture; the table has all
ERROR_MIN, GAIN_MIN = 2.4, -1.0  # the error axis reaches at least, the gain axis at most, this far


def pictures(report: Report, say: Voice) -> dict[str, str]:
    """Return the SVG of each picture; empty where there is nothing to draw."""
    return {
        "moved": _moved(report, say),
        "cost": _cost(report, say),
        "compared": _compared(report, say),
    }


def shown(features: Sequence[FeatureTold]) -> list[FeatureTold]:
    """Return the columns of the picture, the most harmful first, then what moved most."""
    known = sorted(features, key=lambda one: (-(one.share or 0.0), -abs(distance(one) or 0.0)))
    return known[:SHOWN_COLUMNS]


def has_shares(report: Report) -> bool:
    """Return whether it is known how much of the harm each column does."""
    features = report.findings.features if report.findings else ()
    return any(one.share is not None for one in features)


def distance(feature: FeatureTold) -> float | None:
    """Return how far the window's mean lies from the reference's, reference deviations."""
    if feature.reference_deviation <= 0:
        return None
    return (feature.window_mean - feature.reference_mean) / feature.reference_deviation


def bounds_of(level: LevelTold) -> BoundsTold:
    """Return both ends of a level; its bound rests on a normal law, so they are alike."""
    upper = 2 * level.mean - level.lower
    return BoundsTold(mean=level.mean, lower=level.lower, upper=upper)


def spread(say: Voice, mean: float, deviation: float, unit: str) -> str:
    """Return mean ± standard deviation with its unit, to two digits of the deviation."""
    digits = 1 - math.floor(math.log10(deviation or abs(mean) or 1.0))
    values = (say.quantity(value, max(0, digits)) for value in (mean, deviation))
    return f"{' ± '.join(values)}{f' {unit}' if unit else ''}"


def stages(report: Report) -> list[tuple[str, BoundsTold, int]]:
    """Return the key, the error over normal and the prompts of every stage that was measured."""
    levels = report.findings.levels if report.findings else {}
    when = "before" if report.shadow or report.after else "window"
    found = [
        (f"{when}_{channel}", bounds_of(levels[channel]), levels[channel].prompt_count)
        for channel in ("h", "loo")
        if channel in levels
    ]
    if shadow := report.shadow:
        found.append(("stage_served", shadow.served, shadow.prompt_count))
        found.append(("stage_candidate", shadow.candidate, shadow.prompt_count))
    if report.after:
        found.append(("stage_after", report.after.error, report.after.prompt_count))
    return found


def gain_words(say: Voice, gain: BoundsTold | None) -> str:
    """Return what a way saves or adds, with its interval."""
    if gain is None:
        return say("not_compared")
    key, (lower, upper) = "saves", (gain.lower, gain.upper)
    if gain.mean < 0:
        key, (lower, upper) = "adds", (-gain.upper, -gain.lower)
    ends = {"lower": say.hundredths(lower), "upper": say.hundredths(upper)}
    return say(key, mean=say.percent(abs(gain.mean)), **ends)


def error_words(say: Voice, error: BoundsTold) -> str:
    """Return an error over normal with its interval."""
    return f"{say.number(error.mean)} ({say.number(error.lower)}–{say.number(error.upper)})"


def goal(report: Report) -> float | None:
    """Return the share that must surely be saved before a version is put in force."""
    wanted = report.rules.get("minimum_gain")
    return wanted if isinstance(wanted, float) else None


def compared(report: Report) -> list[CandidateTold]:
    """Return what was compared with the version in force."""
    every = report.findings.candidates if report.findings else ()
    return [one for one in every if one.name != "served"]


def _moved(report: Report, say: Voice) -> str:
    columns = shown(report.findings.features) if report.findings else []
    if not columns:
        return ""
    rows = [_column(one, say) for one in columns]
    heading = say("share") if has_shares(report) else ""
    return moved(f"moved-{say.language}", say("moved"), heading, rows)


def _column(one: FeatureTold, say: Voice) -> Moved:
    window = spread(say, one.window_mean, one.window_deviation, one.unit)
    reference = spread(say, one.reference_mean, one.reference_deviation, one.unit)
    share, far = say.percent(one.share) if one.share is not None else "", distance(one)
    ends = {"window": window, "reference": reference}
    return Moved(
        name=one.name,
        detail=say("now_normally", **ends),
        share_words=share,
        share=one.share,
        centre=far,
        spread=one.window_deviation / one.reference_deviation if far is not None else 0.0,
        words=say("moved_desc", name=one.name, share=share or UNKNOWN, **ends),
    )


def _cost(report: Report, say: Voice) -> str:
    found = stages(report)
    if not found:
        return ""
    limit = report.after.limit if report.after else None
    rows = [
        Row(
            label=say(key),
            value=error_words(say, error),
            bounds=_triple(error),
            is_new=key in ("stage_candidate", "stage_after"),
            limit=limit if key == "stage_after" else None,
        )
        for key, error, _ in found
    ]
    high = max([ERROR_MIN, limit or 0.0, *(1.05 * error.upper for _, error, _ in found)])
    step = next(step for step in (1.0, 2.0, 5.0, 10.0, 1e9) if high / step <= 6)
    lines = [Line(1.0, "normal"), Line(CRITICAL, "alarm")]
    return intervals(
        f"cost-{say.language}", say("cost"), rows, Axis(0, high, lines, ticks(high, step))
    )


def _compared(report: Report, say: Voice) -> str:
    rows = [_way(say.code("candidate", one.name), one.gain, say) for one in compared(report)]
    if report.shadow:
        rows.append(_way(say("live"), report.shadow.gain, say))
    if not rows:
        return ""
    lowest = min([-0.25, *(row.bounds[1] for row in rows if row.bounds)])
    axis = Axis(
        low=max(lowest, GAIN_MIN),
        high=1.0,
        lines=[Line(0.0, "zero"), *(Line(it, "goal") for it in [goal(report)] if it is not None)],
        ticks=[(0.0, "0 %"), (0.5, "50 %")],
        left=say("worse"),
        right=say("better"),
    )
    return intervals(f"compared-{say.language}", say("compared"), rows, axis)


def _way(label: str, gain: BoundsTold | None, say: Voice) -> Row:
    return Row(
        label=label,
        value=gain_words(say, gain),
        bounds=_triple(gain) if gain else None,
        is_new=True,
        is_hollow=gain is not None and gain.lower <= 0 <= gain.upper,
    )


def _triple(bounds: BoundsTold) -> Bounds:
    return bounds.mean, bounds.lower, bounds.upper
