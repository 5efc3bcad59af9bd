"""What one would watch with instead: ADWIN on the error, KS and PSI on every feature, and COMBO.

All see the same prompts, one after the other. Where they are compared at an equal rate, the line of
each, the gate's too, is the one that quiet prompts of the setting cross once in `ROWS_PER_ALARM`
rows; beside it stand the lines from textbooks. KS and PSI look at the last `WINDOW` prompts, on
quantile bins of the reference's rows. ADWIN is the one of `river`, on h or on the leave-one-out
error of every prompt over normal, and calls when its mean rises.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.drift_arrivals import Arrivals
from monitoring.calibration import (
    WARM_UP_PROMPTS,
    Calibration,
    count_alarms,
    signals_in_order,
    standardised,
)
from monitoring.covariates import Normal, statistics_in_order
from monitoring.moving import WEIGHTS, statistics

Array = NDArray[np.float64]

ROWS_PER_ALARM = 20_000
WINDOW = 20  # prompts, about a thousand rows
KS_BINS, PSI_BINS = 64, 10
KS_LINE, PSI_LINE = 1.358, 0.2  # p = .05 of one feature; what is called a large shift
SMALLEST_SHARE = 1e-4  # of a bin without rows
ADWIN_NAMES = ("ADWIN on h", "ADWIN on LOO")
DELTAS = np.geomspace(1e-6, 5.0, 40)  # beyond .002, its default, it is less and less a bound
NAMES = ("gate", *ADWIN_NAMES, "KS", "PSI", "COMBO")


@dataclass(frozen=True, slots=True)
class Ruler:
    """The quantiles of the reference's rows, feature by feature, and the law COMBO knows."""

    ks_edges: Array  # (d, 63)
    psi_edges: Array  # (d, 9)
    row_count: int
    normal: Normal
    calibration: Calibration

    @classmethod
    def fit(cls, prompts: list[Array], normal: Normal, calibration: Calibration) -> "Ruler":
        """Return the ruler of reference prompts (M, d)."""
        rows = np.concatenate(prompts)  # (N, d)
        ks, psi = (
            np.quantile(rows, np.arange(1, bins) / bins, axis=0).T for bins in (KS_BINS, PSI_BINS)
        )
        return cls(ks, psi, len(rows), normal, calibration)


def covariate_scores(ruler: Ruler, came: Arrivals) -> dict[str, Array]:
    """Return the scores (n,) of KS, PSI and COMBO after each prompt."""
    rows = came.rows()
    total = _moving(came.counts[:, None])[:, 0]  # (n,)
    shares = _shares(rows, ruler.ks_edges, total).cumsum(axis=2)  # (n, d, 64)
    apart = np.abs(shares - np.arange(1, KS_BINS + 1) / KS_BINS).max(axis=(1, 2))  # (n,)
    ks = apart * np.sqrt(total * ruler.row_count / (total + ruler.row_count))  # (n,)
    p = np.maximum(_shares(rows, ruler.psi_edges, total), SMALLEST_SHARE)  # (n, d, 10)
    psi = ((p - 1.0 / PSI_BINS) * np.log(p * PSI_BINS)).sum(axis=2).max(axis=1)  # (n,)
    return {"KS": ks, "PSI": psi, "COMBO": combo_scores(ruler.normal, ruler.calibration, rows)}


def combo_scores(normal: Normal, calibration: Calibration, rows: list[Array]) -> Array:
    """Return COMBO's score over its own line (n,); 0 until warm."""
    signals = signals_in_order(normal, statistics_in_order(normal, rows))  # (n, K)
    weights = np.array(WEIGHTS)[:, None]  # (4, 1)
    state = np.zeros((len(signals) + 1, len(WEIGHTS), signals.shape[1]))  # (n + 1, 4, K)
    for place, arrived in enumerate(signals):
        state[place + 1] = state[place] + weights * (arrived - state[place])
    found = standardised(statistics(state[1:], normal), calibration)  # (n, 27)
    scores: Array = found.max(axis=1) / calibration.threshold  # (n,)
    scores[: WARM_UP_PROMPTS - 1] = 0.0
    return scores


def calls(name: str, values: Array, line: float) -> NDArray[np.intp]:
    """Return the prompts after which a detector calls; ADWIN's line is its delta."""
    if name not in ADWIN_NAMES:
        return np.flatnonzero(values > line)
    from river.drift import ADWIN  # a second, in which it loads scikit-learn

    adwin, found = ADWIN(delta=line, clock=1), []
    for place, value in enumerate(values.tolist()):
        before = adwin.estimation
        adwin.update(value)
        if adwin.drift_detected and adwin.estimation > before:
            found.append(place)
    return np.array(found, np.intp)


def line(name: str, streams: list[Array], rows: list[Array]) -> float:
    """Return the line that quiet streams cross once in ROWS_PER_ALARM rows, after a warm-up."""
    if name in ADWIN_NAMES:
        lines = DELTAS[::-1]  # the most eager first
    else:
        found = np.concatenate([values[WARM_UP_PROMPTS:] for values in streams])  # (n,)
        lines = np.quantile(found, np.linspace(0.9, 1.0, 400))  # (400,)
    for at in lines.tolist():
        if false_alarms(name, streams, rows, at) >= ROWS_PER_ALARM:
            return float(at)
    return float(lines[-1])


def false_alarms(name: str, streams: list[Array], rows: list[Array], at: float) -> float:
    """Return how many rows a detector takes for one false call, infinite without one."""
    watched = np.stack([counts[WARM_UP_PROMPTS:] for counts in rows])  # (S, T)
    called = np.zeros(watched.shape)  # (S, T) 1 where it calls
    for place, values in enumerate(streams):
        later = calls(name, values, at) - WARM_UP_PROMPTS
        called[place, later[later >= 0]] = 1.0
    peaks, seen = count_alarms(called, watched, 0.5)
    return seen / len(peaks) if len(peaks) else float("inf")


def _shares(rows: list[Array], edges: Array, total: Array) -> Array:
    """Return what share of the last rows is in each bin (n, d, bins)."""
    d, bins = len(edges), edges.shape[1] + 1
    found = np.empty((len(rows), d, bins))  # (n, d, bins)
    ends = np.concatenate([[0], np.cumsum([len(x) for x in rows])])  # (n + 1,)
    stacked = np.concatenate(rows)  # (N, d)
    prompt = np.repeat(np.arange(len(rows)), np.diff(ends))  # (N,)
    for place in range(d):
        bin_of = np.searchsorted(edges[place], stacked[:, place])  # (N,)
        counted = np.bincount(prompt * bins + bin_of, minlength=len(rows) * bins)
        found[:, place] = counted.reshape(len(rows), bins)
    shares: Array = _moving(found) / total[:, None, None]
    return shares


def _moving(values: Array) -> Array:
    """Return the sums (n, ...) over the last WINDOW prompts."""
    sums = values.cumsum(axis=0)  # (n, ...)
    sums[WINDOW:] = sums[WINDOW:] - sums[:-WINDOW]
    return sums
