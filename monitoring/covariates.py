"""The law of the covariates in the reference, and what one prompt says about it.

A row is whitened, z = Wᵀ(x - μ); a prompt is its mean z̄, its second moments C = ZᵀZ/M and the share
of its rows outside the radius that holds 99 % of the reference. The unit of observation is the
prompt: how far z̄ and C may be off is measured *between* prompts, var = between + within/M, because
rows of one prompt are alike and a test that takes them for independent fires all the time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Places = NDArray[np.intp]

SMALLEST_SHARE = 1e-9  # of the largest variance of a direction: below, it is rounding
DIRECTIONS_MAX = 64  # of the largest variance: their moments grow with the square of their number
TAIL_SHARE = 0.01  # of the reference's rows outside the tail radius
LENGTH_SPREAD = 1.5  # longest ÷ shortest prompt, from where the two variances can be told apart
SMALLEST_VARIANCE = 1e-12  # of a statistic of whitened rows
CACHED_NUMBERS = 2**14  # of prompts that are whitened at once, 128 KiB: more would leave the cache


class Statistics(NamedTuple):
    """What n prompts say of the covariates, in arrival order."""

    means: Array  # (n, r) z̄
    second_moments: Array  # (n, r, r) C
    tail_shares: Array  # (n,) NaN for a summary
    counts: Array  # (n,) M


@dataclass(frozen=True, slots=True)
class Normal:
    """How covariates were distributed in the reference; d features, r whitened directions."""

    mean: Array  # (d,) natural units
    deviation: Array  # (d,) natural units, 0 for a constant feature
    whitening: Array  # (d, r) W
    second_moment: Array  # (t,) mean upper triangle of C, t = r(r + 1)/2
    tail_radius: float  # 99 % quantile of ‖z‖²
    mean_between: Array  # (r,) variance of a prompt's own mean
    mean_within: Array  # (r,) variance of its rows about it, over M that of z̄
    moment_between: Array  # (t,)
    moment_within: Array  # (t,)
    tail_between: float
    tail_within: float

    @classmethod
    def fit(cls, prompts: Sequence[Array]) -> "Normal":
        """Return the law of reference prompts (M_i, d) of any lengths.

        Raises ValueError where no feature varies, or fewer than two prompts are given.
        """
        if len(prompts) < 2:
            raise ValueError(f"prompts: expected at least 2, got {len(prompts)}")
        mean, deviation, whitening = _whitening(prompts)
        sums = [_spread(x, mean, whitening) for _, x in by_length(prompts)]
        radius = float(np.quantile(np.concatenate([part.powers.ravel() for part in sums]), 0.99))
        counts = np.concatenate([np.full(len(part.means), part.length) for part in sums])  # (n,)
        tails = np.concatenate([(part.powers > radius).mean(axis=1) for part in sums])  # (n,)
        means = np.concatenate([part.means for part in sums])  # (n, r)
        moments = np.concatenate([part.moments for part in sums])  # (n, t)
        own = np.concatenate([part.own for part in sums])  # (n, r)
        fourth = np.concatenate([part.fourth for part in sums])  # (n, t)
        tail = _variances(tails[:, None], counts, (tails * (1.0 - tails))[:, None])
        return cls(
            *(mean, deviation, whitening, moments.mean(axis=0), radius),
            *_variances(means, counts, own),
            *_variances(moments, counts, fourth),
            *(float(part[0]) for part in tail),
        )

    @property
    def dropped_count(self) -> int:
        """How many directions are not watched: they hardly vary, or others vary more."""
        return len(self.mean) - len(self.mean_between)

    def mean_deviation(self, count: float) -> Array:
        """Return the standard deviation (r,) of z̄ between prompts of `count` rows."""
        return _deviation(self.mean_between, self.mean_within, count)

    def moment_deviation(self, count: float) -> Array:
        """Return the standard deviation (t,) of the upper triangle of C at `count` rows."""
        return _deviation(self.moment_between, self.moment_within, count)

    def tail_deviation(self, count: float) -> float:
        """Return the standard deviation of the share of rows outside the tail radius."""
        between, within = np.array([self.tail_between]), np.array([self.tail_within])  # (1,)
        return float(_deviation(between, within, count)[0])

    def to_arrays(self) -> dict[str, Array]:
        """Return every field as an array of doubles."""
        return {name: np.asarray(value, np.float64) for name, value in asdict(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "Normal":
        """Return the law that `to_arrays` wrote; further names are ignored."""
        fields = {name: arrays[name] for name in cls.__dataclass_fields__}
        return cls(**{k: float(v) if v.ndim == 0 else v for k, v in fields.items()})  # type: ignore[arg-type]


def prompt_statistics(normal: Normal, x: Array) -> tuple[Array, Array, Array]:
    """Return (z̄ (B, r), C (B, r, r), tail shares (B,)) of prompts x (B, M, d) of one length.

    Not finite where x is not, or where it is too far off for squares.
    """
    step = max(CACHED_NUMBERS // max(x[0].size, 1), 1) if len(x) else 1
    parts = [_whitened(normal, x[at : at + step]) for at in range(0, max(len(x), 1), step)]
    if len(parts) == 1:
        return parts[0]
    means, moments, tails = (np.concatenate(part) for part in zip(*parts, strict=True))
    return means, moments, tails


@np.errstate(over="ignore", invalid="ignore")
def _whitened(normal: Normal, x: Array) -> tuple[Array, Array, Array]:
    M = x.shape[1]
    z = (x - normal.mean) @ normal.whitening  # (B, M, r)
    powers = np.einsum("bmr,bmr->bm", z, z)  # (B, M)
    tails = (powers > normal.tail_radius).mean(axis=1)  # (B,)
    return np.full(M, 1.0 / M) @ z, z.mT @ z / M, tails


def summary_statistics(
    normal: Normal, count: int, mean: Array, scatter: Array
) -> tuple[Array, Array]:
    """Return (z̄ (B, r), C (B, r, r)) of summaries: mean (B, d), scatter about it (B, d, d)."""
    with np.errstate(over="ignore", invalid="ignore"):
        means = (mean - normal.mean) @ normal.whitening  # (B, r)
        spread = normal.whitening.T @ scatter @ normal.whitening / count  # (B, r, r)
        return means, spread + means[:, :, None] * means[:, None]


def statistics_in_order(normal: Normal, prompts: Sequence[Array]) -> Statistics:
    """Return the statistics of prompts (M_i, d) in the order given."""
    n, r = len(prompts), normal.whitening.shape[1]
    out = Statistics(np.empty((n, r)), np.empty((n, r, r)), np.empty(n), np.empty(n))
    for places, x in by_length(prompts):
        means, moments, tails = prompt_statistics(normal, x)
        out.means[places], out.second_moments[places] = means, moments
        out.tail_shares[places], out.counts[places] = tails, x.shape[1]
    return out


def by_length(prompts: Sequence[Array]) -> Iterator[tuple[Places, Array]]:
    """Yield (places (B,), prompts (B, M, d)) for every length M, shortest first."""
    lengths = np.array([len(prompt) for prompt in prompts])  # (n,)
    for length in np.unique(lengths):
        places = np.flatnonzero(lengths == length)  # (B,)
        yield places, np.stack([np.asarray(prompts[i], np.float64) for i in places.tolist()])


def upper(matrices: Array) -> Array:
    """Return the upper triangles (..., r(r + 1)/2) of matrices (..., r, r), row by row."""
    rows, columns = np.triu_indices(matrices.shape[-1])
    triangles: Array = matrices[..., rows, columns]
    return triangles


class _Spread(NamedTuple):
    """Whitened prompts of one length."""

    length: int
    means: Array  # (B, r)
    moments: Array  # (B, t)
    powers: Array  # (B, M) ‖z‖²
    own: Array  # (B, r) variance of the rows about the prompt's mean
    fourth: Array  # (B, t) variance of the rows' products about the prompt's C


def _spread(x: Array, mean: Array, whitening: Array) -> _Spread:
    z = (x - mean) @ whitening  # (B, M, r)
    count = z.shape[1]
    squares, unbiased = z * z, count / max(count - 1, 1)
    C = z.mT @ z / count  # (B, r, r)
    fourth = upper(squares.mT @ squares / count - C * C) * unbiased  # (B, t)
    return _Spread(
        count, z.mean(axis=1), upper(C), squares.sum(axis=2), z.var(axis=1) * unbiased, fourth
    )


def _whitening(prompts: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Return μ (d,), deviations (d,) and W (d, r) of all rows.

    Centred before anything is squared, and features brought to one unit before directions are
    compared: neither a large mean nor a small unit loses digits.
    """
    rows = np.concatenate([np.asarray(prompt, np.float64) for prompt in prompts])  # (N, d)
    origin = rows[0].copy()  # (d,) a point among the rows, so that no digit of the mean is lost
    shift = (rows - origin).mean(axis=0)  # (d,)
    mean = origin + shift  # (d,)
    deviation = ((rows - origin) - shift).std(axis=0)  # (d,)
    deviation[deviation <= 1e-14 * np.abs(mean)] = 0.0  # what rounding makes of a constant
    if not deviation.any():
        raise ValueError("prompts: expected a feature that varies, got constants alone")
    varies = deviation > 0.0  # (d,)
    u = (rows[:, varies] - mean[varies]) / deviation[varies]  # (N, v)
    found = directions(u.T @ u / len(u))  # (v, r)
    whitening = np.zeros((len(mean), found.shape[1]))  # (d, r)
    whitening[varies] = found / deviation[varies, None]
    return mean, deviation, whitening


