"""Faults of real spreadsheets: each is planted and found, and nothing is found where none is."""

import csv
from datetime import date, timedelta

import numpy as np
import pytest

from service.assess import sample
from service.assess.mixed_units import mixture
from service.assess.quality import quality
from service.assess.quality_time import scale_change
from service.assess.quality_values import far_from
from service.assess.sample import looking
from service.history_reader import Roles, read_history

pytestmark = pytest.mark.slow  # seconds, all together

SHOP = Roles("shop", "sold", exclude=("day",))
BY_DAY = Roles("shop", "sold", order="day")
GROUPS, ROWS = 12, 40


def sales(groups=GROUPS, rows=ROWS, seed=0):
    """Return rows without a fault: shops whose sales follow the weather, each in its own way."""
    rng = np.random.default_rng(seed)
    found = []
    for shop in range(groups):
        for day in range(rows):
            temp, rain = rng.normal(20, 4), rng.gamma(2.0)
            size = ["big", "small"][int(rng.integers(2))]
            sold = 50 + shop + 2 * temp - rain + 3 * (size == "big") + rng.normal(0, 2)
            found.append(
                {
                    "shop": f"s{shop}",
                    "day": str(date(2024, 1, 1) + timedelta(days=day)),
                    "temp": round(temp, 3),
                    "rain": round(rain, 4),
                    "size": size,
                    "sold": round(sold, 4),
                }
            )
    return found


@pytest.fixture
def faults(tmp_path):
    """Return a function that writes rows and returns their faults by code."""

    def find(rows, roles=SHOP):
        path = tmp_path / "sales.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        read = read_history(path, roles)
        with looking(path, roles, read.used_row_count, 0) as looked:
            return {finding.code: finding for finding in quality(looked, read)}

    return find


@pytest.mark.parametrize("roles", [SHOP, BY_DAY, Roles("shop", "sold", is_in_order=True)])
@pytest.mark.parametrize("seed", range(4))
def test_a_history_without_a_fault_has_none(faults, roles, seed):
    assert faults(sales(seed=seed), roles) == {}


def changed(column, change, of=lambda i: True):
    rows = sales()
    for i, row in enumerate(rows):
        if of(i):
            row[column] = change(row[column])
    return rows


def some(i):
    return i % 60 == 7  # 8 of 480 rows


def only(found, code):
    """Return the finding of a code, for which alone there is one."""
    assert set(found) == {code}
    return found[code]


@pytest.mark.parametrize("value", ["-999", "9999", "-99.9"])
def test_a_stand_in_for_missing_values_is_named_with_its_rows(faults, value):
    finding = only(faults(changed("temp", lambda _: value, some)), "sentinel")

    assert finding.weight == "repair" and finding.columns == ("temp",)
    assert finding.row_count == 8 and finding.examples == (value,)
    assert float(finding.detail["value"]) == float(value)
    assert finding.detail["row"] == 9  # the eighth row below the header
    assert finding.detail["share"] == pytest.approx(8 / 480)
    assert 0 < finding.detail["low"] < finding.detail["high"] < 50


def test_a_minus_one_among_counts_is_a_stand_in_and_a_zero_is_not(faults):
    rng = np.random.default_rng(0)
    counts = [row | {"staff": int(rng.integers(0, 30))} for row in sales()]
    found = only(
        faults([r | {"staff": -1} if some(i) else r for i, r in enumerate(counts)]), "sentinel"
    )

    assert found.detail["value"] == "-1" and found.row_count == 8
    assert faults(counts) == {}


def test_a_few_zeros_far_below_all_others_are_told_and_others_are_not(faults):
    rows = [row | {"humidity": round(40 + 10 * row["rain"] % 50, 3)} for row in sales()]
    few = [r | {"humidity": 0} if i % 160 == 7 else r for i, r in enumerate(rows)]
    many = [r | {"humidity": 0} if i % 10 == 7 else r for i, r in enumerate(rows)]
    rain = [r | {"rain": 0} if i % 120 == 7 else r for i, r in enumerate(rows)]
    found = only(faults(few), "sentinel")

    assert found.weight == "know" and found.row_count == 3 and found.detail["value"] == "0"
    assert found.detail["low"] >= 40
    assert faults(many) == faults(rain) == faults(rows) == {}


def test_a_date_that_stands_for_none_is_found(faults):
    rows = changed("day", lambda _: "9999-12-31", some)
    found = faults(rows, Roles("shop", "sold", is_in_order=True))["sentinel"]

    assert found.columns == ("day",) and found.detail["value"] == "9999-12-31"


