"""The state that merges: exact over any split, the gate's numbers, bytes that refuse garbage."""

import struct
import zlib
from dataclasses import replace
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest

from monitoring.attribution import Answering
from monitoring.evidence import OTHERS, packed
from monitoring.gate import Inflated, Window
from monitoring.observation import observe
from monitoring.state import MAGIC, State
from tests.monitoring.quiet import MODEL, prompts, reference, seen, summarised
from tests.monitoring.states import BLOCK, mixed, mixed_reference, pieces, same, shared_out, watched


def state(batches, **more):
    return watched(batches, **more).recent.state()


@pytest.mark.parametrize("seed", range(6))
def test_any_split_and_order_gives_the_state_of_a_single_process(seed):
    rng = np.random.default_rng(seed)
    batches = [*mixed(seed, 6), summarised(prompts([seed, 1], 50, 20))]
    single = state(batches)
    parts = [state(pieces(rng, own)) for own in shared_out(rng, batches, 3) if own]

    assert single.prompt_count == 3 * 6 * BLOCK + 50
    assert single.row_count == 6 * BLOCK * (7 + 20 + 60) + 50 * 20
    same(reduce(State.joined, parts), single)
    same(reduce(State.joined, [parts[place] for place in rng.permutation(len(parts))]), single)


def test_a_merge_is_commutative_and_associative():
    a, b, c = (state(mixed(seed, 2)[seed:]) for seed in range(3))

    for one, other in zip(a.joined(b).parts, b.joined(a).parts, strict=True):
        np.testing.assert_array_equal(packed(one), packed(other))
    same(a.joined(b).joined(c), a.joined(b.joined(c)))
    assert a.joined(b).prompt_count == a.prompt_count + b.prompt_count


def test_another_reference_or_width_is_refused():
    known = state(mixed(1))
    with pytest.raises(ValueError, match=f"state, reference: expected {known.reference}, got 0000"):
        known.joined(replace(known, reference="00000000"))
    with pytest.raises(ValueError, match="state, features: expected 2, got 3"):
        known.joined(replace(known, feature_count=3))


def test_levels_are_those_of_the_gate_over_the_same_prompts():
    batches = [*mixed(3, scale=1.5), summarised(prompts(8, 50, 20))]
    known, window = mixed_reference(), Window(2, 350)
    for batch in batches:
        numbers = known.baselines.limited(observe(batch.served))
        over = known.inflations(numbers.counts, numbers.predicted, numbers.loo)
        nothing = np.empty((len(over.ratios), 0))
        window.add(Inflated(over.clipped, over.ratios, nothing), batch.served.count)
    h, loo = (state(batches).levels()[name] for name in ("h", "loo"))

    np.testing.assert_allclose(h, window.levels()["h"], rtol=1e-12)
    assert loo.prompt_count == 300  # a summary has none
    alone = Window(2, 300)
    alone._kept, alone._rows, alone._count = window._kept, window._rows, window._count
    np.testing.assert_allclose(loo, alone.levels()["loo"], rtol=1e-12)


def test_means_are_those_of_the_ratios_that_are_known():
    batch = seen(prompts(4, 100, scale=1.3))
    watch = watched([batch], reference())

    expected = watch.window_means()
    found = watch.recent.state().means()
    assert tuple(found) == OTHERS
    np.testing.assert_allclose([*found.values()], [*expected.values()], rtol=1e-12)
    assert np.isnan(state([summarised(prompts(4, 50))]).means()["ridge"])


def test_summaries_alone_have_one_channel():
    assert list(state([summarised(prompts(4, 50))]).levels()) == ["h"]


def test_features_are_those_of_all_rows():
    batches = mixed(5, scale=2.0)
    rows = np.concatenate([batch.covariates.reshape(-1, 2) for batch in batches])  # (n, 2)
    mean, deviation = state(batches).features(mixed_reference().normal)
    moves = state(batches).moves(mixed_reference().normal)

    np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(deviation, rows.std(axis=0), rtol=1e-10)
    assert sorted(move.place for move in moves) == [0, 1]
    assert all(move.deviation > 1.8 * move.reference_deviation for move in moves)


def test_causes_are_those_that_the_process_itself_tells():
    batch = seen(prompts(6, 100, scale=1.5))
    watch = watched([batch], reference())
    answering = Answering(np.eye(2), 0.5, MODEL.weights(20))
    expected, found = watch.recent.causes(), watch.recent.state().causes(reference(), answering)

    assert found.kind == expected.kind == "scale"
    np.testing.assert_allclose(found.direction_shares, expected.direction_shares)
    for one, other in zip(found.features, expected.features, strict=True):
        np.testing.assert_allclose(one, other)


def test_lengths_are_pooled_by_working_coordinates():
    whole = state(mixed(7))
    pooled = whole.pooled(2)

    assert [part.length for part in whole.parts] == [8.0, 16.0, 64.0]
    assert pooled.length == 0.0
    assert pooled.prompts == whole.prompt_count
    assert whole.pooled(3) is None
    total = sum(part.scene.moments for part in whole.parts)
    np.testing.assert_allclose(pooled.scene.scene.examples.second_moment, total / 300)


