"""The rules of deploy/rules on judged prompts: their numbers after each one, and where they cross.

A rule's minutes are prompts here, as if those that the gate needs (W prompts and enough rows) came
in 30 minutes: that is its shortest window then, the last hour is twice as long, six hours are
twelve times as long and `for: 15m` is half of it. Lines and formulas are those of the rules.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.calibration import WARM_UP_PROMPTS, standardised
from monitoring.levels import CRITICAL, LEAVE, MAJOR, WARNING, Z95, window_rows
from monitoring.moving import WEIGHTS, averaged, statistics
from monitoring.reference import Reference
from service.assess.findings import Severity
from service.assess.judged import Judged

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

WINDOW_MINUTES, HOUR_MINUTES, LONG_MINUTES = 30, 60, 360
RELATIVE_HARM, SHORT_CONTEXTS, CLIPPED_SHARE, COVARIATES = 2.0, 1.5, 0.05, 1.0
COMBO_PROMPTS = 10  # between two looks at the covariates


class Rule(NamedTuple):
    """An alert of deploy/rules and how long its line must be crossed."""

    alert: str
    severity: Severity
    minutes: int


HARM = (  # the most severe first
    Rule("SonobaErrorInflationCritical", "critical", 1),
    Rule("SonobaErrorInflationMajor", "warning", 5),
    Rule("SonobaShortContexts", "warning", 30),
    Rule("SonobaErrorInflationWarning", "warning", 15),
    Rule("SonobaRelativeHarm", "warning", 30),
    Rule("SonobaClippedPrompts", "warning", 10),
)
MOVED = Rule("SonobaCovariatesMoved", "information", 5)
"""Calls nobody."""


class Lines(NamedTuple):
    """Numbers after each of m watched prompts; NaN until there are enough."""

    gate: Array  # (m,) of the larger channel
    channels: Array  # (m, 2) lower bounds of h and leave-one-out
    short: Array  # (m, 2) mean u of a window
    long: Array  # (m, 2) mean u of twelve windows
    relative: Array  # (m,) excess by signal, over the reference's, of two windows
    length: Array  # (m,) length effect of two windows
    clipped: Array  # (m, 2) share at the clip


def crossed(prompts: Judged, reference: Reference, rules: Sequence[Rule]) -> Mapping[str, Mask]:
    """Return where (m,) the line of each rule is crossed; NaN crosses none."""
    drawn = lines(prompts, reference)
    risen = (drawn.short > WARNING) & (drawn.long > WARNING)  # (m, 2)
    found: dict[str, Mask] = {
        "SonobaErrorInflationCritical": drawn.gate > CRITICAL,
        "SonobaErrorInflationMajor": drawn.gate > MAJOR,
        "SonobaShortContexts": drawn.length > SHORT_CONTEXTS,
        "SonobaErrorInflationWarning": np.asarray(risen.any(axis=1)),
        "SonobaRelativeHarm": drawn.relative > RELATIVE_HARM,
        "SonobaClippedPrompts": np.asarray((drawn.clipped > CLIPPED_SHARE).any(axis=1)),
    }
    if MOVED in rules:
        moved = moved_scores(prompts, reference) > COVARIATES  # (m,)
        found[MOVED.alert] = moved & ~(drawn.gate > LEAVE)
    return {rule.alert: found[rule.alert] for rule in rules}


def held(crossed: Mask, hold: int) -> int | None:
    """Return the first place where a line has been crossed for `hold` prompts before it."""
    places = np.arange(len(crossed))  # (m,)
    last = np.maximum.accumulate(np.where(crossed, -1, places))  # (m,) of those not crossed
    found = np.flatnonzero(places - last > hold)
    return int(found[0]) if len(found) else None


def lines(prompts: Judged, reference: Reference) -> Lines:
    """Return the numbers that rules compare, after each of m watched prompts in order."""
    m = len(prompts.rows)
    ends = np.arange(1, m + 1)  # (m,)
    rows = _sums(prompts.rows)  # (m + 1,)
    wanted = rows[1:] - window_rows(reference.feature_count)  # (m,)
    by_rows = np.searchsorted(rows, wanted, side="right") - 1  # (m,) -1: too few
    starts = np.minimum(by_rows, ends - reference.window_prompts)  # (m,)
    enough = starts >= 0  # (m,)
    sizes = ends - starts  # (m,)
    u = prompts.inflation  # (m, 2)
    mean = _window_means(u, starts, ends)  # (m, 2)
    square = _window_means(u * u, starts, ends)  # (m, 2)
    spread = np.maximum(square - mean * mean, 0.0) / sizes[:, None]  # (m, 2)
    bounds = np.where(enough[:, None], mean - Z95 * np.sqrt(spread), np.nan)  # (m, 2)
    hour = ends - HOUR_MINUTES // WINDOW_MINUTES * sizes  # (m,)
    day = ends - LONG_MINUTES // WINDOW_MINUTES * sizes  # (m,)
    clipped = np.where(enough[:, None], _window_means(prompts.at_clip, starts, ends), np.nan)
    effect = np.where(enough, _window_means(prompts.length_effect, hour, ends), np.nan)  # (m,)
    relative = np.where(enough, _relative(prompts, reference, hour, ends), np.nan)  # (m,)
    return Lines(
        *(bounds.max(axis=1), bounds, np.where(enough[:, None], mean, np.nan)),
        *(_window_means(u, day, ends), relative, effect, clipped),
    )


def _relative(prompts: Judged, reference: Reference, starts: Places, ends: Places) -> Array:
    """Return the excess by signal over the reference's (m,)."""
    base = reference.baselines
    usual = base.mean("predicted") - reference.noise_variance
    excess = _window_means(prompts.excess, starts, ends)  # (m,)
    signal = _window_means(prompts.signal, starts, ends)  # (m,)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = (excess / signal) / np.float64(usual / np.float64(base.mean("query_signal")))
    return found


def _sums(values: Array) -> Array:
    """Return the sums (m + 1, ...) of the first 0, 1, … of values (m, ...)."""
    return np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])


def _window_means(values: Array, starts: Places, ends: Places) -> Array:
    """Return the mean (m, ...) of values from start to end; windows begin with the run."""
    sums, first = _sums(values), np.maximum(starts, 0)  # (m + 1, ...), (m,)
    counts = (ends - first).reshape(-1, *(1,) * (values.ndim - 1))  # (m, ...)
    means: Array = (sums[ends] - sums[first]) / counts
    return means


def moved_scores(prompts: Judged, reference: Reference) -> Array:
    """Return the score (m,) of the covariates as of the last look; NaN until warm."""
    m, K = prompts.covariates.shape
    state = np.zeros((len(WEIGHTS), K))  # (4, K)
    looks, at = [], []
    for start in range(0, m, COMBO_PROMPTS):
        state = averaged(state, prompts.covariates[start : start + COMBO_PROMPTS])
        end = min(start + COMBO_PROMPTS, m)
        if end >= WARM_UP_PROMPTS:
            looks.append(state)
            at.append(end - 1)
    scores = np.full(m, np.nan)  # (m,)
    if looks:
        found = standardised(
            statistics(np.array(looks), reference.normal), reference.calibration
        )  # (looks, 27)
        known = found.max(axis=1) / reference.calibration.threshold  # (looks,)
        place = np.searchsorted(at, np.arange(m), side="right") - 1  # (m,)
        scores = np.where(place >= 0, known[place], np.nan)  # (m,)
    return scores
