from datetime import date, datetime

import numpy as np
import pytest

from model.document import DocumentError, bytes_of, read
from model.features import Category, Date, Number, Source, columns, encode

SOURCES = (
    Number(name="temp", unit="celsius"),
    Category(name="city", levels=("Oslo", "Rome")),
    Date(name="day", origin=date(2024, 1, 1), cycles=("day", "week")),
)


def test_every_feature_has_the_name_that_requests_use():
    assert [column.name for column in columns(SOURCES)] == [
        *("temp", "city=Oslo", "city=Rome"),
        *("day.days", "day.day_sin", "day.day_cos", "day.week_sin", "day.week_cos"),
    ]
    assert columns(SOURCES)[0].unit == "celsius"
    assert "any other value or none" in columns(SOURCES)[1].description


def test_rows_become_the_numbers_that_the_definitions_say():
    rows = {
        "temp": [1.5, "2", None, True],
        "city": ["Rome", " Oslo ", None, "Bonn"],
        "day": ["2024-01-01", datetime(2024, 1, 2, 6), None, date(2024, 1, 8)],
    }
    found = encode(SOURCES, rows)
    wave = 2 * np.pi * 1.25 / 7

    nan = np.nan
    expected = [
        [1.5, 0, 1, 0, 0, 1, 0, 1],
        [2.0, 1, 0, 1.25, 1, 0, np.sin(wave), np.cos(wave)],
        [nan, 0, 0, nan, nan, nan, nan, nan],
        [1.0, 0, 0, 7, 0, 1, 0, 1],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_cycle_comes_back_to_where_it_was():
    once = Date(name="t", origin=date(2020, 1, 1), cycles=("week",))
    found = once.encode(["2024-02-29T10:00:00", "2024-03-07T10:00:00"])

    np.testing.assert_allclose(found[0, 1:], found[1, 1:], atol=1e-12)
    assert found[1, 0] - found[0, 0] == pytest.approx(7.0)


def test_a_zone_is_left_out_and_the_clock_stands():
    found = Date(name="t", origin=date(2024, 1, 1)).encode(["2024-01-01T12:00:00+09:00"])

    assert found.tolist() == [[0.5]]


@pytest.mark.parametrize("source", [SOURCES[0], SOURCES[2]], ids=["number", "date"])
def test_what_cannot_be_read_is_an_error_and_no_missing_value(source):
    with pytest.raises(ValueError, match=r"hello|Invalid isoformat"):
        source.encode(["hello"])


def test_a_declaration_survives_json_and_refuses_unknown_kinds():
    assert tuple(read(Source, bytes_of(source)) for source in SOURCES) == SOURCES
    with pytest.raises(DocumentError, match="kind: invalid value 'picture'"):
        read(Source, b'{"kind": "picture", "name": "x"}')