def test_a_slip_of_the_keys_lies_far_from_the_rest(faults):
    found = faults(changed("temp", lambda t: t * 1000, lambda i: i == 33))
    finding = only(found, "far_values")

    assert finding.weight == "repair" and finding.row_count == 1
    assert float(finding.examples[0]) == finding.detail["farthest"] > 1000
    assert finding.detail["times"] > 50 and finding.detail["row"] == 35


@pytest.mark.parametrize("law", ["normal", "exponential", "lognormal", "gamma", "uniform"])
def test_the_tails_of_usual_laws_are_not_far(law):
    rng = np.random.default_rng(0)
    numbers = np.array([rng.gamma(0.5)]) if law == "gamma" else getattr(rng, law)(size=20_000)

    assert far_from(numbers) is None
    assert far_from(-numbers) is None


def test_far_is_by_widths_of_the_range_of_nine_in_ten():
    numbers = np.append(np.linspace(0, 100, 1001), 1000 * 95 / 90)
    edge, times = far_from(np.append(np.linspace(0, 100, 1001), 3000.0))

    assert far_from(numbers) is None  # 10.6 widths
    assert edge == pytest.approx(1550) and times == pytest.approx((3000 - 95) / 90, rel=0.01)


@pytest.mark.parametrize(("factor", "of"), [(1000.0, 6), (25.4, 3), (60.0, 9)])
def test_two_units_in_one_column_are_told_by_their_factor(faults, factor, of):
    found = faults(changed("temp", lambda t: round(t * factor, 3), lambda i: i // ROWS < of))

    assert found["mixed_units"].detail["kind"] == "factor"
    assert found["mixed_units"].detail["factor"] == factor
    assert found["mixed_units"].row_count == ROWS * min(of, GROUPS - of)
    assert found["mixed_units"].detail["share"] == pytest.approx(min(of, GROUPS - of) / GROUPS)


def test_celsius_and_fahrenheit_are_told(faults):
    rng = np.random.default_rng(0)
    c = rng.uniform(15, 35, 400)
    y, groups = 2 * c + rng.normal(size=400), np.arange(400) % 8
    told = np.where(groups < 2, c * 1.8 + 32, c)
    found = mixture(told, y, groups)

    assert found.kind == "temperature" and found.share == 0.25
    assert mixture(c, y, groups) is None


def test_two_heaps_that_answer_alike_are_one_unit():
    """Small and large shops, 2.54 times as large: the target rises as much with either."""
    rng = np.random.default_rng(0)
    base = rng.uniform(10, 15, 400)
    groups = np.arange(400) % 8
    area = np.where(groups < 4, base, 2.54 * base)
    within = 3 * area + rng.normal(size=400)

    assert mixture(area, within, groups) is None
    assert mixture(area, 3 * base + rng.normal(size=400), groups).factor == 2.54


def test_missing_cells_are_counted_and_weigh_by_their_share(faults):
    few = only(faults(changed("rain", lambda _: "", some)), "missing")
    many = only(faults(changed("rain", lambda _: "NA", lambda i: i % 3 == 0)), "missing")

    assert few.weight == "know" and few.row_count == 8 and few.detail["row"] == 9
    assert many.weight == "repair" and many.detail["share"] == pytest.approx(1 / 3)


def test_rows_without_a_label_are_counted(faults):
    found = only(faults(changed("sold", lambda _: "", some)), "rows_left_out")

    assert found.row_count == 8 and found.columns == ("shop", "sold")


@pytest.mark.parametrize(
    ("write", "kind", "mark"),
    [
        (lambda n: f"{n} kg", "unit", "kg"),
        (lambda n: f"¥{n}", "currency", "¥"),
        (lambda n: f"{n},500", "thousands", ","),
        (lambda n: f"{n},5", "decimal_comma", ","),
        (lambda n: "１２３４"[n % 4], "full_width", None),
    ],
)
def test_numbers_written_as_text_are_told_with_what_is_in_the_way(faults, write, kind, mark):
    rows = [row | {"weight": write(1 + i % 4)} for i, row in enumerate(sales())]
    found = only(faults(rows), "number_as_text")

    assert found.columns == ("weight",) and found.detail["kind"] == kind
    assert found.row_count == 480 and len(found.examples) == 4
    assert mark is None or found.detail["mark"] == mark


@pytest.mark.parametrize("levels", [["A1", "B2", "C3"], ["2 rooms", "hut", "flat"], ["1st", "2nd"]])
def test_names_with_digits_are_no_numbers(faults, levels):
    assert faults([r | {"kind": levels[i % len(levels)]} for i, r in enumerate(sales())]) == {}


def test_one_thing_spelt_in_two_ways_is_found_in_categories_and_groups(faults):
    in_category = only(faults(changed("size", lambda s: "Big", some)), "spelling")
    in_group = faults(changed("shop", lambda s: "Ｓ3", lambda i: i // ROWS == 3 and i % 2))

    assert in_category.columns == ("size",) and in_category.row_count == 8
    assert in_category.examples == ("Big",)
    assert (in_category.detail["first"], in_category.detail["second"]) == ("big", "Big")
    assert in_group["spelling"].columns == ("shop",) and in_group["spelling"].row_count == 20


def test_sums_among_the_rows_are_found(faults):
    rows = sales()
    total = [row | {"shop": "合計", "sold": row["sold"] * 12} for row in rows[:ROWS]]
    found = faults(rows + total)["total_rows"]

    assert found.weight == "repair" and found.row_count == ROWS and found.examples == ("合計",)


def test_words_for_missing_in_a_category_are_told(faults):
    found = only(faults(changed("size", lambda _: "不明", lambda i: i % 9 == 0)), "missing_word")

    assert found.detail["word"] == "不明" and found.weight == "know"


def test_texts_too_rare_for_a_feature_are_told(faults):
    rows = [r | {"town": f"town {i % 200 if i % 4 == 0 else i % 3}"} for i, r in enumerate(sales())]
    found = only(faults(rows), "rare_levels")

    assert found.detail["kept"] == 3 and found.detail["share"] > 0.1
    assert not {"town 1", "town 2"} & set(found.examples)


def test_columns_that_say_nothing_are_named(faults):
    rows = [r | {"year": 2024, "note": ""} for r in sales()]
    found = faults(rows)

    assert set(found) == {"constant_column", "empty_column"}
    assert found["constant_column"].columns == ("year",)
    assert found["constant_column"].detail["value"] == "2024"
    assert found["empty_column"].columns == ("note",)


def test_a_column_that_only_tells_groups_apart_is_named(faults):
    rows = [r | {"area": 100 + 7 * (i // ROWS) % 50} for i, r in enumerate(sales())]
    found = only(faults(rows), "constant_in_groups")

    assert found.columns == ("area",) and found.detail["groups"] == GROUPS


def test_two_columns_that_say_the_same_are_named_together(faults):
    rows = [r | {"fahrenheit": round(r["temp"] * 1.8 + 32, 3)} for r in sales()]
    same = [r | {"again": r["temp"]} for r in sales()]

    other = only(faults(rows), "same_column")
    assert other.columns == ("temp", "fahrenheit") and other.detail["is_identical"] == 0
    assert only(faults(same), "same_column").detail["is_identical"] == 1


def test_a_column_that_is_the_target_again_is_a_leak_even_at_rates_of_its_own(faults):
    rates = [r | {"revenue": round(r["sold"] * (90 + i // ROWS), 2)} for i, r in enumerate(sales())]
    noisy = [r | {"hint": r["sold"] + (i * 37 % 11 - 5) / 5} for i, r in enumerate(sales())]

    leak = only(faults(rates), "leak")
    assert leak.columns == ("revenue", "sold") and leak.weight == "repair"
    assert leak.detail["is_copy"] == 1
    assert only(faults(noisy), "leak").weight == "know"


def test_columns_that_add_up_to_the_target_are_a_leak_together(faults):
    rng = np.random.default_rng(5)
    rows = []
    for row in sales():
        morning = round(float(rng.uniform(10, 40)), 3)
        rows.append(row | {"morning": morning, "evening": round(row["sold"] - morning, 4)})
    found = only(faults(rows), "leak_together")

    assert set(found.columns) == {"morning", "evening", "sold"}


def test_two_columns_that_only_grow_together_are_no_leak(faults):
    rng = np.random.default_rng(0)
    rows = []
    for i, row in enumerate(sales()):
        day = i % ROWS
        rows.append(row | {"count": day + round(rng.random(), 3), "sold": 5 * day + rng.random()})

    assert "leak" in faults(rows)
    assert "leak" not in faults(rows, BY_DAY)


def test_a_number_of_the_row_is_a_name(faults):
    receipts = [r | {"receipt": 100_000 + 3 * i} for i, r in enumerate(sales())]
    shuffled = np.random.default_rng(0).permutation(480)
    scattered = [r | {"receipt": int(n)} for r, n in zip(sales(), shuffled, strict=True)]

    assert only(faults(receipts), "name_like").examples[0] == "100000"
    assert only(faults(scattered), "name_like").columns == ("receipt",)


def test_rows_that_stand_twice_are_copies_and_rows_alike_by_chance_are_not(faults):
    rows = sales()
    found = only(faults(rows + rows[100:120]), "repeated_rows")
    few = np.random.default_rng(0)
    alike = [
        {"shop": f"s{i % 12}", "x": int(few.integers(4)), "sold": int(few.integers(6))}
        for i in range(480)
    ]

    assert found.row_count == 20 and found.weight == "repair"
    assert found.detail["row"] == 102 and found.examples[0].startswith("s2, 2024-01-21, ")
    assert "repeated_rows" not in faults(alike, Roles("shop", "sold"))


def test_short_groups_and_groups_of_one_label_are_counted(faults):
    rows = sales()
    short = only(
        faults(rows + [rows[0] | {"shop": "new", "temp": i} for i in range(4)]), "short_groups"
    )
    same = [r | {"sold": 5} if r["shop"] in ("s1", "s2", "s3") else r for r in rows]
    constant = only(faults(same), "constant_label")

    assert short.examples == ("new",) and short.row_count == 4
    assert (short.detail["groups"], short.detail["group_count"]) == (1, 13)
    assert constant.examples == ("s1", "s2", "s3") and constant.weight == "repair"


def test_rows_that_share_their_place_in_time_are_counted(faults):
    rows = changed("day", lambda _: "2024-01-05", lambda i: i % ROWS in (4, 5))
    found = only(faults(rows, BY_DAY), "order_ties")

    assert found.row_count == 24 and found.weight == "repair"  # 2 rows of each of 12 groups
    assert found.examples == ("2024-01-05",) and found.detail["groups"] == 12


def test_a_date_that_goes_back_contradicts_the_order_of_the_file(faults):
    rows = sales()
    rows[45], rows[46] = rows[46], rows[45]
    found = only(faults(rows, Roles("shop", "sold", is_in_order=True)), "not_in_order")

    assert found.row_count == 1 and found.examples == ("s1",)


def test_a_date_that_rises_tells_an_order_that_was_not_said(faults):
    rows = sales()
    mixed = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    roles = Roles("shop", "sold")

    assert only(faults(rows, roles), "order_not_told").columns == ("day",)
    assert faults(mixed, roles) == {}


def test_a_scale_that_changes_at_some_day_is_found_with_the_day(faults):
    rows = changed("temp", lambda t: round(t * 10, 3), lambda i: i % ROWS >= 24)
    found = faults(rows, BY_DAY)["scale_in_time"]

    assert found.columns == ("temp",) and found.detail["at"] == "2024-01-25"
    assert found.detail["factor"] == pytest.approx(10, rel=0.1)
    assert found.row_count == GROUPS * 16


@pytest.mark.parametrize("form", ["growing", "seasonal", "noisy"])
def test_what_grows_or_comes_and_goes_has_no_other_scale(form):
    rng = np.random.default_rng(0)
    time = np.arange(4000.0)
    level = {"growing": np.exp(time / 1000), "seasonal": np.exp(2 * np.sin(time / 300))}
    numbers = level.get(form, np.ones(4000)) * rng.lognormal(0, 0.5 if form != "noisy" else 2, 4000)

    assert scale_change(time, numbers) is None


def test_few_groups_and_more_features_than_rows_are_told(faults):
    rng = np.random.default_rng(0)
    few = only(faults(sales(groups=4)), "few_groups")
    wide = [
        r | {f"x{j}": round(rng.normal(), 4) for j in range(20)} for r in sales(rows=14, groups=9)
    ]

    assert few.detail == {"groups": 4, "wanted": 8}
    assert faults(wide)["wide"].detail == {"features": 23, "rows": 14}


def test_a_target_that_ends_at_a_cap_or_in_a_long_tail_is_told(faults):
    capped = only(faults(changed("sold", lambda s: min(s, 100.0))), "capped_target")
    tailed = only(
        faults(changed("sold", lambda s: round(np.exp((s - 90) / 5), 6))), "long_tailed_target"
    )

    assert capped.detail["value"] == 100.0 and capped.detail["share"] > 0.1
    assert tailed.detail["times"] > 5


def test_a_file_too_large_to_look_at_whole_is_counted_whole(faults, monkeypatch):
    rows = changed("temp", lambda _: "-999", some)
    whole = faults(rows + rows[100:120])
    monkeypatch.setattr(sample, "SAMPLED_ROWS", 150)
    sampled = faults(rows + rows[100:120])

    assert sampled["sentinel"].row_count == whole["sentinel"].row_count == 8
    assert sampled["sentinel"].detail["row"] == whole["sentinel"].detail["row"]
    assert sampled["repeated_rows"].row_count == 20
