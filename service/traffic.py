"""How many calls are answered and how fast, from two readings of the same tallies."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from service.tally import BUCKETS, MethodTally

NOT_KNOWN = float("nan")


class Reading(NamedTuple):
    """What the tallies held at one moment."""

    seconds: float  # Unix time
    call_count: int
    buckets: tuple[int, ...]  # unary calls by the first bound of BUCKETS they do not exceed


class Rates(NamedTuple):
    """Traffic between two readings; NaN where nothing can be told."""

    calls_per_second: float
    p99_seconds: float


def read(tallies: Sequence[MethodTally], seconds: float) -> Reading:
    """Return the calls answered so far; of a stream each message sent is one."""
    call_count, buckets = 0, [0] * (len(BUCKETS) + 1)
    for tally in tallies:
        tally.settle()
        is_unary = tally.labels[0] == "unary"
        with tally.lock:
            call_count += sum(tally.handled.values()) if is_unary else tally.sent
            if is_unary:  # how long a stream stays open says nothing of its answers
                buckets = [a + b for a, b in zip(buckets, tally.buckets, strict=True)]
    return Reading(seconds, call_count, tuple(buckets))


def between(earlier: Reading, later: Reading) -> Rates:
    """Return the rates of what was answered between two readings."""
    passed = later.seconds - earlier.seconds
    if passed <= 0:
        return Rates(NOT_KNOWN, NOT_KNOWN)
    new = [b - a for a, b in zip(earlier.buckets, later.buckets, strict=True)]
    return Rates((later.call_count - earlier.call_count) / passed, quantile(new, 0.99))


def quantile(buckets: Sequence[int], share: float) -> float:
    """Return a quantile in seconds as `histogram_quantile` of Prometheus does; NaN of no calls.

    Linear within a bucket; beyond the last bound, that bound.

    >>> quantile([90, 10] + [0] * 10, 0.95)
    0.00175
    """
    total = sum(buckets)
    if not total:
        return NOT_KNOWN
    rank = share * total
    place = next(i for i, below in enumerate(accumulate(buckets)) if below >= rank)
    if place == len(BUCKETS):
        return BUCKETS[-1]
    low = BUCKETS[place - 1] if place else 0.0
    inside = (rank - sum(buckets[:place])) / buckets[place]
    return low + (BUCKETS[place] - low) * inside
