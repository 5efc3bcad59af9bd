"""The demo's last act: a clock in UTC, and the page that finds it."""

import numpy as np
import pytest

from service.demo_shift import Act, in_utc
from service.replay import read_hours

FEATURES = ("temp", "h_sin", "h_cos", "h2_sin", "h2_cos")


def hour(h):
    turn = 2 * np.pi * h / 24
    return [0.5, np.sin(turn), np.cos(turn), np.sin(2 * turn), np.cos(2 * turn)]


@pytest.mark.parametrize("h", range(24))
def test_an_hour_is_told_as_the_one_five_later(h):
    changed = in_utc(np.array([hour(h)]), FEATURES)

    np.testing.assert_allclose(changed, [hour(h + 5)], atol=1e-12)


def test_the_shipped_hours_change_in_their_clock_and_nothing_else():
    hours = read_hours()
    changed = in_utc(hours.x, hours.features)
    moved = (changed != hours.x).any(axis=0)

    clock = {"h_sin", "h_cos", "h2_sin", "h2_cos"}
    assert {name for name, is_moved in zip(hours.features, moved, strict=True) if is_moved} == clock


def status(answer, *moved):
    columns = [{"name": name, "harm_share": share} for name, share in moved]
    return {"answer": answer, "moved": columns, "series": {"leave_one_out": [1.0, 3.2]}}


def test_what_the_page_said_is_put_in_words():
    moved = ("h_cos", 0.51), ("temp", 0.2), ("wind", None)
    said = Act(status("YES"), status("NO", *moved), 120, 3.14).findings()

    assert "said YES" in said[0]
    assert said[1].startswith("After 120 such prompts it said NO: squared errors are 3.2 times")
    assert "3.1 times" in said[1]
    assert (
        said[2] == "The column it blames most is h_cos with 51 %, then temp with 20 % of the harm."
    )


def test_a_page_that_saw_nothing_is_not_praised():
    said = Act(status("NOT_MEASURED"), status("WATCH"), 0, 3.14).findings()

    assert "said NOT MEASURED" in said[0]
    assert said[1:] == [
        "After 400 such prompts it said WATCH (by the labels of the queries, which the server "
        "never sees: 3.1 times)."
    ]
