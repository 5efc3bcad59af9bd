"""Whether a prompt is of the kind its profile knows: hard limits, and ten statistics of doubt.

Limits refuse the profile (another model may answer); thresholds of the statistics come from groups
the profile never saw, and inform only (docs/intervals.md, section 6).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors import Finding, studentised
from model.explain import Smoother
from model.intervals import SMALLEST_VARIANCE, leave_one_out
from model.moments import Moments
from model.prompt import Block

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

RANGE_SD = 8.0  # of the profile; a wrong unit is 100 and more
RANGE_FACTOR = 2.0  # beyond the farthest row of history, where that one lies farther than RANGE_SD
LABEL_SD_FACTOR = 30.0  # outside the range that history showed
THRESHOLD_SHARE = 0.997
THRESHOLD_GROUPS = 20  # fewer groups say too little of their tails
BLEND = 0.2  # of history's covariance into a prompt's, so that it inverts
SMALLEST_SPREAD = 1e-3  # of a feature within prompts, in the profile's deviations

STATISTICS = (
    *("feature means", "feature spreads", "label mean", "label spread", "feature covariance"),
    *("query distance", "leave-one-out error over label variance", "residual spread"),
    *("largest studentised label error", "distance from the average task"),
)


@dataclass(frozen=True, slots=True)
class Reference:
    """What the prompts of a history look like, natural units."""

    mean: Array  # (d,) of all rows
    sd: Array  # (d,) of all rows, 1 where constant
    reach: Array  # (d,) limit of |x - mean|/sd, RANGE_SD or more
    whole: Mask  # (d,) features of which history held whole numbers only
    within: Array  # (d, d) mean covariance of a prompt's rows, in units of sd
    log_spread: Array  # (d,) median ln of a prompt's deviation, in units of sd
    label_mean: float
    label_sd: float
    label_spreads: Array  # (3,) least, median and largest deviation of a prompt's labels
    noise_variance: float  # σ², label units squared
    task_precision: Array  # (p, p) Ψ⁻¹ in the smoother's coordinates

    @property
    def within_sd(self) -> Array:
        """Deviations (d,) of rows within a prompt, natural units, for `detectors.impute`."""
        deviation: Array = self.sd * np.sqrt(np.diag(self.within))  # (d,)
        return deviation

    @property
    def correlation(self) -> Array:
        """Correlations (d, d) of rows within a prompt."""
        unit = np.sqrt(np.diag(self.within))  # (d,)
        correlation: Array = self.within / np.outer(unit, unit)  # (d, d)
        return correlation


class _Sample(NamedTuple):
    """Means and covariances of B contexts, natural units."""

    mean: Array  # (B, d)
    covariance: Array  # (B, d, d)
    label_mean: Array  # (B,)
    label_sd: Array  # (B,)


def _sample(block: Block) -> _Sample:
    context, free = block.context, block.example_count - 1
    if isinstance(context, Moments):
        assert context.scatter is not None  # without, a profile does not answer
        label_sd = np.sqrt(context.label_scatter / free)  # (B,)
        return _Sample(context.mean, context.scatter / free, context.label_mean, label_sd)
    mean = context.x.mean(axis=1)  # (B, d)
    u = context.x - mean[:, None]  # (B, M, d)
    label_sd = context.y.std(axis=1, ddof=1)  # (B,)
    return _Sample(mean, u.mT @ u / free, context.y.mean(axis=1), label_sd)


def reference_of(history: Block, noise_variance: float, task_precision: Array) -> Reference:
    """Return what the historical prompts of one length look like, from rows or from sums."""
    s, M = _sample(history), history.example_count
    power = np.diagonal(s.covariance, axis1=1, axis2=2)  # (P, d)
    mean = s.mean.mean(axis=0)  # (d,)
    sd = np.sqrt((power * (M - 1) / M).mean(axis=0) + s.mean.var(axis=0))  # (d,)
    sd = np.where(sd <= 1e-9 * np.abs(mean), 1.0, sd)  # (d,)
    within = s.covariance.mean(axis=0) / np.outer(sd, sd)  # (d, d)
    within += SMALLEST_SPREAD**2 * np.eye(len(sd))
    label_sd = float(np.sqrt((s.label_sd**2 * (M - 1) / M).mean() + s.label_mean.var()))
    spreads = np.quantile(s.label_sd, [0.0, 0.5, 1.0])  # (3,)
    values = s.mean if isinstance(history.context, Moments) else history.context.x  # (P, ..., d)
    values = np.concatenate([values.reshape(-1, len(sd)), history.queries.reshape(-1, len(sd))])
    reach = np.abs((values - mean) / sd).max(axis=0)  # (d,)
    return Reference(
        mean=mean,
        sd=sd,
        reach=np.maximum(RANGE_SD, RANGE_FACTOR * reach),
        whole=(values == np.round(values)).all(axis=0),
        within=within,
        log_spread=np.median(_log_spread(power / sd**2), axis=0),
        label_mean=float(s.label_mean.mean()),
        label_sd=label_sd if label_sd > 0.0 else 1.0,
        label_spreads=np.maximum(spreads, 1e-6 * label_sd),
        noise_variance=noise_variance,
        task_precision=task_precision,
    )


def _log_spread(power: Array) -> Array:
    """Return ln of deviations (...) from their squares; a flag that happens to be constant is 0."""
    logs: Array = 0.5 * np.log(np.maximum(power, SMALLEST_SPREAD**2))  # (...)
    return logs


def out_of_range(block: Block, reference: Reference) -> list[Finding]:
    """Name each prompt's worst breach of the limits within which the profile may answer at all.

    Means of the examples and queries beyond the reference's reach, labels of another size.
    """
    s = _sample(block)
    z = np.concatenate([s.mean[:, None], block.queries], axis=1)  # (B, 1+Q, d)
    z = (z - reference.mean) / reference.sd
    label_z = np.abs(s.label_mean - reference.label_mean) / reference.label_sd  # (B,)
    least = reference.label_spreads[0] / LABEL_SD_FACTOR
    largest = reference.label_spreads[2] * LABEL_SD_FACTOR
    spread_fits = (s.label_sd == 0.0) | ((s.label_sd >= least) & (s.label_sd <= largest))  # (B,)
    fits = (np.abs(z) <= reference.reach).all(axis=(1, 2)) & (label_z <= RANGE_SD) & spread_fits
    return [_breach(block, reference, s, z[b], int(b)) for b in np.flatnonzero(~fits)]


def _breach(block: Block, reference: Reference, s: _Sample, z: Array, b: int) -> Finding:
    """Return the sentence for prompt b with distances z (1+Q, d): features before labels."""
    size = np.abs(z) / reference.reach  # (1+Q, d)
    row, column = (int(i) for i in np.unravel_index(size.argmax(), z.shape))
    if not size[row, column] <= 1.0:  # `not <=` also catches NaN
        value = s.mean[b, column] if row == 0 else block.queries[b, row - 1, column]
        reach = reference.sd[column] * reference.reach[column]
        low, high = reference.mean[column] - reach, reference.mean[column] + reach
        field, of = ("examples.features", "mean ") if row == 0 else ("queries", "")
        name = f"feature {block.feature_name(column)}" + (f" of query {row - 1}" if row else "")
        sentence = f"{name}: expected a {of or 'value '}of {low:.6g} to {high:.6g}, got {value:.6g}"
        return Finding(b, "OUT_OF_PROFILE_RANGE", sentence, field, column)
    low, high = reference.label_mean + reference.label_sd * np.array([-1, 1]) * RANGE_SD
    what, value = "a mean", s.label_mean[b]
    if low <= value <= high:
        what, value = "a standard deviation", s.label_sd[b]
        low = reference.label_spreads[0] / LABEL_SD_FACTOR
        high = reference.label_spreads[2] * LABEL_SD_FACTOR
    sentence = f"labels: expected {what} of {low:.6g} to {high:.6g}, got {value:.6g}"
    return Finding(b, "OUT_OF_PROFILE_RANGE", sentence, "examples.labels")


def broken_kinds(block: Block, reference: Reference) -> list[Finding]:
    """Warn where a feature of whole numbers, a flag or a count, holds another number.

    Two columns that changed places show here before their means do. Queries only for a summary.
    """
    x = block.queries  # (B, R, d)
    if not isinstance(block.context, Moments):
        x = np.concatenate([block.context.x, x], axis=1)
    broken = (x != np.round(x)) & reference.whole  # (B, R, d)
    findings = []
    for b in np.flatnonzero(broken.any(axis=(1, 2))):
        row, column = np.argwhere(broken[b])[0]
        name = block.feature_name(int(column))
        sentence = f"feature {name}: expected whole numbers, got {x[b, row, column]:.6g}"
        code, field = "OUT_OF_PROFILE_RANGE", "examples.features"
        findings.append(Finding(int(b), code, sentence, field, int(column)))
    return findings


def statistics(block: Block, reference: Reference, smoother: Smoother) -> Array:
    """Return the ten STATISTICS (B, 10), larger is stranger; NaN where a summary cannot tell."""
    s, ref = _sample(block), reference
    z, spread, cov = _features(s, ref)  # (B, d), (B, d), (B, d, d)
    label_log = np.log(np.maximum(s.label_sd, 1e-6 * ref.label_sd) / ref.label_spreads[1])  # (B,)
    v = (block.queries - s.mean[:, None]) / ref.sd  # (B, Q, d)
    known = (1.0 + BLEND) * ref.within  # (d, d)
    far = ((v @ np.linalg.inv(known)) * v).sum(axis=2).max(axis=1)  # (B,)
    gap = smoother.coefficients - smoother.prior_mean  # (B, p)
    columns = [
        *(np.abs(z).max(axis=1), np.abs(spread).max(axis=1)),
        *(np.abs(s.label_mean - ref.label_mean) / ref.label_sd, np.abs(label_log)),
        *(_divergence(cov, ref.within), far),
        *_label_errors(smoother, s.label_sd, ref.noise_variance),
        ((gap @ ref.task_precision) * gap).sum(axis=1),
    ]
    return np.stack(columns, axis=1)


def _features(s: _Sample, ref: Reference) -> tuple[Array, Array, Array]:
    """Return means, logs of spreads (B, d) and covariances (B, d, d) beside the reference's."""
    cov = s.covariance / np.outer(ref.sd, ref.sd)  # (B, d, d)
    spread = _log_spread(np.diagonal(cov, axis1=1, axis2=2)) - ref.log_spread  # (B, d)
    return (s.mean - ref.mean) / ref.sd, spread, cov


