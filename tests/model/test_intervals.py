"""Interval widths against plain refits, and coverage against its level by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.calibration import HeldOut, calibrate, calibrated, group_folds, held_out, joined
from model.checkpoint import FOUNDATION_FILE, load
from model.explain import Smoother, foundation_smoother, paper_smoother
from model.foundation import FoundationModel
from model.intervals import (
    LEVELS,
    Method,
    leave_one_out,
    noise,
    paper_intervals,
    query_leverages,
    reaches,
    student_quantiles,
    uncalibrated,
)
from model.ladder import climb
from model.moments import Moments
from model.paper import PaperModel
from model.prompt import Block, Examples
from model.refusal import Refusal
from model.standardise import standardise
from model.tasks import Law, rotated, spectrum

MODEL = load(FOUNDATION_FILE).model
EXACT = FoundationModel(MODEL.steps, lambda_grid=(2.0,), correction_bound=1e-14)


def smoother_of(block, model=MODEL):
    prompts = standardise(block)
    eigen, *_ = model._spectrum(prompts)
    _, solvers = climb(eigen, model.correction_bound)
    return foundation_smoother(block, prompts, eigen, np.linalg.eigh(prompts.gram)[1], solvers)


def drawn(seed, B, M=16, d=4, Q=4, noise_sd=1.0, freedom=None):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(B, M + Q, d)) @ rng.normal(size=(d, d)) + 3.0
    e = rng.normal(size=(B, M + Q)) if freedom is None else rng.standard_t(freedom, (B, M + Q))
    y = (x @ rng.normal(size=(B, d, 1)))[..., 0] + noise_sd * e
    return Block(Examples(x[:, :M], y[:, :M]), x[:, M:]), y[:, M:]


def summarised(block):
    x, y = block.context
    mean, label_mean = x.mean(1), y.mean(1)
    u, r = x - mean[:, None], y - label_mean[:, None]
    products = (r[:, None] @ u)[:, 0]
    moments = Moments(x.shape[1], mean, label_mean, u.mT @ u, products, (r * r).sum(1))
    return Block(moments, block.queries)


def covered(widths, errors):
    """Share of queries inside (L,) and its standard error over prompts (L,)."""
    inside = (np.abs(errors)[..., None] <= widths.half_widths).mean(axis=1)  # (B, L)
    return inside.mean(0), inside.std(0) / math.sqrt(len(inside))


@pytest.mark.parametrize("freedom", [3.0, 3.7, 5.0, 12.5, 60.0, 1e9])
def test_student_quantiles_hold_their_share_of_the_density(freedom):
    """∫ of the density up to the quantile, by Simpson's rule in a variable without tails."""
    angles = np.linspace(0.0, 1.0, 4001)
    for level, quantile in zip(LEVELS, student_quantiles(np.array([freedom]))[0], strict=True):
        t = quantile * angles
        log_density = -(freedom + 1) / 2 * np.log1p(t * t / freedom)
        gammas = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
        gammas = -0.5 * math.log(2.0) if freedom > 1e8 else gammas - 0.5 * math.log(freedom)
        density = np.exp(log_density + gammas) / math.sqrt(math.pi)
        weights = np.array([1.0] + [4.0, 2.0] * 1999 + [4.0, 1.0])

        share = 2 * quantile * (density @ weights) / 12000

        assert share == pytest.approx(level, abs=1e-7)


def test_fewer_than_three_degrees_of_freedom_count_as_three():
    narrow = student_quantiles(np.array([0.1, 3.0]))

    np.testing.assert_array_equal(narrow[0], narrow[1])


def test_leaving_one_out_is_a_ridge_without_that_example():
    """In the prompt's own units, with λ kept and an intercept that is not penalised."""
    block, _ = drawn(0, 1)
    s = smoother_of(block, EXACT)
    u, r = s.rows[0], s.labels[0]
    errors = []
    for i in range(16):
        keep = np.arange(16) != i
        design = np.column_stack([u[keep], np.ones(15)])
        penalty = np.diag([2.0] * 4 + [0.0])
        w = np.linalg.solve(design.T @ design + penalty, design.T @ r[keep])
        errors.append(r[i] - u[i] @ w[:4] - w[4])

    np.testing.assert_allclose(leave_one_out(s, s.rows, s.labels).errors[0], errors, rtol=1e-9)


def test_a_rows_reach_compares_a_query_with_examples_left_out():
    block, _ = drawn(1, 1)
    s = smoother_of(block, EXACT)
    u, v = s.rows[0], s.queries[0]
    A = s.gram[0] + 2.0 * np.eye(4)

    def lean(point, count, inverse):
        return point @ inverse @ point + 1.0 / count

    left = [lean(row, 16, np.linalg.inv(A)) for row in u]
    examples = max(h / (1 - h) for h in left)
    expected = [lean(q, 16, np.linalg.inv(A)) / examples for q in v]

    np.testing.assert_allclose(reaches(s, s.rows)[0], expected, rtol=1e-9)


