"""Where COMBO's alarm line lies, so that quiet prompts cross it once in so many rows.

Whole prompts of the reference are resampled in circular blocks, so that what makes neighbours alike
stays: a test calibrated on independent rows calls every few prompts. A reference is itself a
sample; every stream is therefore centred as if the reference had been drawn anew (derived: with
400 prompts the slowest average would otherwise call several times too often).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitoring.covariates import Normal, Statistics, statistics_in_order
from monitoring.moving import WEIGHTS, prompt_signals, signal_width, statistics

Array = NDArray[np.float64]
Places = NDArray[np.intp]

WARM_UP_PROMPTS = 150
STREAMS, STREAMS_MIN, STREAM_PROMPTS = 100, 25, 1200
NUMBERS_MAX = 500  # of one prompt; where it has more, fewer streams have to do
BLOCK_PROMPTS_MIN = 10
RARE, RARE_DEVIATIONS = 0.998, 2.878  # of a normal law: by it a skew statistic is made even
CORRELATION = 0.1  # below it, prompts so far apart count as unrelated
TAIL_ALARMS = 60  # where fewer are expected in the streams, the line is extrapolated


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the 27 statistics are on quiet prompts, and where the alarm line lies."""

    means: Array  # (27,)
    deviations: Array  # (27,)
    threshold: float  # of the largest standardised statistic
    rows_per_alarm: float  # rows between false alarms, by which the threshold was chosen
    block_prompts: int  # length of the blocks that were resampled
    seed: int

    def to_arrays(self) -> dict[str, Array]:
        """Return every field as an array of doubles."""
        return {name: np.asarray(value, np.float64) for name, value in asdict(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "Calibration":
        """Return what `to_arrays` wrote; further names are ignored."""
        return cls(
            arrays["means"],
            arrays["deviations"],
            float(arrays["threshold"]),
            float(arrays["rows_per_alarm"]),
            int(arrays["block_prompts"]),
            int(arrays["seed"]),
        )


def calibrate(
    normal: Normal,
    prompts: Sequence[Array] | Statistics,
    rows_per_alarm: float = 1_000_000,
    seed: int = 0,
    log_errors: Array | None = None,
) -> Calibration:
    """Return the calibration of quiet prompts (M_i, d) in the order they came.

    log_errors (n,), the logarithm of their predicted errors, helps to see how long prompts stay
    alike. Raises ValueError for a statistic that is not finite.
    """
    told = prompts if isinstance(prompts, Statistics) else statistics_in_order(normal, prompts)
    signals = signals_in_order(normal, told)  # (n, K)
    if not np.isfinite(signals).all():
        raise ValueError("prompts: expected finite covariates, got others")
    block = block_prompts(normal, signals, log_errors)
    rng = np.random.default_rng(seed)
    places = _streams(len(signals), block, signals.shape[1], rng)  # (S, T)
    redrawn = _redrawn(signals, block, len(places), rng)
    found = run(normal, signals, places, redrawn)  # (S, T, 27)
    means = found.mean(axis=(0, 1))  # (27,)
    rare = np.quantile(found, RARE, axis=(0, 1)) - means  # (27,)
    deviations = np.maximum(rare / RARE_DEVIATIONS, 1e-9)  # (27,) where nothing ever moves, 0
    made = Calibration(means, deviations, 1.0, float(rows_per_alarm), block, seed)
    scores = standardised(found, made).max(axis=2)  # (S, T)
    rows = told.counts[places[:, WARM_UP_PROMPTS:]]  # (S, T)
    unseen = 1.0 + rows_per_alarm / float(told.counts.sum())
    return replace(made, threshold=threshold(scores, rows, rows_per_alarm * unseen))


def standardised(found: Array, calibration: Calibration) -> Array:
    """Return statistics (..., 27) less their quiet means and over their quiet deviations."""
    scores: Array = (found - calibration.means) / calibration.deviations
    return scores


def signals_in_order(normal: Normal, told: Statistics) -> Array:
    """Return the signals (n, K) of prompts of any lengths, in their order."""
    signals = np.empty((len(told.counts), signal_width(normal)))  # (n, K)
    for count in np.unique(told.counts):
        same = told.counts == count  # (n,)
        parts = told.means[same], told.second_moments[same], told.tail_shares[same]
        signals[same] = prompt_signals(normal, *parts, float(count))
    return signals


def block_prompts(normal: Normal, signals: Array, log_errors: Array | None = None) -> int:
    """Return how many prompts a block holds: twice the lag from which prompts are unrelated."""
    r = len(normal.mean_between)
    series = [(signals[:, :r] ** 2).sum(axis=1), signals[:, -1]]  # (n,) each
    if log_errors is not None and np.isfinite(log_errors).all():
        series.append(log_errors)
    lag = max(_first_unrelated(one) for one in series)
    return max(BLOCK_PROMPTS_MIN, 2 * lag)


def threshold(scores: Array, rows: Array, rows_per_alarm: float) -> float:
    """Return the score that streams (S, T) of prompts of `rows` (S, T) rows reach as rarely.

    Alarms are counted with a silence of `WARM_UP_PROMPTS` after each. Where the streams hold fewer
    than `TAIL_ALARMS` of them at the rate asked for, the line is set by an exponential law of how
    far the peaks of the `TAIL_ALARMS` highest such stretches exceed their lowest.
    """
    expected = rows.sum() / rows_per_alarm
    low, high = float(np.quantile(scores, 0.5)), float(scores.max())
    for _ in range(40):
        middle = (low + high) / 2.0
        peaks, watched = count_alarms(scores, rows, middle)
        if len(peaks) > max(TAIL_ALARMS, watched / rows_per_alarm):
            low = middle
        else:
            high = middle
    if expected >= TAIL_ALARMS or not len(peaks):
        return high
    peaks, watched = count_alarms(scores, rows, high)
    excess = float((peaks - high).mean())
    return high + excess * float(np.log(max(1.0, len(peaks) * rows_per_alarm / watched)))


def count_alarms(scores: Array, rows: Array, line: float) -> tuple[Array, float]:
    """Return the peak after every alarm (a,), and the rows that were watched."""
    peaks, watched = [], 0.0
    for one, counts in zip(scores, rows, strict=True):
        crossed, start = np.flatnonzero(one > line), 0
        while (at := np.searchsorted(crossed, start)) < len(crossed):
            alarm = int(crossed[at])
            peaks.append(one[alarm : alarm + WARM_UP_PROMPTS].max())
            watched += counts[start : alarm + 1].sum()
            start = alarm + 1 + WARM_UP_PROMPTS
        watched += counts[start:].sum()
    return np.array(peaks), float(watched)


def _first_unrelated(series: Array) -> int:
    """Return the first lag whose autocorrelation is below `CORRELATION`."""
    about = series - series.mean()  # (n,)
    power = float(about @ about)
    for lag in range(1, len(series) // 8):
        if about[lag:] @ about[:-lag] < CORRELATION * power:
            return lag
    return max(1, len(series) // 8)


def _streams(n: int, block: int, width: int, rng: "np.random.Generator") -> Places:
    """Return streams of places (S, T): all blocks in random order, again and again.

    Without replacement: where a prompt followed itself, squares of many entries would double.
    """
    blocks, T = max(1, n // block), WARM_UP_PROMPTS + STREAM_PROMPTS
    S = int(np.clip(STREAMS * NUMBERS_MAX // width, STREAMS_MIN, STREAMS))
    order = rng.permuted(np.tile(np.arange(blocks), (S, 1)), axis=1)  # (S, blocks)
    starts = rng.integers(n, size=(S, 1)) + block * order  # (S, blocks)
    places = ((starts[..., None] + np.arange(block)) % n).reshape(S, -1)  # (S, blocks · block)
    return np.tile(places, (1, -(-T // places.shape[1])))[:, :T]


def _redrawn(signals: Array, block: int, S: int, rng: "np.random.Generator") -> tuple[Array, Array]:
    """Return the means and relative deviations (S, K) of references drawn anew.

    A stream without replacement lies nearer to the reference's mean than a fresh one by as much as
    the reference's own lies off, so offsets count twice in variance.
    """
    n, width = signals.shape
    starts = rng.integers(n, size=(S, -(-n // block), 1))  # (S, blocks, 1)
    draws = ((starts + np.arange(block)) % n).reshape(S, -1)[:, :n]  # (S, n) circular blocks
    shares = np.stack([np.bincount(draw, minlength=n) for draw in draws]) / n  # (S, n)
    about = signals - signals.mean(axis=0)  # (n, K)
    offsets = shares @ about  # (S, K)
    variances = shares @ about**2 - offsets**2  # (S, K)
    powers = (about**2).mean(axis=0)  # (K,)
    relative = np.divide(variances, powers, out=np.ones_like(variances), where=powers > 0.0)
    relative[:, (width - 1) // 2 : -1] = 1.0  # z̄ and C - I are not over any deviation
    return np.sqrt(2.0) * offsets, np.sqrt(np.maximum(relative, 0.25))


def run(normal: Normal, signals: Array, places: Places, redrawn: tuple[Array, Array]) -> Array:
    """Return the statistics (S, T, 27) of streams after their warm-up, step by step."""
    offsets, scales = redrawn  # (S, K) each
    weights = np.array(WEIGHTS)[:, None]  # (4, 1)
    state = np.zeros((len(places), len(WEIGHTS), signals.shape[1]))  # (S, 4, K)
    found = []
    for step, now in enumerate(places.T):
        arrived = (signals[now] - offsets) / scales  # (S, K)
        state += weights * (arrived[:, None] - state)
        if step >= WARM_UP_PROMPTS:
            found.append(statistics(state, normal))  # (S, 27)
    return np.stack(found, axis=1)
