"""Detectors: mistakes planted in prompts are found by name, clean prompts are left alone."""

import dataclasses
import math

import numpy as np
import pytest

from model.answer import Answer, Caution
from model.detectors import (
    Finding,
    conditional,
    distinct,
    duplicates,
    impute,
    label_outliers,
    query_shift,
    studentised,
)
from model.explain import Smoother
from model.moments import Moments
from model.profile_doubts import doubted, limits_of
from model.profile_range import (
    STATISTICS,
    broken_kinds,
    doubts,
    out_of_range,
    reference_of,
    statistics,
    thresholds,
)
from model.prompt import Block, Examples

NAMES = ("celsius", "visitors", "share")
MEAN, SPREAD = np.array([15.0, 400.0, 0.3]), np.array([6.0, 120.0, 0.1])
BETWEEN = np.array([3.0, 50.0, 0.03])
TASK = np.array([2.0, 0.05, 40.0])


def shops(seed, groups=40, each=3, M=16, Q=4):
    """Prompts of shops: correlated temperature and share, whole visitors, a task a shop."""
    rng = np.random.default_rng(seed)
    B = groups * each
    z = rng.normal(size=(B, M + Q, 3))
    z[..., 2] = 0.8 * z[..., 0] + 0.6 * z[..., 2]
    shop = np.repeat(rng.normal(size=(groups, 1, 3)), each, axis=0)
    x = MEAN + BETWEEN * shop + SPREAD * z
    x[..., 1] = np.round(x[..., 1])
    task = TASK * (1 + 0.2 * np.repeat(rng.normal(size=(groups, 3)), each, axis=0))
    y = 50 + np.einsum("bmd,bd->bm", x, task) + 3 * rng.normal(size=(B, M + Q))
    block = Block(Examples(x[:, :M], y[:, :M]), x[:, M:], NAMES)
    return block, np.repeat(np.arange(groups), each)


PRECISION = np.diag(1 / np.array([100.0, 0.25, 0.25, 0.25]))


def smoother_of(block):
    """The exact profile with an intercept, in coordinates (x - MEAN)/SPREAD, prior and all."""
    x, y = block.context
    B, M, _ = x.shape

    def design(rows):
        return np.concatenate([np.ones((*rows.shape[:2], 1)), (rows - MEAN) / SPREAD], axis=2)

    u, r = design(x), y - 100.0
    gram = u.mT @ u
    P = np.linalg.inv(gram + 9.0 * PRECISION / 100)
    return Smoother(
        *(M, False, P, gram, (r[:, None] @ u)[:, 0], (r * r).sum(1), design(block.queries)),
        *(np.full(B, 100.0), np.ones(B), np.tile(MEAN, (B, 1)), np.tile(SPREAD, (B, 1))),
        *(np.array([0.0, 12.0, 6.0, 4.0]), u, r),
    )


def fitted(seed=0):
    history, groups = shops(seed, groups=200)
    return reference_of(history, 9.0, PRECISION), history, groups


def flagged(findings):
    return {finding.prompt for finding in findings}


def changed(block, x=None, y=None, queries=None):
    old = block.context
    return Block(
        Examples(old.x if x is None else x, old.y if y is None else y),
        block.queries if queries is None else queries,
        block.names,
    )


def test_copies_are_counted_per_prompt_label_included():
    x = np.array([[[1.0, 2], [1, 2], [0.0, 3], [-0.0, 3]], [[1, 2], [1, 2], [1, 2], [9, 9]]])
    y = np.array([[5.0, 6, 7, 7], [5, 5, 5, 5]])
    x[1, 3] = [-1, 2]

    found = distinct(Examples(x, y))

    np.testing.assert_array_equal(found.counts, [3, 2])
    np.testing.assert_allclose(found.shares, [0.25, 0.5])
    assert [f.prompt for f in duplicates(Examples(x, y), 0.3)] == [1]
    assert "2 of 4 examples are exact copies" in duplicates(Examples(x, y), 0.3)[0].sentence


