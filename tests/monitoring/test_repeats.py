"""A prompt that comes again within the window is no new one; memory stays bounded."""

import numpy as np

from monitoring.repeats import REPEATS_MAX, Repeats


def test_a_prompt_is_new_again_after_the_window_of_its_first_coming():
    repeats = Repeats(60.0)

    seconds = (0.0, 0.0, 30.0, 59.0, 60.0, 61.0, 130.0)
    found = [repeats.is_new((b"x", b"y"), now) for now in seconds]
    assert found == [True, False, False, False, True, False, True]


def test_prompts_differ_in_any_part():
    repeats = Repeats(60.0)

    parts = [(b"a", b"b"), (b"a", b"c"), (b"ab", b""), (b"b", b"a"), (b"a", b"b")]
    assert [repeats.is_new(part, 0.0) for part in parts] == [True, True, True, True, False]


def test_windows_are_those_of_a_dictionary_that_keeps_everything():
    rng = np.random.default_rng(0)
    repeats, first = Repeats(10.0), {}
    now = 0.0
    for _ in range(5000):
        now += rng.exponential(0.1)
        key = bytes([rng.integers(60)])
        is_new = key not in first or now - first[key] >= 10.0
        if is_new:
            first[key] = now

        assert repeats.is_new((key,), now) == is_new


def test_memory_is_bounded_and_the_oldest_are_forgotten_first():
    repeats = Repeats(1e9)
    for place in range(REPEATS_MAX + 100):
        assert repeats.is_new((place.to_bytes(8, "big"),), 0.0)

    assert len(repeats._seen) == REPEATS_MAX
    assert not repeats.is_new(((REPEATS_MAX + 99).to_bytes(8, "big"),), 0.0)
    assert repeats.is_new(((0).to_bytes(8, "big"),), 0.0)
