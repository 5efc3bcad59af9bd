"""The history-free model: equal to its tokens, never divergent, indifferent to units."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.answer import Caution, Mode, Solver
from model.checkpoint import FOUNDATION_FILE, load
from model.foundation import FoundationModel
from model.layers import effective_inverse
from model.moments import Sums
from model.prompt import Block, Examples
from model.tokens import deep_prediction

MODEL = load(FOUNDATION_FILE).model
STEPS = MODEL.steps


def block(x, y, queries):
    return Block(Examples(x[None], y[None]), queries[None])


def prompt(seed, M, d, Q=3, noise=0.3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(M + Q, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d) * 5
    y = x @ rng.normal(size=d) + noise * rng.normal(size=M + Q) + 11.0
    return x[:M], y[:M], x[M:]


def standardised(x, y, queries):
    s, label_s = x.std(0, ddof=1), y.std(ddof=1)
    return (x - x.mean(0)) / s, (y - y.mean()) / label_s, (queries - x.mean(0)) / s, label_s


@pytest.mark.parametrize(("M", "d"), [(8, 2), (16, 5), (5, 9)])
def test_one_pass_equals_the_network_token_by_token(M, d):
    x, y, queries = prompt(M, M, d)
    model = FoundationModel(STEPS, lambda_grid=(2.0,), correction_bound=1e9)

    answer = model.answer(block(x, y, queries))

    u, r, v, label_s = standardised(x, y, queries)
    tokens = [deep_prediction(u, r, q, np.sqrt(2.0) * np.eye(d), STEPS) for q in v]
    np.testing.assert_allclose(answer.predictions[0], y.mean() + label_s * np.array(tokens), 1e-10)
    assert answer.solvers[0] == Solver.K1


def test_running_the_layers_again_equals_tokens_that_start_from_what_was_left():
    x, y, queries = prompt(1, 12, 3, noise=0.01)
    model = FoundationModel(STEPS, lambda_grid=(0.1,), correction_bound=0.05)
    u, r, v, label_s = standardised(x, y, queries)
    prior = np.sqrt(0.1) * np.eye(3)

    answer = model.answer(block(x, y, queries))

    A = u.T @ u + 0.1 * np.eye(3)
    b, w = u.T @ r, np.zeros(3)
    passes = {Solver.K1: 1, Solver.K2: 2, Solver.K4: 4}
    rho = np.linalg.norm(A)
    for _ in range(passes[Solver(answer.solvers[0])]):
        basis = np.eye(3)  # what one pass answers for each direction, from the labels left over
        left = b - A @ w
        step = [_pass_on_products(A / rho, left / rho, e) for e in basis]
        w = w + np.array(step)
    np.testing.assert_allclose(answer.predictions[0], y.mean() + label_s * v @ w, rtol=1e-9)
    assert deep_prediction(u, r, v[0], prior, STEPS) != pytest.approx(float(v[0] @ w), rel=1e-9)


def _pass_on_products(S, b, direction):
    """The layers in Gram form, written with plain loops."""
    eye = np.eye(len(S))
    P, m = np.zeros_like(S), eye
    for a, step in STEPS:
        P = P + a * m @ m @ (eye - S @ P)
        m = m - step * S @ m @ m @ m
    return float(direction @ P @ b)


def test_without_patience_the_exact_solve_answers():
    x, y, queries = prompt(2, 20, 4)
    model = FoundationModel(STEPS, lambda_grid=(1.0,), correction_bound=1e-14)

    answer = model.answer(block(x, y, queries))

    u, r, v, label_s = standardised(x, y, queries)
    w = np.linalg.solve(u.T @ u + np.eye(4), u.T @ r)
    np.testing.assert_allclose(answer.predictions[0], y.mean() + label_s * v @ w, rtol=1e-9)
    assert answer.solvers[0] == Solver.EXACT


@pytest.mark.parametrize("seed", range(20))
def test_an_accepted_pass_is_within_the_bound_of_what_the_next_would_add(seed):
    x, y, queries = prompt(seed, 16, 6, noise=[0.01, 0.3, 3.0][seed % 3])
    patient = FoundationModel(STEPS, (1.0,), correction_bound=1e-14)
    answer = FoundationModel(STEPS, (1.0,), correction_bound=0.05).answer(block(x, y, queries))

    exact = patient.answer(block(x, y, queries)).predictions

    u, r, v, label_s = standardised(x, y, queries)
    P = np.linalg.inv(u.T @ u + np.eye(6))
    w = P @ u.T @ r
    df = 1 + np.trace(P @ u.T @ u)
    sigma = np.sqrt(((r - u @ w) ** 2).sum() / (16 - df))
    spread = label_s * sigma * np.sqrt(1 + 1 / 16 + np.einsum("qi,ij,qj->q", v, P, v))
    assert (np.abs(answer.predictions[0] - exact[0]) <= 0.25 * spread).all()


def test_lambda_is_the_one_of_smallest_penalised_leave_one_out_error():
    """(M/2) ln LOO²(λ) + ln(λ/d)², every example left out of a ridge fit in turn."""
    x, y, queries = prompt(4, 10, 3, noise=2.0)
    grid = MODEL.lambda_grid
    u, r, _, _ = standardised(x, y, queries)
    scores = []
    for lam in grid:
        errors = [r[i] - u[i] @ ridge_without(u, r, i, lam) for i in range(10)]
        scores.append(10 / 2 * np.log(np.mean(np.square(errors))) + np.log(lam / 3) ** 2)
    best = FoundationModel(STEPS, (grid[int(np.argmin(scores))],))

    chosen = FoundationModel(STEPS, grid).answer(block(x, y, queries)).predictions

    np.testing.assert_allclose(chosen, best.answer(block(x, y, queries)).predictions, rtol=1e-12)
    assert 0 < int(np.argmin(scores)) < len(grid) - 1  # the case decides something


def ridge_without(u, r, i, lam):
    """Ridge with an unpenalised intercept and example i's row gone, in the prompt's own units."""
    keep = np.arange(len(r)) != i
    design = np.column_stack([u[keep], np.ones(len(r) - 1)])
    penalty = np.diag([lam] * u.shape[1] + [0.0])
    solved = np.linalg.solve(design.T @ design + penalty, design.T @ r[keep])
    return solved[:-1] + solved[-1] * u[i] / (u[i] @ u[i])  # folds the intercept into u[i] @ w


def test_noiseless_labels_are_continued():
    rng = np.random.default_rng(0)
    x, queries = rng.normal(size=(30, 3)), rng.normal(size=(4, 3))
    w = np.array([1.0, -2.0, 3.0])

    answer = MODEL.answer(block(x, x @ w + 7.0, queries)).predictions[0]

    np.testing.assert_allclose(answer, queries @ w + 7.0, rtol=0, atol=0.005)


def test_units_and_order_of_examples_do_not_matter():
    x, y, queries = prompt(5, 14, 4)
    expected = MODEL.answer(block(x, y, queries)).predictions
    order = np.random.default_rng(0).permutation(14)
    units, shift = np.array([1e-6, 1e3, 7.0, 1e9]), np.array([0.0, 30.0, -2.0, 5.0])

    changed = MODEL.answer(
        block(x[order] * units + shift, y[order] * 4e5 - 3, queries * units + shift)
    ).predictions

    np.testing.assert_allclose((changed + 3) / 4e5, expected, rtol=1e-8)


def test_a_query_does_not_see_its_neighbours():
    x, y, queries = prompt(6, 12, 3, Q=5)
    bound = FoundationModel(STEPS, correction_bound=1e9)  # one pass for all: no shared ladder

    together = bound.answer(block(x, y, queries)).predictions[0]

    alone = [bound.answer(block(x, y, q[None])).predictions[0, 0] for q in queries]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_a_batch_equals_its_prompts_one_by_one():
    prompts = [prompt(seed, 12, 4) for seed in range(30)]
    x, y, queries = (np.stack(part) for part in zip(*prompts, strict=True))

    answer = MODEL.answer(Block(Examples(x, y), queries))

    for i, single in enumerate(prompts):
        alone = MODEL.answer(block(*single))
        np.testing.assert_allclose(answer.predictions[i], alone.predictions[0], rtol=1e-11)
        assert answer.solvers[i] == alone.solvers[0]


def test_a_summary_answers_like_its_rows_at_the_same_lambda():
    x, y, queries = prompt(7, 30, 5)
    model = FoundationModel(STEPS, lambda_grid=(3.0,))
    moments = Sums.from_rows(x, y, np.full(5, 1.5), 10.0).centred()

    answer = model.answer(Block(moments, queries[None]))

    rows = model.answer(block(x, y, queries))
    np.testing.assert_allclose(answer.predictions, rows.predictions, rtol=1e-9)
    assert answer.solvers[0] == rows.solvers[0]


def test_constant_labels_are_answered_by_that_label():
    x, _, queries = prompt(8, 10, 3)

    answer = MODEL.answer(block(x, np.full(10, 0.1), queries))

    np.testing.assert_allclose(answer.predictions, 0.1, rtol=1e-12)
    assert answer.modes[0] == Mode.MEAN
    assert [w.caution for w in answer.warned] == [Caution.CONSTANT_TARGET]


def test_a_constant_feature_is_ignored_and_named():
    x, y, queries = prompt(9, 20, 3)
    padded, asked = np.insert(x, 1, 4.2, axis=1), np.insert(queries, 1, 99.0, axis=1)
    named = Block(Examples(padded[None], y[None]), asked[None], ("a", "b", "c", "d"))

    answer = MODEL.answer(named)

    np.testing.assert_allclose(
        answer.predictions, MODEL.answer(block(x, y, queries)).predictions, rtol=1e-9
    )
    assert [(w.caution, w.place) for w in answer.warned] == [(Caution.CONSTANT_FEATURE, 1)]
    assert "'b'" in answer.warned[0].sentence


def test_only_constant_features_leave_the_mean():
    y = np.arange(8.0)

    answer = MODEL.answer(block(np.ones((8, 2)), y, np.zeros((1, 2))))

    assert answer.predictions[0, 0] == pytest.approx(3.5)
    assert answer.modes[0] == Mode.MEAN


def test_a_query_in_another_unit_is_refused_by_name_and_a_far_one_is_warned_of():
    x, y, queries = prompt(10, 20, 3)
    far, absurd = queries.copy(), queries.copy()
    far[1, 2] = x[:, 2].mean() + 20 * x[:, 2].std(ddof=1)
    absurd[1, 2] = x[:, 2].mean() + 1000 * x[:, 2].std(ddof=1)

    warned, refused = MODEL.answer(block(x, y, far)), MODEL.answer(block(x, y, absurd))

    assert (warned.warned[0].caution, warned.warned[0].place) == (Caution.EXTRAPOLATION, 1)
    assert refused.refusals[0][1].reason == "OUT_OF_RANGE_FEATURE"
    assert "column 2" in str(refused.refusals[0][1])


def test_equal_columns_are_warned_of():
    x, y, queries = prompt(11, 20, 2)

    answer = MODEL.answer(block(np.hstack([x, x[:, :1]]), y, np.hstack([queries, queries[:, :1]])))

    assert [w.caution for w in answer.warned] == [Caution.RANK_DEFICIENT]
    assert np.isfinite(answer.predictions).all()


numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(data=st.data(), M=st.integers(4, 9), d=st.integers(1, 4))
def test_no_finite_prompt_diverges(data, M, d):
    """Answers stay within the labels' range, stretched by how far the query extrapolates."""
    values = data.draw(st.lists(numbers, min_size=M * d + M + d, max_size=M * d + M + d))
    flat = np.array(values)
    x, y, query = flat[: M * d].reshape(M, d), flat[M * d : M * d + M], flat[None, M * d + M :]

    with np.errstate(all="ignore"):  # as the server computes
        answer = MODEL.answer(block(x, y, query))

    if answer.refusals:
        assert answer.refusals[0][1].reason in {"OUT_OF_RANGE_FEATURE", "NUMERIC_OVERFLOW"}
        return
    labels = y.astype(np.longdouble)  # the spread of doubles near the limit overflows a double
    distance = np.abs(np.longdouble(answer.predictions[0, 0]) - labels.mean())
    rounding = 1e-12 * np.abs(labels).max() + np.longdouble(1e-320)
    assert distance <= 1e4 * (labels.max() - labels.min()) + rounding


def test_extreme_prompts_shrink_the_residual():
    """‖b - A P b‖ ≤ ‖b‖ and P positive definite, whatever the spectrum."""
    rng = np.random.default_rng(12)
    for _ in range(300):
        p, n = rng.integers(1, 10), rng.integers(1, 60)
        u = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-3, 3, p) + rng.normal(size=p) * 1e3
        A = u.T @ u + 10.0 ** rng.uniform(-6, 6) * np.eye(p)
        b = rng.normal(size=p)
        P = effective_inverse(A[None], STEPS)[0]

        assert np.linalg.norm(b - A @ P @ b) <= np.linalg.norm(b) * (1 + 1e-9)
        assert np.linalg.eigvalsh((P + P.T) / 2)[0] > 0
