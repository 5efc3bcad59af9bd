"""What stands beside an answer, prompt by prompt of a block."""

import numpy as np
import pytest

from model.answer import Caution, Mode, Solver
from model.checkpoint import FOUNDATION_FILE, load
from model.paper import PaperModel
from model.prompt import Block, Examples
from model.support import Wanted
from sonoba.v1 import predictor_pb2 as pb

FOUNDATION = load(FOUNDATION_FILE).model
MODELS = [FOUNDATION, PaperModel(np.eye(3), 1.0), PaperModel(np.eye(3), 1.0, centred=False)]
BOTH = Wanted((0.8, 0.95), explanation=True)


def drawn(B=5, M=24, d=3, Q=2, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(B, M + Q, d))
    y = (x @ rng.normal(size=(B, d, 1)))[..., 0] + rng.normal(size=(B, M + Q))
    return Block(Examples(x[:, :M], y[:, :M]), x[:, M:])


@pytest.mark.parametrize("kind", [Caution, Mode, Solver])
def test_the_numbers_are_those_of_the_contract(kind):
    prefix, enum = {
        Caution: ("WARNING_CODE_", pb.WarningCode),
        Mode: ("MODE_", pb.Mode),
        Solver: ("SOLVER_", pb.Solver),
    }[kind]
    theirs = {name.removeprefix(prefix): number for name, number in enum.items()}

    assert {one.name: one.value for one in kind if one.value} == {
        name: number for name, number in theirs.items() if number
    }


@pytest.mark.parametrize("model", MODELS, ids=["foundation", "paper", "uncentred"])
def test_weights_coefficients_and_bounds_agree_with_the_answer(model):
    block = drawn()

    answer, intervals, explanation = model.support(block, BOTH)

    expected = model.answer(block).predictions
    weighted = (explanation.weights @ block.context.y[..., None])[..., 0]
    plane = (block.queries @ explanation.coefficients[..., None])[..., 0]
    lower, upper = intervals.bounds(answer.predictions)
    np.testing.assert_allclose(answer.predictions, expected, rtol=1e-12)
    np.testing.assert_allclose(weighted + explanation.profile_shares, expected, rtol=1e-9)
    np.testing.assert_allclose(explanation.intercepts[:, None] + plane, expected, rtol=1e-9)
    assert (lower < expected[..., None]).all()
    assert (upper > expected[..., None]).all()


@pytest.mark.parametrize("wanted", [Wanted((0.9,)), Wanted(explanation=True)], ids=repr)
def test_only_what_is_wanted_is_made(wanted):
    _, intervals, explanation = FOUNDATION.support(drawn(), wanted)

    assert (intervals is not None, explanation is not None) == (not wanted[1], wanted[1])


def test_a_prompt_whose_coefficients_overflow_is_refused_alone():
    block = drawn()
    block.context.x[2] *= 1e-200
    block.queries[2] *= 1e-200
    block.context.y[2] *= 1e200

    with np.errstate(all="ignore"):  # as the service does
        answer, _, _ = FOUNDATION.support(block, BOTH)

    [(prompt, refusal)] = answer.refusals
    assert (prompt, refusal.reason) == (2, "NUMERIC_OVERFLOW")
    assert np.isnan(answer.predictions[2]).all()
    assert (answer.modes[2], answer.solvers[2]) == (0, 0)
    assert np.isfinite(answer.predictions[[0, 1, 3, 4]]).all()
    assert not FOUNDATION.support(block, Wanted((0.9,))).answer.refusals


def test_a_doubt_names_its_own_prompt():
    block = drawn()
    block.context.y[3, 7] += 1e3

    warned = FOUNDATION.support(block, BOTH).answer.warned

    assert [(w.prompt, w.caution, w.place) for w in warned] == [(3, Caution.LABEL_OUTLIER, 7)]
