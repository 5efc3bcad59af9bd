"""Sums that grow: exact, additive over replicas, and public in blocks only."""

import numpy as np
import pytest

from monitoring.observation import observe
from monitoring.totals import BLOCK_PROMPTS, Released, Totals
from monitoring.watch import Watch
from tests.monitoring.quiet import prompts, reference, seen

SUMS = [name for name in Totals.__dataclass_fields__ if name != "direction_count"]


def whole(seed, prompt_count):
    """Return totals of whole numbers, whose sums are exact in any order."""
    rng = np.random.default_rng(seed)
    totals = Totals(3)
    for name in SUMS:
        shape = np.shape(getattr(totals, name))
        drawn = rng.integers(0, 1000, shape).astype(float)
        setattr(totals, name, drawn if shape else float(drawn))
    totals.prompts = float(prompt_count)
    return totals


def watched(blocks):
    """Return the public totals of a process that saw some blocks."""
    watch = Watch(reference())
    for block in blocks:
        found = seen(block)
        watch.observe(found, observe(found.served))
    return watch.released.public


def same(got, expected, **tolerance):
    for name in SUMS:
        pair = getattr(got, name), getattr(expected, name)
        if tolerance:
            np.testing.assert_allclose(*pair, err_msg=name, **tolerance)
        else:
            np.testing.assert_array_equal(*pair, err_msg=name)


def test_nothing_is_public_before_twenty_prompts():
    released = Released(3)
    for place in range(BLOCK_PROMPTS - 1):
        released.add(whole(place, 1))
    before = released.public.prompts
    released.add(whole(19, 1))

    assert before == 0.0
    assert released.public.prompts == 20.0


def test_a_block_is_released_whole_and_the_next_waits():
    released, expected = Released(3), Totals(3)
    for place, size in enumerate((13, 13, 13)):
        released.add(whole(place, size))
        if place < 2:
            expected += whole(place, size)

    same(released.public, expected)


def test_what_is_public_never_falls():
    released, before = Released(3), np.zeros(2)
    for place in range(100):
        released.add(whole(place, 1 + place % 7))
        assert (released.public.inflation >= before).all()
        before = released.public.inflation

    assert before.min() > 0.0


@pytest.mark.parametrize("seed", range(5))
def test_replicas_add_up_to_the_single_one_exactly(seed):
    rng = np.random.default_rng(seed)
    parts = [whole(place, 20) for place in range(50)]
    single, replicas = Released(3), [Released(3), Released(3)]
    for part in parts:
        single.add(part)
        replicas[rng.integers(2)].add(part)

    merged = Totals(3)
    for replica in replicas:
        merged += replica.public
    same(merged, single.public)


@pytest.mark.parametrize("seed", range(3))
def test_prompts_add_up_however_they_are_split(seed):
    rng = np.random.default_rng(seed)
    blocks = [prompts(place, 20, M=int(rng.choice([5, 20, 50]))) for place in range(12)]
    merged, places = Totals(2), rng.integers(2, size=12)
    for replica in range(2):
        order = rng.permutation(np.flatnonzero(places == replica))
        merged += watched([blocks[place] for place in order])

    same(merged, watched(blocks), rtol=1e-12)
    assert merged.prompts == 240.0


def test_adding_leaves_the_other_alone():
    one, other = whole(1, 5), whole(2, 5)
    one += other

    same(other, whole(2, 5))
    assert one.prompts == 10.0
