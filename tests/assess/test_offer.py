"""Step 1 as a whole: columns, groups and curve of a history, and files that are no history."""

import csv
import math
import zipfile
from datetime import date, timedelta

import duckdb
import numpy as np
import pytest

from model.history import FEWEST_QUERIES
from service.assess import sample
from service.assess.columns_found import feature_columns, target_column
from service.assess.curve import NUMBERS
from service.assess.material import prepare
from service.assess.offer import length_bars, offer
from service.assess.sample import looking
from service.held_out import MEAN, RIDGE
from service.history_reader import Roles, read_history
from service.tables import TableError

pytestmark = pytest.mark.slow  # seconds, all together

SHOP = Roles("shop", "sold", units={"temp": "°C"})


def sales(groups=10, rows=30):
    rng = np.random.default_rng(0)
    return [
        {
            "shop": f"s{shop}",
            "opened": str(date(2024, 1, 1) + timedelta(days=int(rng.integers(100)))),
            "temp": round(rng.normal(20, 4), 3),
            "area [m2]": "" if i % 10 == 3 else round(rng.gamma(2.0), 4),
            "size": ["big", "small", "other", ""][int(rng.choice(4, p=[0.5, 0.4, 0.005, 0.095]))],
            "sold": round(rng.normal(50, 5), 4),
        }
        for shop in range(groups)
        for i in range(rows)
    ]


@pytest.fixture
def written(tmp_path):
    """Return a function that writes rows as CSV and returns the path."""

    def write(rows):
        path = tmp_path / "sales.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


def columns_of(path, roles=SHOP):
    read = read_history(path, roles)
    with looking(path, roles, read.used_row_count, 0) as looked:
        found = feature_columns(looked, read)
        return target_column(looked, read), {column.name: column for column in found}


def test_columns_are_what_numpy_finds_in_the_rows(written):
    rows = sales()
    target, columns = columns_of(written(rows))
    temp, sold = (np.array([row[name] for row in rows]) for name in ("temp", "sold"))
    area = np.array([row["area [m2]"] for row in rows if row["area [m2]"] != ""])

    for found, values in ((target, sold), (columns["temp"], temp), (columns["area [m2]"], area)):
        assert found.kind == "number"
        assert (found.low, found.high) == (values.min(), values.max())
        assert found.middle == pytest.approx(np.median(values))
        assert list(found.bars) == np.histogram(values, len(found.bars))[0].tolist()
    assert (target.unit, columns["temp"].unit, columns["area [m2]"].unit) == ("", "°C", "m2")
    assert columns["area [m2]"].missing == pytest.approx(0.1)
    assert columns["temp"].features == ("temp",)


def test_a_category_has_its_levels_and_the_rest_and_a_date_its_days(written):
    rows = sales()
    _, columns = columns_of(written(rows))
    size, opened = columns["size"], columns["opened"]
    rows_of = {level: sum(row["size"] == level for row in rows) for level in ("big", "small")}
    levels = sorted(rows_of, key=rows_of.__getitem__, reverse=True)
    counts = [rows_of[level] for level in levels]
    days = [(date.fromisoformat(row["opened"]) - date(2024, 1, 1)).days for row in rows]

    assert size.kind == "category" and size.levels == (*levels, "")
    assert list(size.bars) == [*counts, len(rows) - sum(counts)]
    assert size.features == tuple(f"size={level}" for level in levels)
    assert opened.kind == "date" and opened.unit == "days since 2024-01-01"
    assert (opened.low, opened.high) == (min(days), max(days)) and sum(opened.bars) == len(rows)


def test_bars_of_a_sample_speak_of_the_whole(written, monkeypatch):
    path = written(sales(20, 100))
    whole, _ = columns_of(path)
    monkeypatch.setattr(sample, "SAMPLED_ROWS", 500)
    sampled, _ = columns_of(path)

    assert sum(sampled.bars) == pytest.approx(2000, abs=len(sampled.bars))
    assert (sampled.low, sampled.high) == (whole.low, whole.high)
    spread = [4 * math.sqrt(4 * max(bar, 4)) for bar in whole.bars]  # one row in four is looked at
    assert np.all(np.abs(np.subtract(sampled.bars, whole.bars)) <= spread)