@pytest.mark.parametrize(("M", "d"), [(8, 2), (16, 4), (64, 8)])
def test_foundation_covers_what_it_says_on_linear_prompts(M, d):
    """Extrapolating queries are given more, so a little above the level and not below."""
    block, targets = drawn(2, 1500, M, d)
    s = smoother_of(block)
    widths = uncalibrated(s)

    share, error = covered(widths, targets - s.predictions)

    assert (share >= np.array(LEVELS) - 3 * error - 0.01).all(), share
    assert (share <= np.array(LEVELS) + 3 * error + 0.025).all(), share
    assert widths.method == Method.UNCALIBRATED


def test_a_summary_covers_what_it_says():
    block, targets = drawn(3, 1500)
    s = smoother_of(summarised(block))

    share, error = covered(uncalibrated(s), targets - s.predictions)

    np.testing.assert_array_less(np.abs(share - LEVELS), 3 * error + 0.015)


def test_past_the_end_of_a_drifting_series_reach_covers_more():
    """A trend fitted to a random walk cannot see how far the walk strays after the examples."""
    rng = np.random.default_rng(4)
    day = np.tile(np.arange(20.0)[:, None], (1500, 1, 1))
    walk = np.cumsum(rng.normal(size=(1500, 20)), axis=1)
    s = smoother_of(Block(Examples(day[:, :12], walk[:, :12]), day[:, 12:]))
    errors = walk[:, 12:] - s.predictions
    reach = np.maximum(reaches(s, s.rows), 1.0)[..., None]

    widths = uncalibrated(s)

    plain = widths._replace(half_widths=widths.half_widths / np.sqrt(reach))
    assert covered(plain, errors)[0][0] < 0.55  # of .80
    assert covered(widths, errors)[0][0] > covered(plain, errors)[0][0] + 0.1


def test_noiseless_and_constant_labels_and_short_prompts_are_not_honoured():
    block, _ = drawn(5, 3, M=6, d=3)
    y = block.context.y.copy()
    y[0] = 2.0
    widths = uncalibrated(smoother_of(Block(Examples(block.context.x, y), block.queries)))
    loose = FoundationModel(MODEL.steps, lambda_grid=(1e-3,), correction_bound=1e-14)
    short, _ = drawn(6, 3, M=5, d=3)

    thin = uncalibrated(smoother_of(short, loose))

    assert not widths.honoured[0].any()
    np.testing.assert_array_equal(widths.half_widths[0], 0.0)
    assert widths.honoured[1:].all()
    assert not thin.honoured.any()  # M - df is about 1


def test_a_prompt_answered_by_its_mean_gets_the_textbook_interval():
    rng = np.random.default_rng(7)
    y = rng.normal(5, 2, (1, 9))
    block = Block(Examples(np.ones((1, 9, 2)), y), np.ones((1, 1, 2)))

    widths = uncalibrated(smoother_of(block), [0.9])

    t = student_quantiles(np.array([8.0]))[0, 1]
    expected = t * y.std(ddof=1) * math.sqrt(1 + 1 / 9)
    assert widths.half_widths[0, 0, 0] == pytest.approx(expected, rel=1e-9)


def test_widths_follow_the_labels_unit_and_no_other():
    block, _ = drawn(8, 5)
    widths = uncalibrated(smoother_of(block))
    x, y = block.context
    units = np.array([1e-5, 1.0, 1e4, 60.0])
    moved = Block(Examples(x * units + 3, 1e3 * y - 7), block.queries * units + 3)

    other = uncalibrated(smoother_of(moved))

    np.testing.assert_allclose(other.half_widths, 1e3 * widths.half_widths, rtol=1e-7)


def test_a_level_that_was_never_calibrated_is_refused_by_name():
    block, _ = drawn(9, 1)

    with pytest.raises(Refusal) as refused:
        uncalibrated(smoother_of(block), [0.5])

    assert "0.80, 0.90, 0.95, got 0.5" in str(refused.value)


LAW = Law(rotated(np.random.default_rng(0), spectrum(4, 10.0)), noise_variance=0.5)


