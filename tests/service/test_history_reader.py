"""A history file as a business may have it: what becomes of its columns, rows and groups."""

import csv
import math
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from model.features import Category, Date, Number, encode
from service import history_reader, history_sums
from service.history_reader import Roles, read_history
from service.statistics_file import read_statistics
from service.tables import TableError
from sonoba import Summary

pytestmark = pytest.mark.slow  # seconds, all together

SHOP = Roles("shop", "sold")


def rows_of(count=60, groups=3, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {"shop": f"s{i % groups}", "temp": round(float(rng.normal(20, 5)), 3), "sold": float(i)}
        for i in range(count)
    ]


@pytest.fixture
def written(tmp_path):
    """Return a function that writes rows as CSV and returns the path."""

    def write(rows, name="history.csv"):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return tmp_path / name

    return write


def test_groups_hold_their_rows_and_sums_equal_the_naive_ones(written):
    rows = rows_of()
    found = read_history(written(rows), SHOP)

    assert [group.name for group in found.history.groups] == ["s0", "s1", "s2"]
    assert not found.history.is_ordered
    for group, sums in zip(found.history.groups, found.sums, strict=True):
        mine = [row for row in rows if row["shop"] == group.name]
        x, y = np.array([[r["temp"]] for r in mine]), np.array([r["sold"] for r in mine])
        moments = sums.centred()
        assert group.x.tolist() == x.tolist() and group.y.tolist() == y.tolist()
        assert moments.count == len(mine)
        np.testing.assert_allclose(moments.mean[0], x.mean(0), rtol=1e-12)
        np.testing.assert_allclose(moments.scatter[0], (x - x.mean(0)).T @ (x - x.mean(0)))
        np.testing.assert_allclose(moments.products[0], (x - x.mean(0)).T @ (y - y.mean()))
        np.testing.assert_allclose(moments.label_scatter, ((y - y.mean()) ** 2).sum())


def test_sums_keep_their_digits_where_the_mean_is_large(written):
    rows = [row | {"temp": 1e8 + i % 7} for i, row in enumerate(rows_of())]
    found = read_history(written(rows), SHOP)
    x = np.array([row["temp"] for row in rows if row["shop"] == "s0"])

    scatter = found.sums[0].centred().scatter[0, 0, 0]
    assert scatter == pytest.approx(((x - x.mean()) ** 2).sum(), rel=1e-7)


def mixed_rows(count=240):
    rng = np.random.default_rng(3)
    start = datetime(2023, 1, 1)
    return [
        {
            "shop": f"s{i % 4}",
            "sold": round(float(rng.normal()), 4),
            "temp": "" if i % 10 == 3 else round(float(rng.normal(20, 5)), 3),
            "open": ["true", "false"][i % 2],
            "city": ["Oslo", "Rome", "Bonn", ""][i % 7 % 4],
            "when": str(start + timedelta(hours=6 * i)),
            "same": "x",
            "empty": "",
        }
        for i in range(count)
    ]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_of_every_kind_are_encoded_as_the_schema_declares(written, tmp_path, kind):
    rows = mixed_rows()
    path = written(rows)
    if kind == "parquet":
        duckdb.sql(f"COPY (SELECT * FROM read_csv('{path}')) TO '{tmp_path}/h.parquet'")
        path = tmp_path / "h.parquet"
    found = read_history(path, SHOP)
    listed = {source.name: source for source in found.sources}
    bonn_first = sorted(
        ("Oslo", "Rome", "Bonn"), key=lambda c: (-sum(r["city"] == c for r in rows), c)
    )

    assert list(listed) == ["temp", "open", "city", "when"]
    assert isinstance(listed["temp"], Number) and isinstance(listed["open"], Number)
    assert listed["city"] == Category(name="city", levels=tuple(bonn_first), base=None)
    assert listed["when"] == Date(name="when", origin=date(2023, 1, 1), cycles=("day", "week"))
    assert found.missing["temp"] == pytest.approx(0.1)
    assert "left out: 'same' holds the same value in every row" in found.notices
    assert "left out: 'empty' has no values" in found.notices
    for group in found.history.groups:
        mine = [row for row in rows if row["shop"] == group.name]
        wanted = encode(found.sources, {name: [row[name] for row in mine] for name in listed})
        filled = np.where(np.isnan(wanted), np.nanmean(wanted, axis=0), wanted)
        np.testing.assert_allclose(group.x, filled, atol=1e-9)


def test_a_group_without_any_value_takes_the_mean_of_all(written):
    rows = [row | ({"temp": ""} if row["shop"] == "s1" else {}) for row in rows_of()]
    found = read_history(written(rows), SHOP)
    known = [row["temp"] for row in rows if row["temp"] != ""]

    np.testing.assert_allclose(found.history.groups[1].x, np.mean(known))
    assert found.sums[1].centred().scatter[0, 0, 0] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("token", ["NA", "n/a", "NaN", "null", "?", "inf"])