def test_bytes_give_the_state_back_to_the_last_bit():
    known = state([*mixed(1), summarised(prompts(8, 50, 20))])
    found = State.from_bytes(known.to_bytes())

    same(found, known, digits=0.0)
    assert found.to_bytes() == known.to_bytes()
    empty = State("0123abcd", 2, ())
    assert State.from_bytes(empty.to_bytes()) == empty


def resealed(told):
    """Return bytes with the checksum that belongs to them."""
    return told[:-4] + struct.pack("<I", zlib.crc32(told[:-4]))


def mutated(rng, data, other):
    """Return bytes with something wrong: flipped, cut, added or from elsewhere."""
    told = bytearray(data)
    match rng.integers(5):
        case 0:
            for place in rng.integers(len(told), size=rng.integers(1, 9)):
                told[place] = rng.integers(256)
        case 1:
            del told[rng.integers(len(told)) :]
        case 2:
            told += rng.bytes(int(rng.integers(1, 600)))
        case 3:
            start, stop = np.sort(rng.integers(len(told), size=2))
            told[start:stop] = other[start : stop + rng.integers(-8, 8)]
        case _:
            values = [np.nan, np.inf, -1.0, 1e300, 0.5, -0.0, 5e-324]
            place = 30 + 8 * int(rng.integers((len(told) - 40) // 8))
            told[place : place + 8] = struct.pack("<d", values[rng.integers(len(values))])
    return bytes(told)


@pytest.mark.slow
def test_mutated_bytes_are_refused_with_a_sentence_or_are_a_state():
    rng = np.random.default_rng(0)
    data, other = (state(mixed(seed, 1)).to_bytes() for seed in (1, 2))
    refused = accepted = 0
    for place in range(2000):
        told = mutated(rng, data, other)
        told = resealed(told) if place % 2 and len(told) > 4 else told
        try:
            found = State.from_bytes(told)
        except ValueError as error:
            refused += 1
            assert str(error).startswith(("state", "sums"))
        else:
            accepted += 1
            assert all(np.isfinite(packed(part)).all() for part in found.parts)
            assert found.to_bytes() == State.from_bytes(found.to_bytes()).to_bytes()

    assert refused > 1500
    assert accepted > 50  # a number that might be true


GARBAGE = {
    b"": "expected at least 14 bytes, got 0",
    b"x" * 64: "expected bytes that begin with b'SONOBAST'",
    MAGIC + b"\2\0" + b"x" * 64: "expected format version 1, got 2",
}


@pytest.mark.parametrize("data", GARBAGE)
def test_other_bytes_are_refused_with_a_sentence(data):
    with pytest.raises(ValueError, match=GARBAGE[data]):
        State.from_bytes(data)


def test_truncated_longer_and_damaged_bytes_are_refused():
    data = state(mixed(1, 1)).to_bytes()
    for told in (data[:-1], data + b"\0", data[:100] + b"\0\0\0\0" + data[104:]):
        with pytest.raises(ValueError, match="a checksum that is not theirs"):
            State.from_bytes(told)
    for told in (data[:-12] + data[-4:], data[:-4] + b"\0" * 8 + data[-4:]):
        with pytest.raises(ValueError, match="bytes of parts"):
            State.from_bytes(resealed(told))


def test_the_wrong_order_or_the_same_part_twice_is_refused():
    known = state(mixed(1, 1))
    for parts in (known.parts[::-1], known.parts[:1] * 2):
        with pytest.raises(ValueError, match="parts in order, each once"):
            State.from_bytes(replace(known, parts=parts).to_bytes())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prompts": 0.5}, "prompts: expected whole numbers"),
        ({"channel_prompts": np.array([26.0, 0.0])}, "channel_prompts: expected whole numbers"),
        ({"clipped": np.array([-1.0, 0.0])}, "clipped: expected whole numbers"),
        ({"rows": 3.0}, "each with rows"),
        ({"noise": np.nan}, "expected finite numbers"),
        ({"noise": np.inf}, "expected finite numbers"),
        ({"length": 9.0}, "length: expected one of"),
        ({"mean_squares": -np.eye(2)}, "sums of squares"),
    ],
)
def test_sums_that_no_prompts_lead_to_are_refused(change, sentence):
    known = state(mixed(1, 1))
    wrong = replace(known, parts=(replace(known.parts[0], **change), *known.parts[1:]))
    with pytest.raises(ValueError, match=sentence):
        State.from_bytes(wrong.to_bytes())


def test_states_differ_by_whole_blocks():
    watch, told = watched([]), []
    for batch in pieces(np.random.default_rng(2), mixed(2, 8), count_max=5):
        watch.observe(batch, observe(batch.served))
        if (now := watch.recent.state()) is not None:
            told.append(now.prompt_count)

    assert told[0] == BLOCK
    assert {after - before for before, after in pairwise(told)} == {0, BLOCK}