def test_studentised_errors_are_those_of_least_squares_refitted_without_the_example():
    """External studentisation, where nothing is shrunk; the divisor counts no coefficients."""
    block, _ = shops(1, groups=1, each=1)
    s = smoother_of(block)
    exact = dataclasses.replace(s, inverse=np.linalg.inv(s.gram), prior_mean=np.zeros(4))
    u, r = s.rows[0], s.labels[0]
    expected = []
    for i in range(16):
        keep = np.arange(16) != i
        w, (rss,), *_ = np.linalg.lstsq(u[keep], r[keep], rcond=None)
        h = u[i] @ np.linalg.inv(u.T @ u) @ u[i]
        expected.append((r[i] - u[i] @ w) * math.sqrt(1 - h) / math.sqrt(rss / 15))

    score = studentised(exact, s.rows, s.labels)[0]

    np.testing.assert_allclose(score, expected, rtol=1e-8)


def test_a_wrong_label_is_named_with_what_was_expected():
    block, _ = shops(2)
    y = block.context.y.copy()
    true = y[:, 5].copy()
    y[:, 5] += 60.0  # twenty times the noise

    findings = label_outliers(smoother_of(changed(block, y=y)))

    assert len(label_outliers(smoother_of(block))) <= 2
    assert np.mean([f.place == 5 for f in findings]) > 0.99
    assert len(findings) > 0.95 * len(y)
    low, high = (float(word) for word in findings[0].sentence.split("suggest ")[1].split(" to "))
    assert low < true[findings[0].prompt] < high
    assert f"label 5 is {y[findings[0].prompt, 5]:.6g}" in findings[0].sentence


def test_equal_labels_have_no_outlier():
    block, _ = shops(3, groups=2)
    s = smoother_of(changed(block, y=np.full((6, 16), 100.0)))

    assert label_outliers(dataclasses.replace(s, label_unit=np.zeros(6))) == []


def test_queries_of_the_examples_law_are_called_shifted_as_rarely_as_promised():
    block, _ = shops(4, groups=1500, each=2, M=10, Q=12)

    share = len(query_shift(smoother_of(block))) / 3000

    assert share <= 0.003 + 3 * math.sqrt(0.003 / 3000)


def test_as_many_far_queries_are_expected_as_chance_allows():
    """The k farthest of M + Q rows are all queries in C(M+Q-k, M) of C(M+Q, M) orders."""
    block, _ = shops(5, M=10, Q=12)
    orders = math.comb(22, 10)
    allowed = max(k for k in range(13) if math.comb(22 - k, 10) / orders >= 0.003)

    finding = query_shift(smoother_of(changed(block, queries=block.queries + 9 * SPREAD)))[0]

    assert f"(expected at most {allowed})" in finding.sentence


def test_queries_past_the_examples_are_called_shifted():
    block, _ = shops(5, Q=8)

    findings = query_shift(smoother_of(changed(block, queries=block.queries + 6 * SPREAD)))

    assert len(findings) >= 0.95 * len(block.queries)
    assert "8 of 8 queries lie farther out than every one of the 16 examples" in (
        findings[0].sentence
    )


