"""Prompts wide and long enough to be given a row of zeros beside their own (`Shared.centred`)."""

import numpy as np
import pytest

from model.coordinates import ALL
from model.history import Group, History
from model.profile import ProfileModel
from model.profile_fit import fit
from model.profile_shared import CLASHING, WIDE
from tests.model.profiles import EXACT, asked, posterior


def rows(rng, count):
    """Return x (count, WIDE) and y (count,) of one task."""
    x = rng.normal(size=(count, WIDE)) + 3.0
    weights = 1.0 + 0.3 * rng.normal(size=WIDE)
    return x, 7.0 + x @ weights + 2.0 * rng.normal(size=count)


@pytest.fixture(scope="module", params=ALL)
def parameters(request):
    rng = np.random.default_rng(0)
    groups = (Group(f"task {i}", *rows(rng, 300)) for i in range(8))
    return fit(History(tuple(groups), False), coordinates=request.param)


@pytest.mark.parametrize("M", [*CLASHING, CLASHING[0] - 1])
def test_one_prompt_alone_is_answered_as_the_formula_and_as_among_others(parameters, M):
    served = ProfileModel(parameters, correction_bound=EXACT)
    block, _ = asked(M, B=3, M=M, Q=2, rows=rows)
    x, y = block.context

    found = [served.alone(M, 2)(*prompt) for prompt in zip(x, y, block.queries, strict=True)]

    for b, one in enumerate(found):
        expected, _ = posterior(block, parameters.bucket(M), b)
        np.testing.assert_allclose(one[0], expected, rtol=1e-9)
    together = served.together(M, 2)(x, y, block.queries)
    assert [one[0].tobytes() for one in together] == [one[0].tobytes() for one in found]


def test_only_lengths_whose_rows_clash_are_given_a_row_more(parameters):
    served, row_counts = ProfileModel(parameters), {}

    for M in (16, 255, 256, 257, 512):
        x = asked(M, M=M, rows=rows)[0].context.x
        row_counts[M] = served._single(M).centred(x, x.mean(1, keepdims=True)).shape[1]

    assert row_counts == {16: 16, 255: 255, 256: 257, 257: 257, 512: 513}
