"""The hours of the guide's four columns, judged on the weeks that are learnt from alone."""

import math

import numpy as np
import pytest

from service.held_out import split
from service.history_reader import Roles, read_history
from tests.assess.test_guide import DATA

pytestmark = pytest.mark.slow  # seconds, all together

HOURS = {"to_work": (1, 6, 8), "at_work": (1, 10, 15), "going_home": (1, 17, 18)}
HOURS |= {"late_night": (0, 0, 3)}  # working day, first and last hour


@pytest.fixture(scope="module")
def learnt_from():
    """Return features (n, d), hours (n,), label (n,) and week (n,) of the weeks not kept back."""
    roles = Roles(group="week", target="log_bikers", is_in_order=True)
    read = read_history(DATA / "bikeshare.csv", roles, 0)
    known, _ = split(read.history, 0)
    names = [source.name for source in read.sources]
    x = np.concatenate([group.x for group in known.groups])  # (n, d)
    turn = np.arctan2(x[:, names.index("h_sin")], x[:, names.index("h_cos")])  # (n,)
    works = x[:, names.index("workingday")]  # (n,)
    week = np.repeat(np.arange(len(known.groups)), [len(group.y) for group in known.groups])
    y = np.concatenate([group.y for group in known.groups])  # (n,)
    return x, works, np.round(turn * 12 / math.pi) % 24, y, week


def error(learnt_from, hours):
    """Return what the best line with these columns misses by, a level for every week."""
    x, works, hour, y, week = learnt_from
    columns = [(works == day) & (hour >= low) & (hour <= high) for day, low, high in hours.values()]
    table = np.column_stack([x, hour, *columns, y]).astype(float)  # (n, d + 6)
    for one in range(week[-1] + 1):
        table[week == one] -= table[week == one].mean(axis=0)
    line, *_ = np.linalg.lstsq(table[:, :-1], table[:, -1], rcond=None)
    return float(np.std(table[:, -1] - table[:, :-1] @ line))


@pytest.mark.parametrize("name", HOURS)
@pytest.mark.parametrize("moved", [(-1, 0), (1, 0), (0, -1), (0, 1)])
def test_no_bound_would_do_better_an_hour_away(learnt_from, name, moved):
    day, low, high = HOURS[name]
    low, high = low + moved[0], high + moved[1]
    if low < 0:
        return  # the day before is another day

    assert error(learnt_from, HOURS) < error(learnt_from, HOURS | {name: (day, low, high)})


def test_the_columns_take_a_third_of_what_a_line_misses(learnt_from):
    assert error(learnt_from, HOURS) < 0.66 * error(learnt_from, {})