def test_the_whole_offer_of_a_history(written):
    path = written(sales())
    stages = []
    material = prepare(read_history(path, SHOP), 0, lambda stage, share: None)
    found = offer(path, SHOP, material, lambda stage, share: stages.append(share))

    assert (found.source, found.group, found.target.name) == ("sales.csv", "shop", "sold")
    assert (found.row_count, found.used_row_count, found.group_count) == (300, 300, 10)
    assert found.lengths == (30, 30, 30) and sum(groups for _, groups in found.length_bars) == 10
    assert found.learnt_groups + found.held_out_groups == 10
    longest = max(M for M in NUMBERS if M + FEWEST_QUERIES <= 30)
    assert [point.example_count for point in found.curve] == [M for M in NUMBERS if longest >= M]
    assert len({point.prompt_count for point in found.curve}) == 1
    assert found.knee in NUMBERS and {MEAN, RIDGE} <= set(found.curve[0].others)
    for point in found.curve:
        assert point.ours.low <= point.ours.value <= point.ours.high
    assert stages == sorted(stages) and stages[-1] < 1


@pytest.mark.parametrize("sizes", [[11], [11, 12, 24, 70], [5000, 11, 40, 40]])
def test_every_group_is_in_one_bar_of_lengths(sizes):
    bars = length_bars(sizes)
    steps = [low for low, _ in bars] + [math.inf]

    assert steps == sorted(set(steps)) and bars[0][1] > 0 and bars[-1][1] > 0
    for (low, groups), end in zip(bars, steps[1:], strict=True):
        assert groups == sum(low <= size < end for size in sizes)


HEAD = "shop,temp,sold\n"
BODY = "".join(f"s{i % 3},{20 + i % 7},{i}\n" for i in range(60))
BAD = {
    "empty": ("", "the file is empty: save the table again"),
    "only a mark of its encoding": (b"\xef\xbb\xbf", "the file is empty"),
    "a header alone": (HEAD, "there is a header but no row below it: save the table with its rows"),
    "text as target": (
        HEAD + "".join(f"s{i % 3},{i},many {i % 5}\n" for i in range(60)),
        "the target 'sold' must hold numbers: 60 of 60 rows hold something else, such as 'many 0': "
        "choose a column of numbers with --target",
    ),
    "a target with separators": (
        HEAD + "".join(f's{i % 3},{i},"1,{100 + i}"\n' for i in range(60)),
        "such as '1,100': write numbers without the thousands separator ','",
    ),
    "one label": (
        HEAD + "".join(f"s{i % 3},{i},5\n" for i in range(60)),
        "the target 'sold' has the same value in every row: choose another column with --target",
    ),
    "features that never vary": (
        HEAD + "".join(f"s{i % 3},20,{i}\n" for i in range(60)),
        "there is no column left to predict from: add one that varies",
    ),
    "short groups": (
        HEAD + "".join(f"s{i},{i},{i}\n" for i in range(60)),
        "got 60 groups that are all shorter: gather more rows, or choose with --group a coarser "
        "column than 'shop'",
    ),
    "a name twice": ("shop,temp,temp\n1,2,3\n", "has the column 'temp' twice: rename one"),
    "a title above": (
        "Sales of 2024,,\n" + HEAD,
        "column 2 has no name in the header: name it, or",
    ),
    "a number beyond all": (
        HEAD + BODY + "s1,1e308,3\n",
        "column 'temp': expected numbers up to 1e+100, got 1e+308: correct this cell",
    ),
    "no header": ("1,2,3\n4,5,6\n", "it holds numbers: add it"),
    "a ragged line": (
        HEAD + BODY + "s1,20\n",
        "line 62: expected 3 values, as the header names, got 2: correct this line",
    ),
    "an open quote": (HEAD + BODY + 's1,"20,3\n', "a quote is never closed: close it"),
    "cells with units": (
        HEAD + "".join(f"s{i % 3},{20 + i} kg,{i}\n" for i in range(60)),
        "column 'temp' holds numbers that are written as texts ('20 kg'): take the unit 'kg' out",
    ),
    "decimals with a comma": (
        "shop;temp;sold\n" + "".join(f"s{i % 3};{20 + i},5;{i}\n" for i in range(60)),
        "write decimals with a point, not with a comma, or leave it out with --exclude temp",
    ),
    "an error of the spreadsheet": (
        HEAD + BODY + "s1,#DIV/0!,3\n",
        "('#DIV/0!'): empty the cells with an error of the spreadsheet",
    ),
    "Latin-1": (
        (HEAD + BODY + "Café,20,3\n").encode("latin-1"),
        "line 62: the text is not UTF-8: save it as UTF-8 (in Excel choose File > Save As",
    ),
    "UTF-8 with Shift-JIS inside": (
        (HEAD + BODY + "東京,20,3\n大阪市,21,4\n").encode() + "名古屋,22,5\n".encode("cp932"),
        "line 64: the text is not UTF-8",
    ),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "this is an Excel workbook, no CSV"),
    "compressed": (b"\x1f\x8b\x08\x00", "the file is compressed: unpack it first"),
    "binary": (b"abc\x00\x00def", "this is no text: save it as UTF-8"),
    "broken UTF-16": ((HEAD + BODY).encode("utf-16")[:-1], "the text is broken UTF-16"),
}