@pytest.mark.parametrize("centred", [True, False])
def test_the_papers_leave_one_out_scores_are_refits_over_their_expected_error(centred):
    rng = np.random.default_rng(10)
    x, y, _, _ = LAW.draw(rng, 1, 9)
    terms = 8 if centred else 9
    A = PaperModel(LAW.covariance, 0.5).weights(terms)
    block = Block(Examples(x, y), x[:, :1])
    ratio, scores = 0.7, []
    for i in range(9):
        keep = np.arange(9) != i
        u, r, q, target = x[0, keep], y[0, keep], x[0, i], y[0, i]
        if centred:
            u, r, q, target = u - u.mean(0), r - r.mean(), q - u.mean(0), target - r.mean()
        S, v = u.T @ u / (terms - 1), A.T @ q
        error = target - v @ (u.T @ r) / (terms - 1)
        share = 1 / 8 if centred else 0.0
        law = np.sum((S @ v - q) ** 2) + ratio * (v @ S @ v / (terms - 1) + 1 + share)
        scores.append(abs(error) / math.sqrt(law))
    s = paper_smoother(block, A, centred)

    widths = paper_intervals(s, ratio, [0.8])

    v, S = A.T @ s.queries[0, 0], s.gram[0] / terms
    expected = np.sum((S @ v - s.queries[0, 0]) ** 2)
    expected += ratio * (v @ S @ v / terms + 1 + (1 / 9 if centred else 0.0))
    half = sorted(scores)[7] * math.sqrt(expected)  # the ⌈.8 · 10⌉-th
    assert widths.half_widths[0, 0, 0] == pytest.approx(half, rel=1e-9)


@pytest.mark.parametrize("shift", [1.0, 2.0], ids=["its law", "covariates doubled"])
@pytest.mark.parametrize("centred", [True, False])
def test_the_paper_model_covers_what_it_says(centred, shift):
    """Even where covariates are not of its law: errors are measured by what that shift costs."""
    rng = np.random.default_rng(11)
    law = Law(shift**2 * LAW.covariance, noise_variance=0.5)
    x, y, queries, clean = law.draw(rng, 4000, 40)
    targets = clean + math.sqrt(0.5) * rng.normal(size=clean.shape)
    model = PaperModel(LAW.covariance, 0.5, centred=centred)
    block = Block(Examples(x, y), queries)
    s = paper_smoother(block, model.weights(39 if centred else 40), centred)

    widths = paper_intervals(s, 0.5)

    share, error = covered(widths, targets - s.predictions)
    np.testing.assert_array_less(np.abs(share - LEVELS), 3 * error + 0.015)
    assert widths.honoured.all()


def test_the_papers_summary_covers_what_it_says():
    rng = np.random.default_rng(12)
    x, y, queries, clean = LAW.draw(rng, 4000, 40)
    targets = clean + math.sqrt(0.5) * rng.normal(size=clean.shape)
    block = summarised(Block(Examples(x, y), queries))
    s = paper_smoother(block, PaperModel(LAW.covariance, 0.5).weights(39), True)

    share, error = covered(paper_intervals(s, 0.5), targets - s.predictions)

    np.testing.assert_array_less(np.abs(share - LEVELS), 3 * error + 0.015)


def test_a_prompt_too_short_for_a_rank_says_so_and_gets_a_students_quantile():
    """At 95 % the smallest length is 19, at 90 % it is 9."""
    rng = np.random.default_rng(13)
    x, y, queries, _ = LAW.draw(rng, 2, 10)
    s = paper_smoother(Block(Examples(x, y), queries), np.eye(4), True)

    widths = paper_intervals(s, 0.5)

    np.testing.assert_array_equal(widths.honoured, [[True, True, False]] * 2)
    t = student_quantiles(np.array([6.0]))[0, 2]
    np.testing.assert_allclose(widths.half_widths[..., 2], t * widths.standard_errors, rtol=1e-12)


def profiles(seed, groups, each=4, M=8, Q=6, p=3):
    """Prompts of a random-coefficient world with heavy tails, and the exact profile's smoother."""
    rng = np.random.default_rng(seed)
    B = groups * each
    task = 1.0 + np.repeat(rng.normal(size=(groups, p)), each, axis=0)
    rows = rng.normal(size=(B, M + Q, p))
    y = np.einsum("bmp,bp->bm", rows, task) + 0.5 * rng.standard_t(4, (B, M + Q))
    u, v, r = rows[:, :M], rows[:, M:], y[:, :M]
    gram = u.mT @ u
    P = np.linalg.inv(gram + 0.5 * np.eye(p))
    flat, one = np.zeros((B, p)), np.ones((B, p))
    s = Smoother(
        *(M, False, P, gram, (r[:, None] @ u)[:, 0], (r * r).sum(1), v, flat[:, 0], one[:, 0]),
        *(flat, one, np.ones(p), u, r),
    )
    return s, y[:, M:], np.repeat(np.arange(groups), each)