def directions(correlation: Array) -> Array:
    """Return the whitening (v, r) of features (v,) of unit variance.

    Turned away from the eigenvectors, to the features where no direction is dropped: these gather
    all that is uncertain of r²/2 moments in r variances, and fresh rows would look shifted there.
    """
    values, vectors = np.linalg.eigh(correlation)  # (v,), (v, v)
    kept = values > SMALLEST_SHARE * values[-1]  # (v,)
    kept[:-DIRECTIONS_MAX] = False
    basis, r = vectors[:, kept], int(kept.sum())  # (v, r)
    any_turn = np.linalg.qr(np.random.default_rng(0).normal(size=(r, r)))[0]  # (r, r)
    turn = basis.T if kept.all() else any_turn  # (r, r)
    found: Array = basis / np.sqrt(values[kept]) @ turn
    return found


def _variances(values: Array, counts: Array, own: Array) -> tuple[Array, Array]:
    """Return (between (k,), within (k,)) of values (n, k) of prompts of counts (n,) rows.

    Squared deviations are regressed on 1 and 1/M, weighted by their own variance. Where all
    lengths are alike, `own` (n, k), the variance within each prompt, tells the two apart.
    """
    n = len(values)
    squares = (values - values.mean(axis=0)) ** 2 * n / (n - 1)  # (n, k)
    inverse = 1.0 / counts  # (n,)
    if counts.max() < LENGTH_SPREAD * counts.min():
        total, share = squares.mean(axis=0), inverse.mean()  # (k,)
        within = np.minimum(own.mean(axis=0), total / share)  # (k,)
        return total - within * share, within
    between, within = squares.mean(axis=0), np.zeros(values.shape[1])  # (k,), (k,)
    for _ in range(4):
        expected = between + within * inverse[:, None]  # (n, k)
        weights = 1.0 / np.maximum(expected, SMALLEST_VARIANCE) ** 2  # (n, k)
        between, within = _line(squares, inverse[:, None], weights)
    return between, within


def _line(y: Array, x: Array, weights: Array) -> tuple[Array, Array]:
    """Return the intercepts and slopes (k,) >= 0 of the best lines through x (n, 1), y (n, k)."""
    total = weights.sum(axis=0)  # (k,)
    x_mean, y_mean = (weights * x).sum(axis=0) / total, (weights * y).sum(axis=0) / total
    about = x - x_mean  # (n, k)
    slope = (weights * about * (y - y_mean)).sum(axis=0) / (weights * about**2).sum(axis=0)
    intercept = y_mean - slope * x_mean  # (k,)
    through_zero = (weights * x * y).sum(axis=0) / (weights * x * x).sum(axis=0)  # (k,)
    slope = np.where(intercept < 0.0, through_zero, slope)
    intercept = np.where(slope < 0.0, y_mean, np.maximum(intercept, 0.0))
    return intercept, np.maximum(slope, 0.0)


def _deviation(between: Array, within: Array, count: float) -> Array:
    deviation: Array = np.sqrt(np.maximum(between + within / count, SMALLEST_VARIANCE))
    return deviation
