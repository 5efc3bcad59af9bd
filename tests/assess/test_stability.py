"""Step 2 as a whole, on histories whose noise is known and on such as leave little to say."""

import math
from dataclasses import replace

import numpy as np
import pytest

from model.features import Number
from model.history import Group, History
from model.profile_fit import silent
from service.assess.material import prepare
from service.assess.stability import stability
from service.boosting import fit_boosting, is_present
from service.held_out import BOOSTING, PROFILE
from service.history_sums import HistoryRead
from tests.assess.histories_made import NOISE, groups, learnt, material_of

pytestmark = pytest.mark.slow  # profiles are fitted


@pytest.fixture(scope="module")
def fitted():
    """What was learnt, and the profile of it."""
    return learnt(groups(1, 16))


def read_of(history):
    d = history.groups[0].x.shape[1]
    empty, sources = np.full(d + 1, np.nan), tuple(Number(name=f"x{j}") for j in range(d))
    return HistoryRead(history, (), sources, {}, empty, empty, 0, 0, ())


def finite(found):
    """Return every number that a report would print."""
    for one in found.accuracy:
        yield from (one.typical_error, one.within)
        for method in one.methods:
            yield from (method.error, method.ratio.value, method.ratio.low, method.ratio.high)
    for one in found.coverage:
        yield from (one.covered.value, one.covered.low, one.covered.high, one.half_width)
    for one in found.steadiness:
        yield from (one.moved, one.moved_mostly, one.moved_most)
    yield from found.group_errors
    for one in found.worst:
        yield from (one.error, one.ratio, one.truth, one.answer, one.base)
        yield from (share.adds for share in one.shares)
        yield from (value for value in one.detail.values() if not isinstance(value, str))


def test_a_profile_of_known_noise_errs_and_covers_as_it_should(fitted):
    found = stability(material_of(*fitted, groups(2, 30)), silent)

    at = {one.example_count: one for one in found.accuracy}
    assert NOISE < at[64].typical_error < 1.1 * NOISE  # noise, and a few slopes from 64 rows
    assert at[64].typical_error < at[8].typical_error
    assert at[64].within == pytest.approx(1.28155 * at[64].typical_error, rel=0.1)
    for one in found.coverage:
        assert one.covered.low - 0.04 < one.level < one.covered.high + 0.04
    width = {(one.example_count, one.level): one.half_width for one in found.coverage}
    assert width[64, 0.80] == pytest.approx(1.28155 * NOISE, rel=0.15)
    assert width[64, 0.95] == pytest.approx(1.95996 * NOISE, rel=0.15)
    assert [one.code for one in found.steadiness] == [
        *("reordered", "resampled", "one_dropped", "fifth_dropped")
    ]
    assert found.steadiness[0].moved_most < 1e-9
    assert (found.answered_by_profile, found.refused) == (1.0, 0.0)
    assert len(found.group_errors) == 30
    assert len(found.worst) == 3


def test_the_same_material_gives_the_same_findings(fitted):
    material = material_of(*fitted, groups(2, 4, rows=30))

    assert stability(material, silent) == stability(material, silent)


def test_progress_only_grows(fitted):
    told = []

    stability(
        material_of(*fitted, groups(2, 4, rows=30) + groups(3, 2, rows=14)),
        lambda stage, share: told.append((stage, share)),
    )

    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[0] >= 0.0 and shares[-1] <= 1.0
    assert all(stage for stage, _ in told)


@pytest.mark.skipif(not is_present(), reason="needs scikit-learn")
def test_boosting_is_compared_where_it_was_fitted(fitted):
    known, profile = fitted
    unseen = groups(2, 4, rows=30)
    boosting = fit_boosting(known.groups, 0)

    found = stability(material_of(known, profile, unseen, boosting=boosting), silent)

    assert found.is_boosting_compared
    assert BOOSTING in {one.method for one in found.accuracy[0].methods}


def test_three_groups_leave_one_to_judge_by():
    rng = np.random.default_rng(0)
    few = tuple(
        Group(name, x := rng.normal(size=(20, 1)), x[:, 0] + rng.normal(size=20)) for name in "abc"
    )

    found = stability(prepare(read_of(History(few, False)), 0, silent), silent)

    assert len(found.group_errors) == len(found.worst) == 1
    assert {one.level for one in found.coverage} == {0.80, 0.95}
    assert all(math.isfinite(number) for number in finite(found))


def test_without_a_profile_the_model_that_knows_no_history_is_judged(fitted):
    known, profile = fitted
    cold = replace(profile, parameters=replace(profile.parameters, buckets=()), calibration=None)

    found = stability(material_of(known, cold, groups(2, 6, rows=30)), silent)

    assert (found.answered_by_profile, found.refused) == (0.0, 0.0)
    assert {one.level for one in found.coverage} == {0.80, 0.95}
    assert not found.is_boosting_compared
    assert BOOSTING not in {one.method for one in found.accuracy[0].methods}
    assert all(math.isfinite(number) for number in finite(found))


def test_what_nobody_answers_is_counted_and_leaves_no_number_undefined(fitted):
    known, profile = fitted
    rng = np.random.default_rng(0)
    strange = []
    for i in range(3):  # queries far from examples that are far from history: refused
        x = 1e4 + rng.normal(size=(30, 4)) * np.where(np.arange(30) % 9 == 8, 1e6, 1.0)[:, None]
        strange.append(Group(f"odd{i}", x, rng.normal(size=30)))
    ordered = replace(known, is_ordered=True)

    found = stability(material_of(ordered, profile, (*groups(2, 3, rows=30), *strange)), silent)

    assert 0.1 < found.refused < 0.5
    assert all(math.isfinite(number) for number in finite(found))
    assert found.accuracy[0].methods[0].method == PROFILE


def test_where_nothing_at_all_is_answered_step_2_is_silent(fitted):
    known, profile = fitted
    rng = np.random.default_rng(0)
    strange = []
    for i in range(3):
        x = 1e4 + rng.normal(size=(11, 4)) * np.where(np.arange(11) == 9, 1e6, 1.0)[:, None]
        strange.append(Group(f"odd{i}", x, rng.normal(size=11)))

    found = stability(material_of(replace(known, is_ordered=True), profile, strange), silent)

    assert found.refused == 1.0
    assert (found.accuracy, found.coverage, found.steadiness) == ((), (), ())
    assert (found.group_errors, found.worst) == ((), ())


def test_groups_of_one_label_each_leave_nothing_to_say(fitted):
    flat = [Group(f"f{i}", one.x, np.full(80, float(i))) for i, one in enumerate(groups(2, 3))]

    found = stability(material_of(*fitted, flat), silent)

    assert (found.accuracy, found.worst, found.answered_by_profile) == ((), (), 0.0)


def test_labels_without_noise_are_no_division_by_nothing():
    rng = np.random.default_rng(0)
    exact = tuple(
        Group(f"g{i}", x := rng.normal(size=(40, 2)), x @ [1.0, 2.0] + i) for i in range(12)
    )

    found = stability(prepare(read_of(History(exact, False)), 0, silent), silent)

    assert all(math.isfinite(number) for number in finite(found))
    assert found.accuracy[-1].typical_error < 0.1
