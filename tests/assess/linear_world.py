"""A history whose groups are linear, each with slopes of its own, and the material made of it."""

from functools import lru_cache

import numpy as np

from model.features import Number
from model.history import Group, History
from service.assess.material import prepare
from service.history_sums import HistoryRead

NOISE = 0.5
MIXED = np.array([[1.0, 0.9, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 2.0]])  # columns that go together


def history(group_count=60, row_count=60, noise=NOISE, seed=0, is_ordered=False):
    """Return the history and the slopes (groups, 3) of its groups."""
    rng = np.random.default_rng(seed)
    slopes = np.array([2.0, -1.0, 0.5]) + 0.5 * rng.normal(size=(group_count, 3))
    groups = []
    for place, slope in enumerate(slopes):
        x = 5.0 + rng.normal(size=(row_count, 3)) @ MIXED
        y = x @ slope + rng.normal() + noise * rng.normal(size=row_count)
        groups.append(Group(f"g{place}", x, y))
    return History(tuple(groups), is_ordered), slopes


def read(whole):
    """Return a history as if it had been read from a file."""
    d = whole.groups[0].x.shape[1]
    sources = tuple(Number(name=f"c{place}") for place in range(d))
    rows = sum(len(group.y) for group in whole.groups)
    return HistoryRead(whole, (), sources, {}, np.zeros(d + 1), np.ones(d + 1), rows, rows, ())


@lru_cache
def material():
    """Return the material of the usual history; about three seconds."""
    return prepare(read(history()[0]), 0, lambda stage, share: None)