def test_what_people_write_for_missing_is_missing_among_numbers(written, token):
    rows = [row | ({"temp": token} if i == 0 else {}) for i, row in enumerate(rows_of())]
    if token == "inf":
        with pytest.raises(TableError, match=r"column 'temp' holds numbers, but not in 1 rows"):
            read_history(written(rows), SHOP)
        return
    found = read_history(written(rows), SHOP)

    assert found.missing["temp"] == pytest.approx(1 / 60)


def test_a_category_that_says_everything_needs_no_feature_for_its_first_level(written):
    rows = [
        row | {"size": ["big", "big", "small"][i % 3]} for i, row in enumerate(rows_of(groups=4))
    ]
    found = read_history(written(rows), SHOP)

    assert found.sources[1] == Category(name="size", levels=("small",), base="big")


def test_rare_levels_are_any_other(written):
    rows = [
        row | {"size": "odd" if i == 5 else ["big", "small"][i % 2]}
        for i, row in enumerate(rows_of(300))
    ]
    found = read_history(written(rows), SHOP)

    assert found.sources[1] == Category(name="size", levels=("small", "big"), base=None) or (
        found.sources[1] == Category(name="size", levels=("big", "small"), base=None)
    )


def test_numbers_that_are_names_become_a_category_when_asked(written):
    rows = [row | {"code": 7 + i % 2} for i, row in enumerate(rows_of())]
    found = read_history(written(rows), Roles("shop", "sold", categories=("code",)))

    assert found.sources[1] == Category(name="code", levels=("8",), base="7")


def test_an_order_sorts_the_rows_and_is_no_feature(written):
    rows = [
        row | {"day": str(date(2024, 1, 1) + timedelta(days=i))} for i, row in enumerate(rows_of())
    ]
    found = read_history(written(rows[::-1]), Roles("shop", "sold", order="day"))

    assert found.history.is_ordered
    assert found.history.groups[0].y.tolist() == [float(i) for i in range(0, 60, 3)]
    assert [source.name for source in found.sources] == ["temp"]


def test_of_a_long_ordered_group_the_last_rows_are_kept(written, monkeypatch):
    monkeypatch.setattr(history_sums, "MOST_SAMPLED", 5)
    monkeypatch.setattr(history_sums, "FEWEST_SAMPLED", 5)
    found = read_history(written(rows_of()), Roles("shop", "sold", is_in_order=True))

    assert found.history.groups[0].y.tolist() == [45.0, 48.0, 51.0, 54.0, 57.0]
    assert found.sums[0].count == 20


def test_of_a_long_group_a_seeded_sample_is_kept_even_of_equal_rows(written, monkeypatch):
    monkeypatch.setattr(history_sums, "MOST_SAMPLED", 400)
    monkeypatch.setattr(history_sums, "FEWEST_SAMPLED", 400)
    rows = [{"shop": "s", "temp": i % 2, "sold": i % 4} for i in range(4000)]
    path = written(rows)
    one, again, other = (read_history(path, SHOP, seed).history.groups[0] for seed in (1, 1, 2))

    assert len(one.y) == 400
    assert one.y.tolist() == again.y.tolist() != other.y.tolist()
    assert abs(one.x.mean() - 0.5) < 4 * 0.5 / math.sqrt(400)
    assert abs(one.y.mean() - 1.5) < 4 * math.sqrt(1.25 / 400)


def test_short_groups_and_rows_without_label_are_left_out_and_counted(written):
    rows = [
        *rows_of(),
        {"shop": "tiny", "temp": 1.0, "sold": 1.0},
        {"shop": "s0", "temp": 1.0, "sold": ""},
    ]
    found = read_history(written(rows), SHOP)

    assert len(found.history.groups) == 3
    assert "left out: 1 of 62 rows, without group or target" in found.notices
    assert "left out: 1 of 4 groups, with fewer than 11 rows" in found.notices


def test_of_too_many_groups_some_are_drawn(written, monkeypatch):
    monkeypatch.setattr(history_reader, "MOST_GROUPS", 5)
    path = written(rows_of(400, groups=20))
    found = [read_history(path, SHOP, seed) for seed in (0, 0, 1)]
    names = [[group.name for group in one.history.groups] for one in found]

    assert len(names[0]) == 5
    assert names[0] == names[1] != names[2]
    assert "learnt from 5 of 20 groups, drawn at random" in found[0].notices