def test_a_missing_value_is_what_its_row_suggests():
    """The Gaussian's conditional mean, one row at a time, by the textbook formula."""
    rng = np.random.default_rng(6)
    root = rng.normal(size=(4, 4))
    cov = root @ root.T
    correlation = cov / np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
    z = rng.normal(size=(200, 4))
    z[rng.random(z.shape) < 0.4] = np.nan
    noisy = correlation + 0.02 * np.eye(4)

    filled = conditional(z, correlation)

    for row, expected in zip(z, filled, strict=True):
        gap = np.isnan(row)
        known = noisy[np.ix_(~gap, ~gap)]
        guess = noisy[np.ix_(gap, ~gap)] @ np.linalg.inv(known) @ row[~gap]
        np.testing.assert_allclose(expected[gap], guess, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(expected[~gap], row[~gap])


def test_filling_gaps_beats_the_prompts_mean_and_is_reported():
    reference, _, _ = fitted()
    block, _ = shops(7)
    x, queries = block.context.x.copy(), block.queries.copy()
    x[:, ::6, 2], queries[:, 0, 0] = np.nan, np.nan

    imputed = impute(
        changed(block, x=x, queries=queries),
        *(reference.mean, reference.within_sd, reference.correlation),
    )

    gaps = np.isnan(x)
    truth, filled = block.context.x[gaps], imputed.block.context.x[gaps]
    by_mean = np.broadcast_to(np.nanmean(x, axis=1, keepdims=True), x.shape)[gaps]
    assert np.std(filled - truth) < 0.7 * np.std(by_mean - truth)  # √(1 - .8²) = .6 at best
    np.testing.assert_array_equal(imputed.block.context.x[~gaps], block.context.x[~gaps])
    assert np.isfinite(imputed.block.queries).all()
    assert len(imputed.filled) == len(x)
    assert "4 missing values were filled in: 3 in feature 'share' (" in (imputed.filled[0].sentence)
    assert imputed.refused == []


def test_too_many_gaps_are_refused_and_a_column_without_values_takes_the_profiles_mean():
    reference, _, _ = fitted()
    block, _ = shops(8, groups=1, each=3)
    x = block.context.x.copy()
    x[0, :12, 1] = np.nan  # a quarter of the cells
    x[1, 0, :2] = np.nan  # two of three in a row
    args = (reference.mean, reference.within_sd, reference.correlation)

    imputed = impute(changed(block, x=x), *args)

    assert [f.prompt for f in imputed.refused] == [0, 1]
    assert "got 25%" in imputed.refused[0].sentence
    assert "2 of 3 in a row" in imputed.refused[1].sentence
    x[2, :, 1] = np.nan
    whole = impute(changed(block, x=x), *args).block.context.x
    assert np.abs(whole[2, :, 1] - reference.mean[1]).max() < 2 * reference.within_sd[1]


def test_a_feature_in_another_unit_is_refused_by_name_value_and_range():
    reference, _, _ = fitted()
    block, _ = shops(9)
    clean = out_of_range(block, reference)
    for column in range(3):
        x, queries = block.context.x.copy(), block.queries.copy()
        x[..., column] *= 1000
        queries[..., column] *= 1000

        findings = out_of_range(changed(block, x=x, queries=queries), reference)

        assert flagged(findings) == set(range(len(x)))
        assert NAMES[column] in findings[0].sentence
        assert {f.place for f in findings} == {column}
    assert clean == []


def test_a_query_in_another_unit_is_refused_with_its_row():
    reference, _, _ = fitted()
    block, _ = shops(10, groups=1, each=1)
    queries = block.queries.copy()
    queries[0, 2, 0] = 9000.0

    (finding,) = out_of_range(changed(block, queries=queries), reference)

    assert finding.sentence.startswith("feature 'celsius' of query 2: expected a value of -")
    assert finding.sentence.endswith("got 9000")
    assert finding.field == "queries"


@pytest.mark.parametrize(("factor", "shift"), [(300.0, 0.0), (1e-4, 130.0), (1.0, 1e4)])
def test_labels_of_another_size_or_place_are_refused(factor, shift):
    reference, _, _ = fitted()
    block, _ = shops(11)
    y = block.context.y
    mean = y.mean(axis=1, keepdims=True)

    findings = out_of_range(changed(block, y=mean + shift + factor * (y - mean)), reference)

    assert len(findings) == len(y)
    assert findings[0].sentence.startswith("labels: expected a ")


def test_a_number_that_is_not_one_is_out_of_range():
    reference, _, _ = fitted()
    block, _ = shops(12, groups=1, each=1)
    queries = block.queries.copy()
    queries[0, 0, 0] = np.nan

    assert len(out_of_range(changed(block, queries=queries), reference)) == 1


def test_whole_numbers_that_are_not_whole_give_a_swap_away():
    reference, _, _ = fitted()
    block, _ = shops(13)
    x, queries = block.context.x[..., [0, 2, 1]], block.queries[..., [0, 2, 1]]

    findings = broken_kinds(changed(block, x=x, queries=queries), reference)

    assert broken_kinds(block, reference) == []
    assert flagged(findings) == set(range(len(x)))
    assert findings[0].sentence.startswith("feature 'visitors': expected whole numbers, got 0.")


def test_a_number_of_another_kind_is_said_where_no_statistic_is_strange():
    reference, _, _ = fitted()
    block, _ = shops(13)
    wrong = changed(block, x=block.context.x[..., [0, 2, 1]], queries=block.queries[..., [0, 2, 1]])
    B, Q = block.queries.shape[:2]
    answer = Answer(np.zeros((B, Q)), bytearray(B), bytearray(B))
    never = limits_of([(block.example_count, np.full(10, np.inf))])

    clean = doubted(answer, block, reference, smoother_of(block), never)
    told = doubted(answer, wrong, reference, smoother_of(wrong), never)

    assert list(clean.warned) == []
    assert [one.prompt for one in told.warned] == list(range(B))
    assert {one.caution for one in told.warned} == {Caution.OUT_OF_PROFILE_RANGE}
    assert "'visitors': expected whole numbers" in told.warned[0].sentence


def test_the_ten_statistics_are_their_formulas():
    reference, _, _ = fitted()
    block, _ = shops(14, groups=2, each=1)
    s = smoother_of(block)
    x, y, q = block.context.x[1], block.context.y[1], block.queries[1]
    ref = reference
    L = 1.2 * ref.within
    S = np.cov(x.T) / np.outer(ref.sd, ref.sd) + 0.2 * ref.within
    v = (q - x.mean(0)) / ref.sd
    w = s.coefficients[1]
    u, r = s.rows[1], s.labels[1]
    h = np.array([row @ s.inverse[1] @ row for row in u])
    loo = (r - u @ w) / (1 - h)
    expected = [
        np.abs((x.mean(0) - ref.mean) / ref.sd).max(),
        np.abs(np.log(x.std(0, ddof=1) / ref.sd) - ref.log_spread).max(),
        abs(y.mean() - ref.label_mean) / ref.label_sd,
        abs(math.log(y.std(ddof=1) / ref.label_spreads[1])),
        0.5 * (np.trace(np.linalg.inv(L) @ S) - math.log(np.linalg.det(np.linalg.inv(L) @ S))),
        max(row @ np.linalg.inv(L) @ row for row in v),
        math.log(np.mean(loo**2) / y.var(ddof=1)),
        0.5 * math.log(np.mean(loo**2) / 9.0),
        np.abs(studentised(s, s.rows, s.labels)[1]).max(),
        (w - s.prior_mean) @ PRECISION @ (w - s.prior_mean),
    ]

    found = statistics(block, reference, s)[1]

    assert len(STATISTICS) == 10
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def mistakes(block):
    """Each mistake and the statistics that should tell it."""
    x, y = block.context
    rng = np.random.default_rng(0)
    shuffled = rng.permuted(y, axis=1)
    outlier = y.copy()
    outlier[:, 3] += 60
    mixed = x.copy()
    mixed[..., 2] = x[..., 2].mean(1, keepdims=True) - (mixed[..., 2] - x[..., 2].mean())
    return {
        "fahrenheit": (changed(block, x=x * [1.8, 1, 1] + [32, 0, 0]), {0, 1, 4}),
        "labels in cents": (changed(block, y=100 * y), {2, 3}),
        "far queries": (changed(block, queries=block.queries + 6 * SPREAD), {5}),
        "labels shuffled": (changed(block, y=shuffled), {6, 7}),
        "one label wrong": (changed(block, y=outlier), {7, 8}),
        "sign of labels": (changed(block, y=200 - y), {9}),
    }


@pytest.mark.parametrize(
    "mistake", ["fahrenheit", "labels in cents", "far queries", "labels shuffled"]
)
def test_mistakes_raise_the_statistics_made_for_them(mistake):
    reference, history, groups = fitted()
    limits = thresholds(statistics(history, reference, smoother_of(history)), groups)
    block, _ = shops(15)
    wrong, tell = mistakes(block)[mistake]

    exceeded = statistics(wrong, reference, smoother_of(wrong)) > limits

    assert exceeded[:, sorted(tell)].any(axis=1).mean() > 0.9


@pytest.mark.parametrize("mistake", ["one label wrong", "sign of labels"])
def test_mistakes_in_labels_raise_theirs(mistake):
    reference, history, groups = fitted()
    limits = thresholds(statistics(history, reference, smoother_of(history)), groups)
    block, _ = shops(16)
    wrong, tell = mistakes(block)[mistake]

    exceeded = statistics(wrong, reference, smoother_of(wrong)) > limits

    assert exceeded[:, sorted(tell)].any(axis=1).mean() > 0.9


def test_clean_prompts_of_new_groups_exceed_a_threshold_as_rarely_as_its_share():
    reference, history, groups = fitted()
    limits = thresholds(statistics(history, reference, smoother_of(history)), groups)
    block, _ = shops(17, groups=700)

    share = (statistics(block, reference, smoother_of(block)) > limits).mean(axis=0)  # (10,)

    assert (share <= 0.003 + 0.012).all(), share


def test_thresholds_are_off_below_twenty_groups():
    found = np.random.default_rng(0).normal(size=(100, 10))

    off, on = thresholds(found, np.arange(100) % 19), thresholds(found, np.arange(100) % 20)

    assert np.isinf(off).all()
    np.testing.assert_allclose(on, np.quantile(found, 0.997, axis=0))


@pytest.mark.parametrize(
    ("which", "start"),
    [
        (0, "feature 'celsius': expected a mean of "),
        (1, "feature 'visitors': expected a standard deviation of "),
        (2, "labels: expected a mean of "),
        (3, "labels: expected a standard deviation of "),
        (5, "query distance: expected at most "),
        (9, "distance from the average task: expected at most "),
    ],
)
def test_a_doubt_names_what_is_strange_and_what_was_expected(which, start):
    reference, _, _ = fitted()
    block, _ = shops(18, groups=1, each=1)
    x = block.context.x.copy()
    x[..., 0] += 60
    x[..., 1] = x[..., 1].mean() + 9 * (x[..., 1] - x[..., 1].mean())
    wrong = changed(block, x=x, y=9 * block.context.y)
    found = statistics(wrong, reference, smoother_of(wrong))
    limits = np.full(10, np.inf)
    limits[which] = found[0, which] / 2

    (finding,) = doubts(wrong, reference, found, limits)

    assert isinstance(finding, Finding)
    assert finding.sentence.startswith(start)
    if which < 4:
        low, high = finding.sentence.split(" of ")[1].split(", got ")[0].split(" to ")
        got = float(finding.sentence.split("got ")[1])
        assert not float(low) <= got <= float(high)


def test_a_summary_has_every_statistic_that_needs_no_rows():
    reference, _, _ = fitted()
    block, _ = shops(19, groups=2, each=1)
    x, y = block.context
    u, r = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    moments = Moments(16, x.mean(1), y.mean(1), u.mT @ u, (r[:, None] @ u)[:, 0], (r * r).sum(1))
    s = smoother_of(block)
    summary = dataclasses.replace(s, rows=None, labels=None)

    found = statistics(Block(moments, block.queries), reference, summary)

    rows = statistics(block, reference, s)
    np.testing.assert_allclose(found[:, [0, 1, 2, 3, 4, 5, 9]], rows[:, [0, 1, 2, 3, 4, 5, 9]])
    assert np.isnan(found[:, 6:9]).all()
    assert doubts(Block(moments, block.queries), reference, found, np.full(10, 1e9)) == []
    assert label_outliers(summary) == query_shift(summary) == []
