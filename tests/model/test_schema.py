"""Columns by name: any order comes right, anything else is refused by name."""

import hashlib

import pytest

from model.refusal import Refusal
from model.schema import Column, Schema

SCHEMA = Schema((Column("temp", "celsius"), Column("wind", "m/s"), Column("rain")))


def test_the_hash_is_over_names_and_units_in_order():
    text = b"temp\x1fcelsius\nwind\x1fm/s\nrain\x1f\n"

    assert SCHEMA.hash == hashlib.sha256(text).hexdigest()[:32]
    assert Schema(SCHEMA.columns[::-1]).hash != SCHEMA.hash
    assert Schema().hash == ""


@pytest.mark.parametrize(
    ("names", "positions"),
    [
        (["wind", "rain", "temp"], [2, 0, 1]),
        (["temp", "wind", "rain"], None),
        ([], None),
    ],
)
def test_positions_bring_columns_into_the_models_order(names, positions):
    assert SCHEMA.positions(names) == positions


def test_a_model_of_any_features_takes_any_names_once():
    assert Schema().positions(["a", "b"]) is None
    with pytest.raises(Refusal, match="got 'a' more than once"):
        Schema().positions(["a", "b", "a"])


def test_names_that_do_not_fit_are_listed():
    with pytest.raises(Refusal, match="got unknown 'snow' and missing 'rain'"):
        SCHEMA.positions(["temp", "wind", "snow"])


def test_a_hash_of_a_model_without_columns_is_refused():
    with pytest.raises(Refusal, match=r"schema_hash: expected none \(this model takes any"):
        Schema().check_hash("ab")