def _divergence(covariance: Array, within: Array) -> Array:
    """Return ½[tr(L⁻¹S) - ln det(L⁻¹S)] (B,) of S = covariance + .2 L against 1.2 L."""
    known = (1.0 + BLEND) * within  # (d, d)
    ratio = np.linalg.solve(known, covariance + BLEND * within)  # (B, d, d)
    divergence: Array = 0.5 * (np.einsum("bii->b", ratio) - np.linalg.slogdet(ratio)[1])  # (B,)
    return divergence


def _label_errors(smoother: Smoother, label_sd: Array, noise_variance: float) -> list[Array]:
    """Return ln(LOO/Var y), ½ln(LOO/σ²) and the largest studentised error, each (B,)."""
    if smoother.rows is None or smoother.labels is None:
        return [np.full(len(label_sd), np.nan)] * 3
    errors = leave_one_out(smoother, smoother.rows, smoother.labels).errors  # (B, M)
    loss = smoother.label_unit**2 * (errors * errors).mean(axis=1)  # (B,) label units squared
    loss = np.maximum(loss, SMALLEST_VARIANCE)
    worst = np.abs(studentised(smoother, smoother.rows, smoother.labels)).max(axis=1)  # (B,)
    explained = np.log(loss / np.maximum(label_sd**2, SMALLEST_VARIANCE))  # (B,)
    return [explained, 0.5 * np.log(loss / noise_variance), worst]


