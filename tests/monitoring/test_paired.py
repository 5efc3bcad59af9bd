"""Paired errors: coverage of the bounds, exact merges, bytes, and what never leaves the process."""

import struct
import zlib

import numpy as np
import pytest

from monitoring.paired import Bounds, Paired

NORMAL = np.ones(1)


def errors(rng, count, ratio=0.8, correlation=0.7, spread=0.8):
    """Return correlated lognormal errors (2, n) of means 1 and `ratio`."""
    mixed = rng.normal(size=(2, count))
    mixed[1] = correlation * mixed[0] + np.sqrt(1.0 - correlation**2) * mixed[1]
    return np.array([[1.0], [ratio]]) * np.exp(spread * mixed - 0.5 * spread**2)


def paired(served, candidate, normal=NORMAL):
    made = Paired()
    made.add(served, candidate, np.broadcast_to(normal, np.shape(served)))
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("correlation", "spread"), [(0.7, 0.5), (0.7, 0.8), (0.0, 0.8), (0.7, 1.2)]
)
def test_each_end_of_the_interval_is_a_one_sided_95_percent_bound(correlation, spread):
    rng, replicates, truth = np.random.default_rng(1), 4000, 0.2
    lower = upper = 0
    for _ in range(replicates):
        bounds = paired(*errors(rng, 200, 1.0 - truth, correlation, spread)).gain()
        lower += bounds.lower <= truth
        upper += bounds.upper >= truth

    assert 0.93 <= lower / replicates <= 0.97
    assert 0.93 <= upper / replicates <= 0.97


def test_the_gain_is_the_delta_method_by_hand():
    u, other = errors(np.random.default_rng(2), 50)
    ratio = other.mean() / u.mean()
    left = other - ratio * u
    half = 1.645 * left.std(ddof=1) / np.sqrt(50) / other.mean()
    ends = 1 - ratio * np.exp([0.0, half, -half])
    found = paired(u, other)

    np.testing.assert_allclose(found.gain(), ends)
    mean, half = other.mean(), 1.645 * other.std(ddof=1) / np.sqrt(50)
    np.testing.assert_allclose(found.candidate(), (mean, mean - half, mean + half))
    np.testing.assert_allclose(found.served().mean, u.mean())


def test_a_candidate_without_error_saves_all_of_it():
    u, other = errors(np.random.default_rng(3), 100)

    assert paired(u, 0.0 * other).gain() == (1.0, 1.0, 1.0)


def test_no_candidate_of_the_same_errors_gains():
    u, _ = errors(np.random.default_rng(3), 100)

    np.testing.assert_allclose(paired(u, u).gain(), (0.0, 0.0, 0.0), atol=1e-9)


def test_errors_are_over_normal_and_clipped():
    found = paired(np.array([2.0, 400.0]), np.array([1.0, 4.0]), np.array([2.0, 4.0]))

    assert found.served().mean == pytest.approx((1.0 + 20.0) / 2.0)
    assert found.candidate().mean == pytest.approx((0.5 + 1.0) / 2.0)


def test_a_candidate_that_fails_counts_as_the_clip_and_an_unknown_prompt_not_at_all():
    nan, inf = np.nan, np.inf
    served = np.array([1.0, 1.0, 1.0, nan, inf, 1.0, 1.0, 1.0])
    candidate = np.array([1.0, nan, inf, 1.0, 1.0, 1.0, 1.0, 1.0])
    normal = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0, nan, inf])
    found = paired(served, candidate, normal)

    assert found.prompt_count == 3
    assert found.candidate().mean == pytest.approx(41.0 / 3.0)


def test_nothing_is_known_of_no_prompts():
    for bounds in (Paired().gain(), Paired().served(), Paired().candidate()):
        assert isinstance(bounds, Bounds)
        assert np.isnan(bounds).all()
    with pytest.raises(ValueError, match="paired: expected 20 prompts or more, got 0"):
        Paired().to_bytes()


def test_only_whole_blocks_leave_the_process():
    u, other = errors(np.random.default_rng(4), 300)
    made, seen = Paired(), []
    for place in range(300):
        made.add(u[place : place + 1], other[place : place + 1], NORMAL)
        if place < 19:
            with pytest.raises(ValueError, match="expected 20 prompts or more"):
                made.to_bytes()
        else:
            seen.append(Paired.from_bytes(made.to_bytes()).prompt_count)

    assert sorted(set(seen)) == list(range(20, 301, 20))
    assert made.prompt_count == 300


def test_merges_are_exact_over_any_split():
    rng = np.random.default_rng(5)
    u, other = np.floor(8.0 * errors(rng, 400)) / 8.0  # sums of these have no rounding
    parts = [paired(u[place], other[place]) for place in np.array_split(rng.permutation(400), 7)]
    single, merged, turned = paired(u, other), Paired(), Paired()
    for part in parts:
        merged = merged.joined(part)
    for part in parts[::-1]:
        turned = part.joined(turned)

    assert merged.to_bytes() == turned.to_bytes() == single.to_bytes()
    assert merged.gain() == single.gain()


def test_what_waits_on_two_sides_waits_together():
    u, other = errors(np.random.default_rng(6), 30)
    halves = paired(u[:15], other[:15]), paired(u[15:], other[15:])

    assert Paired.from_bytes(halves[0].joined(halves[1]).to_bytes()).prompt_count == 30


def test_bytes_give_the_sums_back():
    made = paired(*errors(np.random.default_rng(7), 64))
    again = Paired.from_bytes(made.to_bytes())

    assert again.to_bytes() == made.to_bytes()
    assert again.gain() == made.gain()


def test_mutated_bytes_are_refused_with_a_sentence_or_are_sums():
    rng = np.random.default_rng(8)
    data = paired(*errors(rng, 64)).to_bytes()
    refused = accepted = 0
    for place in range(2000):
        told = bytearray(data)
        for at in rng.integers(len(told), size=rng.integers(1, 4)):
            told[at] = rng.integers(256)
        if place % 3 == 1:
            told = told[: rng.integers(len(told) + 1)] + rng.bytes(int(rng.integers(3)))
        if place % 2 and len(told) > 4:
            told[-4:] = struct.pack("<I", zlib.crc32(told[:-4]))
        try:
            found = Paired.from_bytes(bytes(told))
        except ValueError as error:
            refused += 1
            assert str(error).startswith(("paired", "sums"))
        else:
            accepted += 1
            assert np.isfinite(found.served()).all()
            assert found.prompt_count >= 20

    assert refused > 1000
    assert accepted > 10


@pytest.mark.parametrize("wrong", [-1.0, 19.0, 64.5, np.nan, np.inf])
def test_numbers_that_count_nothing_are_refused(wrong):
    data = paired(*errors(np.random.default_rng(9), 64)).to_bytes()
    told = data[:10] + struct.pack("<d", wrong) + data[18:-4]
    with pytest.raises(ValueError, match="expected finite sums over 20 prompts or more"):
        Paired.from_bytes(told + struct.pack("<I", zlib.crc32(told)))


def test_a_state_is_not_paired_sums():
    data = paired(*errors(np.random.default_rng(9), 64)).to_bytes()
    with pytest.raises(ValueError, match="expected bytes that begin with b'SONOBAPR'"):
        Paired.from_bytes(b"SONOBAST" + data[8:])