@pytest.mark.parametrize(("content", "sentence"), BAD.values(), ids=BAD)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence_that_says_what_to_do(
    tmp_path, content, sentence
):
    path = tmp_path / "sales.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(TableError) as error:
        read_history(path, Roles("shop", "sold"))

    assert str(error.value).startswith(f"{path}: ")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("xl/workbook.xml", "an Excel workbook"), ("content.xml", "a spreadsheet"), ("a", "a ZIP")],
)
def test_a_workbook_is_told_from_an_archive(tmp_path, name, sentence):
    path = tmp_path / "sales.csv"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "")

    with pytest.raises(TableError, match=f"this is {sentence}"):
        read_history(path, Roles("shop", "sold"))


JAPANESE = "店舗,気温,天気,売上\n" + "".join(
    f"{['新宿', '渋谷', 'ﾏﾁﾀﾞ'][i % 3]},{20 + i % 7},{['晴れ', '雨'][i % 2]},{i}\n"
    for i in range(90)
)


@pytest.mark.parametrize(
    ("codec", "name"),
    [("utf-8", ""), ("utf-8-sig", ""), ("cp932", "CP932"), ("utf-16", "UTF-16")],
)
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_what_spreadsheets_save_is_read_alike(tmp_path, codec, name, mark):
    path, roles = tmp_path / "売上.csv", Roles("店舗", "売上")
    path.write_bytes(JAPANESE.replace(",", mark).encode(codec))
    read = read_history(path, roles)
    with looking(path, roles, read.used_row_count, 0) as looked:
        columns = {column.name: column for column in feature_columns(looked, read)}

    assert [group.name for group in read.history.groups] == sorted({"新宿", "渋谷", "ﾏﾁﾀﾞ"})
    assert columns["天気"].levels == ("晴れ", "雨")
    assert read.notices == ((f"read as {name}, not as UTF-8",) if name else ())


CODECS = {"Łódź": "cp1250", "Москва": "cp1251", "МОСКВА": "cp1251", "ΑΘΗΝΑ": "cp1253"}


@pytest.mark.parametrize(
    "text", ["Göteborg", "Málaga", "São Paulo", "Zürich", "naïve", "Ærø", *CODECS]
)
def test_european_texts_are_never_taken_for_japanese(tmp_path, text):
    path = tmp_path / "sales.csv"
    codec = CODECS.get(text, "latin-1")
    path.write_bytes((HEAD + BODY + f"{text},20,3\n").encode(codec))

    with pytest.raises(TableError, match="the text is not UTF-8"):
        read_history(path, Roles("shop", "sold"))


def test_a_letter_cut_by_a_chunk_is_still_one(tmp_path, monkeypatch):
    monkeypatch.setattr("service.table_text.CHUNK_BYTES", 7)
    path, roles = tmp_path / "sales.csv", Roles("店舗", "売上")
    for codec in ("utf-8", "cp932"):
        path.write_bytes(JAPANESE.encode(codec))

        assert len(read_history(path, roles).history.groups) == 3


def test_parquet_is_offered_as_well(written, tmp_path):
    path = tmp_path / "sales.parquet"
    duckdb.sql(f"COPY (SELECT * FROM read_csv('{written(sales())}')) TO '{path}'")
    of_csv, of_parquet = columns_of(tmp_path / "sales.csv"), columns_of(path)

    assert of_parquet == of_csv