def thresholds(held_out: Array, groups: NDArray[np.int64], share: float = THRESHOLD_SHARE) -> Array:
    """Return the quantiles (10,) of statistics (P, 10) of groups the profile was fitted without.

    Infinite, so that nothing is warned of, below THRESHOLD_GROUPS groups.
    """
    if len(np.unique(groups)) < THRESHOLD_GROUPS:
        return np.full(held_out.shape[1], np.inf)
    limits: Array = np.quantile(held_out, share, axis=0)  # (10,)
    return limits


def doubts(block: Block, reference: Reference, found: Array, limits: Array) -> list[Finding]:
    """Say which statistics (B, 10) exceed their thresholds (10,), one sentence each."""
    s = _sample(block)
    return [
        _doubt(block, reference, s, int(b), int(which), found[b, which], limits[which])
        for b, which in np.argwhere(found > limits)  # NaN is no doubt
    ]


def _doubt(
    block: Block, ref: Reference, s: _Sample, b: int, which: int, value: float, limit: float
) -> Finding:
    """Return the sentence of one statistic: means and spreads by name, in their own units."""
    if which > 3:
        code = {5: "QUERY_SHIFT", 8: "LABEL_OUTLIER"}.get(which, "OUT_OF_PROFILE_RANGE")
        sentence = f"{STATISTICS[which]}: expected at most {limit:.3g}, got {value:.3g}"
        return Finding(b, code, sentence, "queries" if which == 5 else "examples")
    column, name, field = -1, "labels", "examples.labels"
    if which < 2:
        column = int(np.abs(_features(s, ref)[which][b]).argmax())
        name, field = f"feature {block.feature_name(column)}", "examples.features"
    what = ("mean", "standard deviation")[which % 2]
    seen, low, high = _expected(ref, s, b, which, column, limit)
    sentence = f"{name}: expected a {what} of {low:.6g} to {high:.6g}, got {seen:.6g}"
    return Finding(b, "OUT_OF_PROFILE_RANGE", sentence, field, column)


def _expected(
    ref: Reference, s: _Sample, b: int, which: int, column: int, limit: float
) -> tuple[float, float, float]:
    """Return what a mean or spread is, and the range that its statistic's limit stands for."""
    if which == 0:
        seen, middle, unit = s.mean[b, column], ref.mean[column], ref.sd[column]
    elif which == 2:
        seen, middle, unit = s.label_mean[b], ref.label_mean, ref.label_sd
    else:
        seen, middle = s.label_sd[b], ref.label_spreads[1]
        if which == 1:
            seen = np.sqrt(s.covariance[b, column, column])
            middle = ref.sd[column] * np.exp(ref.log_spread[column])
        return float(seen), float(middle * np.exp(-limit)), float(middle * np.exp(limit))
    return float(seen), float(middle - limit * unit), float(middle + limit * unit)
