"""Does what was learnt grow old? A profile of the past beside one that knows recent time.

Where groups follow time (a week, a batch) the newest are judged by a profile of the oldest, and by
one of as many groups just before them. Where every group goes through time, the second half of held
out groups is judged by a profile of the learnt groups' first halves, and of their second halves.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import Date
from model.history import Group, History
from model.history import draw as history_prompts
from model.profile import ProfileModel
from model.profile_bucket import fit_bucket
from model.profile_fit import FEWEST_GROUPS, PROMPTS
from model.profile_parameters import ProfileParameters
from service.assess.answered import Effect, answer, effect, errors
from service.held_out import draw

if TYPE_CHECKING:
    from service.assess.material import Material

Array = NDArray[np.float64]

OLDEST, NEWEST = 0.4, 0.2  # shares of the groups: learnt from, judged on
HALF = 0.5
NARROW = 0.25  # of all time: a group that spans less is a piece of it
ALIKE = 4.0  # deviations of chance: neighbours' means go together
SMALLEST = 1e-6  # of the variance within groups
FEWEST_JUDGED = 2
DATE = re.compile(
    r"(19|20)\d\d"
    r"([-/.]?[WQ]\d{1,2}|[-/.]\d{1,2}([-/.]\d{1,2})?|(0[1-9]|1[0-2])([0-3]\d)?)?"
    r"([ T]\d\d:\d\d(:\d\d)?)?",
    re.IGNORECASE,
)


class Parts(NamedTuple):
    """What is learnt from, early and late, and what is judged."""

    code: str
    share: float
    early: History
    late: History
    judged: History
    length: int


class Stale(NamedTuple):
    """What a profile of the past does on newer prompts."""

    code: str
    share: float
    effect: Effect


def stale(material: "Material") -> Stale | None:
    """Return how a profile of the past does; None where nothing tells time, or of too little."""
    if not material.fitted.parameters.buckets:
        return None
    parts = _by_groups(material) or _by_rows(material)
    prompts = draw(parts.judged, parts.length, material.seed) if parts else None
    if parts is None or prompts is None:
        return None
    unit = prompts.y.std(axis=1)  # (P,)
    found = []
    for part in (parts.late, parts.early):
        answered = answer(_model(material, part, parts.length), prompts)
        found.append((answered, errors(prompts, answered, unit)))
    (late, usual), (early, changed) = found
    told = effect(prompts, late, usual, early, changed, material.seed)
    return Stale(parts.code, parts.share, told)


def _model(material: "Material", history: History, length: int) -> ProfileModel:
    """Return the profile of a part of the history, as it would serve prompts of one length."""
    whole = material.fitted.parameters
    prompts = history_prompts(history, length, PROMPTS, material.seed)
    bucket = fit_bucket(prompts, whole.bucket(length).coordinates)
    count = len(history.groups)
    parameters = ProfileParameters(whole.feature_count, count, whole.steps, (bucket,))
    return material.model.renewed(parameters, None)


def _by_groups(material: "Material") -> Parts | None:
    """Return the oldest groups, those before the newest, and the newest; None without an order."""
    groups = (*material.known.groups, *material.unseen.groups)
    is_ordered = material.known.is_ordered
    times = _dated(material, groups)
    if times is None:
        times = _named(groups, is_ordered)
    if times is None:
        return None
    inside = [groups[i] for i in np.argsort(times, kind="stable").tolist()]
    for length in _lengths(material):
        history = History(tuple(inside), is_ordered)
        long = history.chosen(history.long_enough(length)).groups
        learnt, judged = round(OLDEST * len(long)), round(NEWEST * len(long))
        if learnt >= FEWEST_GROUPS and judged >= FEWEST_JUDGED and 2 * len(long) >= len(inside):
            end = len(long) - judged
            cut = (long[:learnt], long[end - learnt : end], long[end:])
            early, late, newest = (History(part, is_ordered) for part in cut)
            return Parts("stale_groups", OLDEST, early, late, newest, length)
    return None


def _by_rows(material: "Material") -> Parts | None:
    """Return first and second halves of the learnt groups and second ones of the others."""
    place = _date_place(material)
    if not material.known.is_ordered and place is None:
        return None
    known, unseen = material.known.groups, material.unseen.groups
    if not material.known.is_ordered:
        known, unseen = (tuple(_sorted(g, place) for g in part) for part in (known, unseen))
    early = History(tuple(_half(g, late=False) for g in known), is_ordered=True)
    late = History(tuple(_half(g, late=True) for g in known), is_ordered=True)
    judged = History(tuple(_half(g, late=True) for g in unseen), is_ordered=True)
    for length in _lengths(material):
        fewest = min(len(part.long_enough(length)) for part in (early, late))
        if fewest >= max(FEWEST_GROUPS, len(known) / 2) and judged.long_enough(length):
            return Parts("stale_rows", HALF, early, late, judged, length)
    return None


def _lengths(material: "Material") -> list[int]:
    """Return the lengths to try, the longest first, none longer than what most is said of."""
    return sorted((M for M in material.prompts if material.length >= M), reverse=True)


def _half(group: Group, late: bool) -> Group:
    middle = len(group.y) // 2
    part = slice(middle, None) if late else slice(None, middle)
    return Group(group.name, group.x[part], group.y[part])


def _sorted(group: Group, place: int | None) -> Group:
    order = np.argsort(group.x[:, place], kind="stable")  # (n,)
    return Group(group.name, group.x[order], group.y[order])


def _date_place(material: "Material") -> int | None:
    """Return which feature is the days of a date; None without a date."""
    place = 0
    for source in material.found.sources:
        if isinstance(source, Date):
            return place
        place += len(source.columns())
    return None


def _dated(material: "Material", groups: tuple[Group, ...]) -> Array | None:
    """Return the middle day (G,) of every group; None without dates, or where groups span time."""
    place = _date_place(material)
    if place is None:
        return None
    days = [group.x[:, place] for group in groups]
    first, last = min(float(d.min()) for d in days), max(float(d.max()) for d in days)
    spans = np.array([np.ptp(d) for d in days])  # (G,)
    if not last > first or np.median(spans) >= NARROW * (last - first):
        return None
    return np.array([np.median(d) for d in days])


def _named(groups: tuple[Group, ...], is_ordered: bool) -> Array | None:
    """Return the time (G,) that names tell: dates, or in an ordered history other numbers.

    Of plain numbers neighbours must be alike, or they are numbers of shops.
    """
    numbers = [_number(group.name) for group in groups]
    if None in numbers or len(set(numbers)) < len(numbers):
        return None
    times = np.array(numbers, np.float64)  # (G,)
    if all(DATE.fullmatch(group.name) for group in groups):
        return times
    return times if is_ordered and _are_alike([groups[i] for i in np.argsort(times)]) else None


def _are_alike(groups: Sequence[Group]) -> bool:
    """Return whether the means of neighbours go together more than chance has it."""
    means = np.array([[*g.x.mean(axis=0), g.y.mean()] for g in groups])  # (G, d + 1)
    inside = np.array([[*g.x.var(axis=0), g.y.var()] for g in groups]).mean(axis=0)  # (d + 1,)
    means = means - means.mean(axis=0)
    power = (means * means).sum(axis=0)  # (d + 1,)
    differ = power > SMALLEST * len(means) * inside  # (d + 1,) not by rounding alone
    along = (means[1:] * means[:-1]).sum(axis=0)  # (d + 1,)
    score = np.sqrt(len(means)) * along[differ] / power[differ]
    return bool(len(score) and score.max() > ALIKE)


def _number(name: str) -> float | None:
    """Return the number that a name is, or a date's digits as one.

    >>> _number("12"), _number("2024-03-31"), _number("2024-W07"), _number("north")
    (12.0, 20240331.0, 202407.0, None)
    """
    if DATE.fullmatch(name) and len(name) > 4:
        parts = re.findall(r"\d+", name.split("T")[0].split(" ")[0])
        return float("".join(part.zfill(2) for part in parts))
    try:
        value = float(name)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
