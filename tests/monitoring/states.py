"""Prompts as a monitor sums them: watches fed in pieces, and sums compared to the last digits."""

import numpy as np

from monitoring.evidence import packed
from monitoring.observation import observe
from monitoring.watch import Watch
from tests.monitoring.quiet import prompts, reference, seen

BLOCK = 25  # a quarter of the window
LENGTHS = (7, 20, 60)


def watched(batches, reference=None, clock=None):
    """Return a watch that was fed batches."""
    watch = Watch(reference or mixed_reference())
    if clock is not None:
        watch.recent._clock = clock
    for batch in batches:
        watch.observe(batch, observe(batch.served))
    return watch


def mixed_reference():
    return reference(lengths=tuple((200, M) for M in LENGTHS))


def mixed(seed, blocks_of_each=4, **world):
    """Return prompts of several lengths, as many of each as fill blocks."""
    count = BLOCK * blocks_of_each
    return [seen(prompts([seed, M], count, M, **world)) for M in LENGTHS]


def pieces(rng, batches, count_max=40):
    """Return the same prompts in another order and in batches of other sizes."""
    found = []
    for batch in batches:
        order = rng.permutation(len(batch.served.gram))
        cuts = np.sort(rng.integers(0, len(order), size=max(len(order) // count_max, 1) + 2))
        found += [batch.take(part) for part in np.split(order, cuts) if len(part)]
    return [found[place] for place in rng.permutation(len(found))]


def shared_out(rng, batches, process_count):
    """Return each process's prompts of every length, whole blocks of them, chosen at random."""
    processes = [[] for _ in range(process_count)]
    for batch in batches:
        blocks = np.split(rng.permutation(len(batch.served.gram)), len(batch.served.gram) // BLOCK)
        for block in blocks:
            processes[rng.integers(process_count)].append(batch.take(block))
    return processes


def same(one, other, digits=1e-12):
    """Check that two states are alike to the last digits of what was added up."""
    assert (one.reference, one.feature_count) == (other.reference, other.feature_count)
    assert [part.length for part in one.parts] == [part.length for part in other.parts]
    for got, expected in zip(one.parts, other.parts, strict=True):
        assert got.sizes == expected.sizes
        a, b = packed(got), packed(expected)
        np.testing.assert_allclose(a, b, rtol=digits, atol=digits * expected.prompts)