REFUSED = {
    "no such column": (Roles("shp", "sold"), {}, "there is no column 'shp'; did you mean 'shop'?"),
    "one column twice": (Roles("shop", "shop"), {}, "expected two columns, got 'shop' twice"),
    "a target of text": (SHOP, {"sold": "many"}, "the target 'sold' must hold numbers"),
    "a slip among numbers": (SHOP, {"temp": "12,5"}, "holds numbers, but not in 1 rows ('12,5')"),
    "an order of text": (
        Roles("shop", "sold", order="note"),
        {},
        "--order: expected numbers or dates in 'note', got text",
    ),
    "names, no category": (SHOP, {}, "'note' holds 60 different texts, too many for a category"),
    "the target as feature": (
        Roles("shop", "sold", features=("sold",)),
        {},
        "--features: 'sold' is the group, the target or the order",
    ),
    "nothing left": (Roles("shop", "sold", exclude=("temp", "note")), {}, "no column left"),
}


@pytest.mark.parametrize(("roles", "first", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_in_a_sentence(written, roles, first, sentence):
    rows = [row | {"note": f"note {i}"} for i, row in enumerate(rows_of())]
    rows[0] |= first

    with pytest.raises(TableError) as error:
        read_history(written(rows), roles)

    assert sentence in str(error.value)


def test_too_many_features_are_refused_with_the_widest_columns(written):
    rows = [
        row | {f"x{j}": i * (j % 16 + 1) % 17 for j in range(129)}
        for i, row in enumerate(rows_of())
    ]

    with pytest.raises(TableError, match="expected at most 128 features, got 130"):
        read_history(written(rows), SHOP)


def test_a_history_of_short_groups_only_is_refused(written):
    with pytest.raises(TableError, match="expected groups of at least 11 rows, got 6 groups"):
        read_history(written(rows_of(groups=6)), SHOP)


@pytest.fixture
def statistics(written, tmp_path):
    """Return the sums of a table by the client's query, and its rows."""
    rng = np.random.default_rng(5)
    rows = []
    for i in range(400):
        a, b = rng.normal(3, 1), rng.normal(-1, 2)
        rows.append({"store": f"s{i % 8}", "a": a, "b": b, "y": 2 * a - b + i % 8 + rng.normal()})
    table = f"read_csv('{written(rows)}')"
    query = Summary.sql(["a", "b"], "y", table, group="store")
    duckdb.sql(f"COPY ({query}) TO '{tmp_path}/sums.csv'")
    return tmp_path / "sums.csv", rows


def test_sums_of_another_engine_stand_in_for_the_rows(statistics, written):
    path, rows = statistics
    by_sums = read_statistics(path, [Number(name="a"), Number(name="b")])
    by_rows = read_history(written(rows, "r.csv"), Roles("store", "y"))
    at = {group.name: i for i, group in enumerate(by_sums.history.groups)}

    assert by_sums.is_simulated and not by_rows.is_simulated
    for group, sums in zip(by_rows.history.groups, by_rows.sums, strict=True):
        drawn = by_sums.history.groups[at[group.name]]
        theirs = by_sums.sums[at[group.name]].centred()
        ours = sums.centred()
        assert theirs.count == ours.count == len(drawn.y)
        for name in ("mean", "scatter", "products", "label_mean", "label_scatter"):
            np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), rtol=1e-8)
        joint = np.column_stack([drawn.x, drawn.y])
        real = np.column_stack([group.x, group.y])
        np.testing.assert_allclose(joint.mean(0), real.mean(0), rtol=1e-9)
        np.testing.assert_allclose(np.cov(joint.T), np.cov(real.T), rtol=1e-8)


def test_sums_that_no_rows_can_have_are_refused_with_their_group(statistics):
    path, _ = statistics
    lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    cells[lines[0].split(",").index("moment_x1_x1")] = "-1"
    path.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]))

    with pytest.raises(TableError, match=f"group '{cells[0]}': expected sums of real examples"):
        read_statistics(path, [Number(name="a"), Number(name="b")])


def test_a_file_that_is_not_the_querys_is_refused_by_column(statistics):
    path, _ = statistics

    with pytest.raises(TableError, match="there is no column 'sum_x3'"):
        read_statistics(path, [Number(name=name) for name in "abc"])


def test_the_documented_query_is_the_clients_and_runs_in_duckdb(written, tmp_path):
    rows = [
        {"store": row["shop"], "temp": row["temp"], "weekend": i % 2, "sold": row["sold"]}
        for i, row in enumerate(rows_of())
    ]
    page = (Path(__file__).parents[2] / "docs/pretrain.md").read_text(encoding="utf-8")
    query = page.split("```sql\n")[1].split("\n```")[0]
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE sales AS SELECT * FROM read_csv('{written(rows)}')")
        connection.execute(f"COPY ({query}) TO '{tmp_path}/sums.csv'")
    found = read_statistics(tmp_path / "sums.csv", [Number(name="temp"), Number(name="weekend")])

    assert query == Summary.sql(["temp", "weekend"], "sold", "sales", group="store")
    assert sorted(group.name for group in found.history.groups) == ["s0", "s1", "s2"]
    assert [sums.count for sums in found.sums] == [20, 20, 20]
