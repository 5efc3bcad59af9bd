"""Causes are read from the last prompts, however many come together."""

import numpy as np
import pytest

from monitoring.observation import observe
from monitoring.watch import Watch
from tests.monitoring.quiet import prompts, reference, seen


def told(batches):
    """Return the causes after batches of prompts."""
    watch = Watch(reference())
    for found in batches:
        watch.observe(found, observe(found.served))
    return watch.recent.causes()


@pytest.mark.parametrize("count", [100, 125, 130, 256, 400])
@pytest.mark.parametrize("before", [0, 10, 110])
def test_many_prompts_together_leave_what_they_leave_in_blocks(before, count):
    size = reference().window_prompts // 4
    found = seen(prompts(3, before + count, scale=1.5))
    first = [found.take(np.arange(before))] if before else []
    whole = found.take(np.arange(before, before + count))
    blocks = [
        found.take(np.arange(start, min(start + size, before + count)))
        for start in range(before, before + count, size)
    ]

    together, apart = told([*first, whole]), told([*first, *blocks])
    assert together.kind == apart.kind != ""
    np.testing.assert_allclose(together.direction_shares, apart.direction_shares, rtol=1e-9)
    for one, other in zip(together.features, apart.features, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_nothing_is_said_before_a_window_is_whole():
    assert told([seen(prompts(3, 80, scale=1.5))]).features == ()