def test_calibrated_intervals_cover_new_groups_where_students_do_not_fit():
    calibration = calibrate([held_out(*profiles(14, 400))])
    s, targets, _ = profiles(15, 800)

    widths = calibrated(s, calibration)

    share, error = covered(widths, targets - s.predictions)
    np.testing.assert_array_less(np.abs(share - LEVELS), 4 * error + 0.005)
    assert (widths.method, widths.honoured.all()) == (Method.CALIBRATED, True)


def test_calibrated_widths_are_quantiles_of_history_times_the_pooled_noise():
    s, targets, groups = profiles(16, 60)
    seen = noise(s)
    logs = np.log(seen.variance)
    nu = np.clip(2 / max(logs.var() - 2 / 8, 1e-3), 0.5, 60)
    pooled = (nu * np.exp(np.median(logs)) + 8 * seen.variance) / (nu + 8)
    scale = np.sqrt(pooled[:, None] * (1 + query_leverages(s)))
    score = np.sort((np.abs(targets - s.predictions) / scale).ravel())

    widths = calibrated(s, calibrate([held_out(s, targets, groups)]), [0.9])

    quantile = np.quantile(score, 0.9 * (1 + 1 / len(score)))
    np.testing.assert_allclose(widths.half_widths[..., 0], quantile * scale, rtol=1e-12)
    np.testing.assert_allclose(widths.standard_errors, scale, rtol=1e-12)


def test_few_groups_are_provisional_and_few_prompts_cannot_tell_a_level():
    s, targets, groups = profiles(17, 4, each=3)

    widths = calibrated(s, calibrate([held_out(s, targets, groups)]))

    assert widths.method == Method.PROVISIONAL
    np.testing.assert_array_equal(widths.honoured[0], [True, True, False])  # 12 of the 19 needed


def test_a_query_that_is_not_there_counts_for_nothing():
    s, targets, groups = profiles(18, 30)
    padded = targets.copy()
    padded[:, 3:] = np.nan

    calibration = calibrate([held_out(s, padded, groups)])

    short = calibrate([held_out(_first_queries(s, 3), targets[:, :3], groups)])
    np.testing.assert_array_equal(calibration.quantiles, short.quantiles)


def test_folds_of_one_length_join_to_what_they_were_cut_from():
    whole = held_out(*profiles(20, 30))
    folds = group_folds(whole.groups)
    order = np.argsort(folds, kind="stable")

    parts = [_prompts(whole, folds == fold) for fold in range(3)]

    again = joined(parts)
    for one, other in zip(again.noise, whole.noise, strict=True):
        np.testing.assert_array_equal(one, other[order])
    for one, other in zip(again[2:], whole[2:], strict=True):
        np.testing.assert_array_equal(one, other[order])
    np.testing.assert_array_equal(calibrate([again]).quantiles, calibrate([whole]).quantiles)


def _prompts(held, chosen):
    seen = type(held.noise)(*(column[chosen] for column in held.noise))
    return HeldOut(held.length, seen, *(column[chosen] for column in held[2:]))


def _first_queries(s, count):
    fields = {name: getattr(s, name) for name in Smoother.__slots__}
    return Smoother(**{**fields, "queries": s.queries[:, :count]})


def test_a_prompt_takes_the_bucket_nearest_in_ratio():
    parts = [held_out(*profiles(19, 20, M=M)) for M in (8, 16, 32, 64)]

    calibration = calibrate(parts)

    lengths = (2, 11, 12, 22, 23, 45, 46, 5000)
    assert [calibration.bucket(M) for M in lengths] == [0, 0, 1, 1, 2, 2, 3, 3]


@given(st.lists(st.integers(-5, 40), min_size=1, max_size=60), st.integers(2, 5))
def test_folds_never_split_a_group_and_are_even(groups, count):
    folds = group_folds(np.array(groups), count)

    pairs = set(zip(groups, folds.tolist(), strict=True))
    assert len(pairs) == len(set(groups))
    sizes = np.bincount([fold for _, fold in pairs], minlength=count)
    assert sizes.max() - sizes.min() <= 1


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(4, 8), st.integers(1, 3))
def test_no_finite_prompt_has_a_bound_that_is_not_a_number(data, M, d):
    numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
    flat = np.array(data.draw(st.lists(numbers, min_size=M * d + M + d, max_size=M * d + M + d)))
    x, y, q = flat[: M * d].reshape(1, M, d), flat[None, M * d : M * d + M], flat[None, None, -d:]
    block = Block(Examples(x, y), q)
    with np.errstate(all="ignore"):  # as the server computes
        answer = MODEL.answer(block)
        if not answer.refusals:
            lower, upper = uncalibrated(smoother_of(block)).bounds(answer.predictions)

            assert (lower <= upper).all()
            assert np.isfinite([lower, upper]).all()
