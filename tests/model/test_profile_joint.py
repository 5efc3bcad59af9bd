"""A few prompts of a profile at once, against each by itself: the same bits, the same stage."""

import numpy as np
import pytest

from model.answer import Solver
from model.coordinates import ALL
from model.profile import FEW_QUERIES, ProfileModel
from model.prompt import Block, Examples
from tests.model.profiles import EXACT, FOUNDATION, SPREAD, asked, learnt, moved


def model(kind, bound=0.05):
    return ProfileModel(learnt(kind), correction_bound=bound)


def both(served, x, y, queries):
    """Return what each prompt is answered among the others, and by itself."""
    M, Q = y.shape[1], queries.shape[1]
    alone = served.alone(M, Q)
    with np.errstate(all="ignore"):
        return served.together(M, Q)(x, y, queries), [
            alone(*prompt) for prompt in zip(x, y, queries, strict=True)
        ]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one[0].tobytes() == np.asarray(other[0]).tobytes()
            assert one[1] is other[1]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("bound", [EXACT, 1e-6, 0.001, 0.05])
@pytest.mark.parametrize(("M", "Q", "B"), [(16, 1, 1), (16, 1, 7), (4, 3, 5), (50, 1, 16)])
def test_every_answer_has_the_bits_it_has_by_itself(kind, bound, M, Q, B):
    block, _ = asked(B + M, B=B, M=M, Q=Q)

    found, expected = both(model(kind, bound), *block.context, block.queries)

    assert_same(found, expected)
    assert sum(one is not None for one in found) > B // 2


@pytest.mark.parametrize("kind", ALL)
def test_prompts_far_from_0_have_the_bits_they_have_by_themselves(kind):
    block, _ = asked(9, B=5)
    (x, y), queries = moved(1e5, *block.context), moved(1e5, block.queries, 0.0)[0]

    found, expected = both(ProfileModel(learnt(kind, by=1e5)), x, y, queries)

    assert_same(found, expected)
    assert None not in found


@pytest.mark.parametrize(
    ("bound", "stages"),
    [
        (0.02, {Solver.K1, Solver.K2}),
        (0.002, {Solver.K2, Solver.K4}),
        (3e-6, {Solver.K4, Solver.EXACT}),
    ],
)
def test_prompts_that_need_more_passes_take_them_beside_others(bound, stages):
    block, _ = asked(3, B=60)

    found, expected = both(model("intercept", bound), *block.context, block.queries)

    assert_same(found, expected)
    assert {one[1] for one in found if one is not None} == stages


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("damage", [np.nan, np.inf, 1e9, 1e300])
def test_a_prompt_that_the_profile_does_not_know_spoils_no_other(kind, damage):
    block, _ = asked(4, B=6)
    (x, y), queries = block.context, block.queries
    clean, _ = both(model(kind), x.copy(), y.copy(), queries.copy())
    x[1, 2, 0], y[3, 0], queries[4, 0, 0] = damage, damage, damage

    found, expected = both(model(kind), x, y, queries)

    assert_same(found, expected)
    assert [place for place, one in enumerate(found) if one is None] == [1, 3, 4]
    assert_same([found[place] for place in (0, 2, 5)], [clean[place] for place in (0, 2, 5)])


def test_many_queries_are_not_taken_together():
    assert model("intercept").together(16, FEW_QUERIES + 1) is None
    assert model("intercept").together(16, FEW_QUERIES) is not None


@pytest.mark.parametrize("count", [4, 16])
@pytest.mark.parametrize("damage", [None, np.nan, np.inf, 1e300, "constant", "far", "copied"])
def test_a_block_of_the_foundation_model_has_the_bits_of_its_prompts(count, damage):
    block, _ = asked(6, B=7, M=count, Q=2)
    (x, y), queries = block.context, block.queries
    if damage == "constant":
        x[2, :, 0], y[4] = 3.0, -1.0
    elif damage == "far":
        queries[2] += 40 * SPREAD
    elif damage == "copied":
        x[2, :, 1] = x[2, :, 0]
    elif damage is not None:
        x[2, 1, 0], y[4, 0], queries[5, 0, 0] = damage, damage, damage

    with np.errstate(all="ignore"):
        whole = FOUNDATION.answer(block)
        singly = [
            FOUNDATION.answer(Block(Examples(x[b : b + 1], y[b : b + 1]), queries[b : b + 1]))
            for b in range(7)
        ]

    assert FOUNDATION.is_alike_in_blocks
    for b, one in enumerate(singly):
        assert one.predictions.tobytes() == whole.predictions[b].tobytes()
        assert (one.modes[0], one.solvers[0]) == (whole.modes[b], whole.solvers[b])
        assert list(one.warned) == [w._replace(prompt=0) for w in whole.warned if w.prompt == b]
        refused = [str(refusal) for place, refusal in whole.refusals if place == b]
        assert [str(refusal) for _, refusal in one.refusals] == refused
