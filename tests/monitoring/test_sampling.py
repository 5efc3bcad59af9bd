"""Of more prompts than there is time for a fair sample stays, and every one is counted."""

import threading

import numpy as np
import pytest

from monitoring.sampling import MORE, Sampler

CHI_SQUARE = 44.8  # 9 degrees of freedom: a fair sampler is above it once in a million runs


def offered(sampler, count, batch):
    """Let prompts 0, 1, … come, `batch` at a time."""
    for start in range(0, count, batch):
        size = min(batch, count - start)
        for place, number in sampler.draw(size):
            sampler.offer(start + place, number)


@pytest.mark.parametrize("batch", [1, 37, 1000])
def test_every_prompt_is_as_likely_to_be_kept(batch):
    kept = np.zeros(10)
    for _ in range(300):
        sampler = Sampler(50)
        offered(sampler, 1000, batch)
        kept += np.bincount(np.array(sampler.take(50).prompts) // 100, minlength=10)

    expected = 300 * 50 / 10
    assert kept.sum() == 300 * 50
    assert ((kept - expected) ** 2 / expected).sum() < CHI_SQUARE  # without replacement: less


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 100, 101, 5000])
@pytest.mark.parametrize("batch", [1, 64])
def test_what_came_was_kept_or_left_out(count, batch):
    sampler = Sampler(50)
    offered(sampler, count, batch)
    taken = sampler.take(50)

    assert taken.came_count == count
    assert len(taken.prompts) == min(count, 50)
    assert len(taken.prompts) + taken.left_out_count == count
    assert sorted(set(taken.prompts)) == sorted(taken.prompts)


def test_few_prompts_are_all_kept():
    sampler = Sampler(50)
    offered(sampler, 50, 1)

    assert sampler.take(50).prompts == list(range(50))


def test_memory_is_bounded_between_two_looks():
    sampler, largest = Sampler(50), 0
    for _ in range(20_000):
        offered(sampler, 1, 1)
        largest = max(largest, len(sampler))

    assert 50 < largest <= 100


def test_the_next_sample_begins_anew_with_its_own_size():
    sampler = Sampler(50)
    offered(sampler, 5000, 1)
    sampler.take(7)
    offered(sampler, 5, 1)
    few = sampler.take(7)
    offered(sampler, 1000, 1)
    many = sampler.take(50)

    assert (few.came_count, few.left_out_count, few.prompts) == (5, 0, [0, 1, 2, 3, 4])
    assert (many.came_count, len(many.prompts)) == (1000, 7)


def test_a_prompt_that_was_drawn_and_not_offered_is_not_counted_as_left_out():
    sampler = Sampler(50)
    drawn = sampler.draw(3)
    sampler.offer("a", drawn[0][1])

    taken = sampler.take(50)
    assert [place for place, _ in drawn] == [0, 1, 2]
    assert (taken.came_count, taken.left_out_count, taken.prompts) == (3, 0, ["a"])


def test_threads_lose_no_prompt_and_no_count():
    sampler, done, found = Sampler(100), threading.Event(), []

    def look():
        while not done.is_set():
            found.append(sampler.take(100))

    def come(first):
        for place in range(first, first + 5000):
            for _, number in sampler.draw(1):
                sampler.offer(place, number)

    looker = threading.Thread(target=look)
    callers = [threading.Thread(target=come, args=(5000 * n,)) for n in range(8)]
    for thread in (looker, *callers):
        thread.start()
    for thread in callers:
        thread.join()
    done.set()
    looker.join()
    found.append(sampler.take(100))

    kept = [prompt for taken in found for prompt in taken.prompts]
    assert sum(taken.came_count for taken in found) == 40_000
    assert len(kept) + sum(taken.left_out_count for taken in found) == 40_000
    assert len(set(kept)) == len(kept)
    assert max(len(taken.prompts) for taken in found) <= 100


def test_a_rush_that_goes_on_keeps_little_more_than_there_is_time_for():
    sampler, copied, taken = Sampler(50), [], []
    for _ in range(10):
        copied.append(0)
        for place in range(5000):
            for _, number in sampler.draw(1):
                sampler.offer(place, number)
                copied[-1] += 1
        taken.append(len(sampler.take(50).prompts))

    assert min(taken) > 30  # 75 are expected below the line, with a deviation of 8.6
    assert max(taken) == 50
    assert sum(taken) > 470
    assert copied[0] > 250  # the line fell by itself
    assert max(copied[1:]) < 180


@pytest.mark.slow
@pytest.mark.parametrize("count", [51, 200, 1000, 3000])
def test_after_a_rush_what_is_kept_is_as_fair(count):
    kept = np.zeros(10)
    for _ in range(300):
        sampler = Sampler(50)
        offered(sampler, 1000, 1)
        sampler.take(50)
        offered(sampler, count, 1)
        taken = sampler.take(50)
        assert len(taken.prompts) + taken.left_out_count == taken.came_count == count
        kept += np.bincount(np.array(taken.prompts, int) * 10 // count, minlength=10)
    expected = kept.sum() * np.bincount(np.arange(count) * 10 // count, minlength=10) / count

    assert ((kept - expected) ** 2 / expected).sum() < CHI_SQUARE
    assert kept.sum() > 300 * 0.9 * min(50, MORE * 50 * count / 1000)
