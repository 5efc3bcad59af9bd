"""What a prompt says against itself: copies, labels that do not fit, queries of another law, gaps.

No history is needed but for filling gaps. Every finding is a sentence with the place, the value and
what was expected; none changes an answer by itself (docs/intervals.md, section 5).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.explain import Smoother
from model.intervals import SMALLEST_VARIANCE, leave_one_out, reaches
from model.prompt import Block, Examples

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

DUPLICATE_SHARE = 0.20  # of the examples; the 99.7 % quantile of history where there is one
OUTLIER_SD = 7.0  # studentised; likewise
ROUNDING_SHARE = 1e-6  # of a sum of squares: what may be left of it without one example
QUERY_SHIFT_RISK = 0.003  # how often queries of the examples' own law may be called another's
MISSING_SHARE = 0.20  # of a context's cells
MISSING_OF_ROW = 0.5
COLUMNS_NAMED = 4  # of those with gaps, in one sentence
CORRELATION_NOISE = 0.02  # added to the diagonal, so that equal columns still invert


class Finding(NamedTuple):
    """One caution or complaint about a prompt; `code` is a WarningCode of the contract."""

    prompt: int
    code: str
    sentence: str
    field: str = ""
    place: int = -1


class Distinct(NamedTuple):
    """How many examples of each prompt are new, and the share that are copies."""

    counts: NDArray[np.int64]  # (B,) effective M
    shares: Array  # (B,)


def distinct(examples: Examples) -> Distinct:
    """Count the examples that are no exact copy, label included, of another."""
    B, M, _ = examples.x.shape
    owner = np.repeat(np.arange(float(B)), M)  # (B M,)
    labelled = np.column_stack([owner, examples.x.reshape(B * M, -1), examples.y.ravel()])
    rows, _ = np.unique(labelled + 0.0, axis=0, return_counts=True)  # (n, d+2) -0.0 becomes 0.0
    first = rows[:, 0].astype(np.int64)  # (n,); without return_counts, numpy.ma stays loaded: 1 MB
    counts = np.bincount(first, minlength=B)  # (B,)
    return Distinct(counts, 1.0 - counts / M)


def duplicates(examples: Examples, share_max: float = DUPLICATE_SHARE) -> list[Finding]:
    """Warn of prompts with more than a share of copies: leave-one-out is too sure of them."""
    found, M = distinct(examples), examples.x.shape[1]
    return [
        Finding(
            int(prompt),
            "DUPLICATE_EXAMPLES",
            f"{M - found.counts[prompt]} of {M} examples are exact copies of others "
            f"({found.shares[prompt]:.0%}, expected at most {share_max:.0%}): "
            f"they count as {found.counts[prompt]}",
            "examples",
        )
        for prompt in np.flatnonzero(found.shares > share_max)
    ]


def studentised(smoother: Smoother, rows: Array, labels: Array) -> Array:
    """Return e_i √(1 - h_i)/σ_(-i) (B, M): each error without its example, over that noise.

    (M-1) σ_(-i)² is the penalised sum of squares of a fit without example i, which is the whole's
    less e_i²(1 - h_i): exact where P inverts G + λI. Equivalent to least squares' external
    studentisation at λ = 0, but for the divisor.
    """
    left = leave_one_out(smoother, rows, labels)
    power = left.errors**2 * (1.0 - left.leverages)  # (B, M)
    residual = left.errors * (1.0 - left.leverages)  # (B, M)
    whole = (residual * (labels - rows @ smoother.prior_mean)).sum(axis=1, keepdims=True)  # (B, 1)
    others = np.maximum(whole - power, ROUNDING_SHARE * whole)  # (B, M) as a looped P may leave it
    free = max(rows.shape[1] - 1 - smoother.centred, 1)
    size = np.sqrt(free * power / np.maximum(others, SMALLEST_VARIANCE))  # (B, M)
    score: Array = np.sign(left.errors) * size  # (B, M)
    return score


def label_outliers(smoother: Smoother, threshold: float = OUTLIER_SD) -> list[Finding]:
    """Warn of the worst label of each prompt where it lies beyond what the others allow.

    A summary has no labels to judge: no finding.
    """
    if smoother.rows is None or smoother.labels is None:
        return []
    score = studentised(smoother, smoother.rows, smoother.labels)  # (B, M)
    errors = leave_one_out(smoother, smoother.rows, smoother.labels).errors  # (B, M)
    unit, origin = smoother.label_unit[:, None], smoother.label_origin[:, None]  # (B, 1)
    given = origin + unit * smoother.labels  # (B, M)
    expected = given - unit * errors  # (B, M)
    reach = np.abs(unit * errors) / np.maximum(np.abs(score), SMALLEST_VARIANCE) * threshold
    size = np.where(unit > 0.0, np.abs(score), 0.0)  # (B, M) equal labels stand out nowhere
    worst = size.argmax(axis=1)  # (B,)
    places = [(b, int(i)) for b, i in enumerate(worst) if size[b, i] > threshold]
    return [
        Finding(
            b,
            "LABEL_OUTLIER",
            f"label {i} is {given[b, i]:.6g}, where the other examples suggest "
            f"{expected[b, i] - reach[b, i]:.6g} to {expected[b, i] + reach[b, i]:.6g}",
            "examples.labels",
            i,
        )
        for b, i in places
    ]


def query_shift(smoother: Smoother, risk: float = QUERY_SHIFT_RISK) -> list[Finding]:
    """Warn where more queries lean out of the examples than would by chance.

    Of M examples and Q queries of one law, the k farthest are all queries with probability
    Q!/(Q-k)! · (M+Q-k)!/(M+Q)!; below `risk`, the law is another. A few queries alone never tell.
    """
    if smoother.rows is None:
        return []
    M, Q = smoother.count, smoother.queries.shape[1]
    beyond = (reaches(smoother, smoother.rows) > 1.0).sum(axis=1)  # (B,) k
    k = np.arange(Q)  # (Q,)
    chance = np.append(1.0, np.cumprod((Q - k) / (M + Q - k)))  # (Q+1,) of k and more
    return [
        Finding(
            int(b),
            "QUERY_SHIFT",
            f"{beyond[b]} of {Q} queries lie farther out than every one of the {M} examples "
            f"(expected at most {int((chance >= risk).sum()) - 1})",
            "queries",
        )
        for b in np.flatnonzero(chance[beyond] < risk)
    ]


class Imputed(NamedTuple):
    """A block without gaps, what was filled, and the prompts with too many gaps to fill."""

    block: Block
    filled: list[Finding]
    refused: list[Finding]


def impute(block: Block, mean: Array, within_sd: Array, correlation: Array) -> Imputed:
    """Fill NaN features of examples and queries by what their row's other features suggest.

    A Gaussian within prompts: mean (d,) stands in for a column a prompt lacks altogether, within_sd
    (d,) and correlation (d, d) are the profile's. Labels must be there, and so must rows: refused
    are prompts with more than MISSING_SHARE of their cells or MISSING_OF_ROW of a row missing.
    """
    assert isinstance(block.context, Examples)  # a summary has no cells
    x, M = np.concatenate([block.context.x, block.queries], axis=1), block.example_count
    missing = np.isnan(x)  # (B, R, d)
    known = ~missing[:, :M]  # (B, M, d)
    count = known.sum(axis=1, keepdims=True)  # (B, 1, d)
    total = np.where(known, x[:, :M], 0.0).sum(axis=1, keepdims=True)  # (B, 1, d)
    centre = np.where(count > 0, total / np.maximum(count, 1), mean)  # (B, 1, d)
    z = ((x - centre) / within_sd).reshape(-1, x.shape[2])  # (B R, d)
    filled = centre + within_sd * conditional(z, correlation).reshape(x.shape)  # (B, R, d)
    x = np.where(missing, filled, x)  # (B, R, d) what was there stays to the last bit
    whole = block._replace(context=Examples(x[:, :M], block.context.y), queries=x[:, M:])
    return Imputed(whole, *_gaps(block, missing, x))


def conditional(z: Array, correlation: Array) -> Array:
    """Return standardised rows z (n, d) with NaN replaced by its expectation given the rest."""
    missing = np.isnan(z)  # (n, d)
    noisy = correlation + CORRELATION_NOISE * np.eye(len(correlation))  # (d, d)
    whole = np.where(missing, 0.0, z)  # (n, d) a row that is missing altogether is at the mean
    patterns, which = np.unique(missing, axis=0, return_inverse=True)  # (k, d), (n,)
    for pattern, gap in enumerate(patterns):
        if gap.any() and not gap.all():
            rows = np.flatnonzero(which.ravel() == pattern)
            slopes = np.linalg.solve(noisy[np.ix_(~gap, ~gap)], noisy[np.ix_(~gap, gap)])
            whole[np.ix_(rows, gap)] = z[np.ix_(rows, ~gap)] @ slopes
    return whole


def _gaps(block: Block, missing: Mask, filled: Array) -> tuple[list[Finding], list[Finding]]:
    """Return what was filled in a prompt, and which prompts miss too much (B, R, d)."""
    M, (_, _, d) = block.example_count, missing.shape
    notes: list[Finding] = []
    refused: list[Finding] = []
    for b in np.flatnonzero(missing.any(axis=(1, 2))):
        share = missing[b, :M].mean()
        worst = int(missing[b].sum(axis=1).argmax())
        column = int(missing[b].sum(axis=0).argmax())
        name = block.feature_name(column)
        if share > MISSING_SHARE or missing[b, worst].sum() > MISSING_OF_ROW * d:
            sentence = (
                f"expected at most {MISSING_SHARE:.0%} of the examples' cells and half of a row "
                f"missing, got {share:.0%} and {missing[b, worst].sum()} of {d} in a row; "
                f"most are missing in feature {name}"
            )
            is_query = worst >= M and share <= MISSING_SHARE
            field = "queries" if is_query else "examples.features"
            refused.append(Finding(int(b), "IMPUTED", sentence, field, column))
            continue
        sentence = _filled_where(block, missing[b], filled[b])
        notes.append(Finding(int(b), "IMPUTED", sentence, "examples.features", column))
    return notes, refused


def _filled_where(block: Block, missing: Mask, filled: Array) -> str:
    """Return how many values of one prompt (R, d) were filled, where most of them, and with what.

    The features with the most gaps come first; those beyond COLUMNS_NAMED are only counted.
    """
    counts = missing.sum(axis=0)  # (d,)
    order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]  # (k,)
    parts = []
    for column in order[:COLUMNS_NAMED].tolist():
        values = filled[missing[:, column], column]  # (n,)
        name = block.feature_name(column)
        parts.append(f"{len(values)} in feature {name} ({values.min():.6g} to {values.max():.6g})")
    if len(order) > COLUMNS_NAMED:
        parts.append(f"others in {len(order) - COLUMNS_NAMED} more features")
    return f"{missing.sum()} missing values were filled in: {', '.join(parts)}"
