"""`sonoba assess` as a person runs it: what it prints and writes, and what it refuses."""

import csv
import os
import shlex
import stat
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from service import boosting
from service.assess import command
from service.assess.command import assess
from service.assess.written import Places, Unwritable, replace_text
from service.business_rules import read
from service.cli import cli
from service.pretrain import pretrain

ROOT = Path(__file__).parents[2]
GROUPS = ("--group", "shop", "--target", "sold")


def run(*arguments):
    return CliRunner().invoke(cli, ["assess", *(str(argument) for argument in arguments)])


def write(path, groups=10, rows=36, slope=2.0, leak=False):
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["shop", "temp", "weekend", "sold", *(["paid"] if leak else [])])
        for shop in range(groups):
            for _ in range(rows):
                temp, weekend = rng.normal(20, 5), int(rng.integers(2))
                sold = shop + slope * (temp + 5 * weekend) + 4.0 * rng.normal()
                row = [f"s{shop}", round(temp, 4), weekend, round(sold, 4)]
                writer.writerow([*row, *([round(1.1 * sold, 4)] if leak else [])])
    return path


@pytest.fixture(scope="module")
def assessed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assessed")
    history, out = write(folder / "my sales.csv"), folder / "new" / "report.html"
    given = (history, *GROUPS, "--unit", "temp=°C", "--exclude", "weekend", "--seed", 1)
    return folder, given, run(*given, "--out", out)


@pytest.mark.slow
def test_it_says_the_choice_its_reasons_and_where_the_files_are(assessed):
    folder, _, done = assessed

    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split(":")[0] in {"GO", "PILOT", "NO-GO"}
    assert [line[0] for line in lines[1:4]] == sorted(
        (line[0] for line in lines[1:4]), key="-!+".index
    )
    assert f"report    {folder}/new/report.html" in lines
    assert f"rules     {folder}/new/my-sales.rules.yaml" in lines


@pytest.mark.slow
def test_both_files_are_there_and_the_rules_are_right(assessed):
    folder, _, _ = assessed

    report = (folder / "new" / "report.html").read_text(encoding="utf-8")
    assert report.startswith("<!doctype html>")
    assert report.endswith("</html>\n<!-- Written by `sonoba assess` -->\n")
    assert "my-sales" in report
    assert set(read(folder / "new" / "my-sales.rules.yaml").models) == {"my-sales"}
    assert sorted(os.listdir(folder / "new")) == ["my-sales.rules.yaml", "report.html"]


@pytest.mark.slow
def test_the_next_command_is_that_of_the_same_columns_and_works(assessed, tmp_path):
    folder, _, done = assessed

    (line,) = (line for line in done.stdout.splitlines() if line.startswith("next "))
    words = shlex.split(line)[1:]
    if done.stdout.startswith("NO-GO"):
        pytest.fail("expected a history that may be started")
    history = str(folder / "my sales.csv")
    assert words == [
        *("sonoba", "pretrain", history, "--group", "shop", "--target", "sold"),
        *("--exclude", "weekend", "--unit", "temp=°C", "--seed", "1", "--name", "my-sales"),
    ]
    again = CliRunner().invoke(cli, [*words[1:], "--store", str(tmp_path / "store")])
    assert again.exit_code == 0, again.output


@pytest.mark.slow
def test_again_it_replaces_its_own_files_and_says_so_and_what_was_not_compared(
    assessed, monkeypatch
):
    """In Japanese, and without scikit-learn."""
    folder, given, _ = assessed
    out = folder / "new" / "report.html"
    monkeypatch.setattr(boosting, "find_spec", lambda name: None)
    monkeypatch.setattr("service.assess.material.is_present", boosting.is_present)

    done = run(*given, "--out", out, "--lang", "ja")

    assert done.exit_code == 0, done.output
    assert f"レポート　 {out}（以前のファイルを置き換えました）" in done.stdout
    assert "rules.yaml（以前のファイルを置き換えました）" in done.stdout
    assert done.stdout.startswith("試験導入: まず")
    assert f"お知らせ　 {boosting.ABSENT}" in done.stdout
    assert "次の手順　 sonoba pretrain" in done.stdout


@pytest.mark.slow
def test_the_recipe_of_make_finds_that_the_shipped_data_want_boosting(tmp_path, monkeypatch):
    recipe = (ROOT / "Makefile").read_text().partition("\nassess:")[2].splitlines()[1]
    words = shlex.split(recipe)
    monkeypatch.chdir(ROOT)

    assert words[:2] == ["$(BIN)/sonoba", "assess"]
    done = run(*words[2:], "--out", tmp_path / "report.html")

    assert done.exit_code == 0, done.output
    choice, *reasons = done.stdout.splitlines()
    assert choice.startswith("NO-GO")
    assert reasons[0].startswith("- Gradient boosting on the same history errs far less")
    assert "the error is 61% smaller" in reasons[1]
    assert "the error is 24% smaller" in reasons[2]


@pytest.mark.slow
def test_a_column_that_gives_the_target_away_is_a_no_go_that_ends_with_0(tmp_path):
    history = write(tmp_path / "sales.csv", leak=True)

    done = run(history, *GROUPS, "--out", tmp_path / "report.html", "--exclude", "weekend")

    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("NO-GO")
    assert done.stdout.rstrip().endswith("--exclude weekend,paid")


def test_a_history_of_two_groups_is_refused_with_a_sentence(tmp_path):
    history = write(tmp_path / "sales.csv", groups=2)

    done = run(history, *GROUPS, "--out", tmp_path / "report.html")

    assert done.exit_code == 1
    assert "expected at least 3 groups, got 2" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["sales.csv"]


@pytest.mark.slow
def test_labels_that_do_not_vary_are_refused_with_a_sentence(tmp_path):
    history = tmp_path / "sales.csv"
    rows = "".join(f"s{i // 40},{i % 7},{i // 40}\n" for i in range(400))
    history.write_text("shop,temp,sold\n" + rows)

    done = run(history, *GROUPS, "--out", tmp_path / "report.html")

    assert done.exit_code == 1
    assert "'sold' does not vary within any" in done.stderr
    assert "choose another --target" in done.stderr


def test_a_file_that_is_not_there_is_a_sentence(tmp_path):
    done = run(tmp_path / "none.csv", *GROUPS, "--out", tmp_path / "report.html")

    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert "none.csv" in done.stderr


@pytest.mark.parametrize("is_report", [True, False])
def test_a_file_of_somebody_else_is_not_written_over(is_report, tmp_path):
    history = write(tmp_path / "sales.csv", groups=2)
    out, rules = tmp_path / "a.html", tmp_path / "a.yaml"
    theirs = out if is_report else rules
    theirs.write_text("mine\n")

    done = run(history, *GROUPS, "--out", out, "--rules", rules)

    assert done.exit_code == 1
    assert f"{theirs}: this file is there and was not written by `sonoba assess`" in done.stderr
    assert theirs.read_text() == "mine\n"


@pytest.mark.parametrize(
    ("out", "rules", "sentence"),
    [
        ("sales.csv", "a.yaml", "expected three files"),
        ("a.html", "a.html", "expected three files"),
        (".", "a.yaml", "expected a file, this is a folder"),
        ("sales.csv/a.html", "a.yaml", "cannot be written"),
        ("a.html", "/proc/none/a.yaml", "cannot be written (no such file or directory)"),
    ],
)
def test_places_that_cannot_be_are_refused_before_the_work(out, rules, sentence, tmp_path):
    history = write(tmp_path / "sales.csv", groups=2)

    done = run(history, *GROUPS, "--out", tmp_path / out, "--rules", tmp_path / rules)

    assert done.exit_code == 1
    assert sentence in done.stderr
    assert "groups" not in done.stderr  # the history was not looked at


def test_without_matplotlib_a_sentence_says_what_to_install(monkeypatch, tmp_path):
    def missing(name):
        return None if name == "matplotlib" else find_spec(name)

    monkeypatch.setattr(command, "find_spec", missing)

    done = run(tmp_path / "none.csv", *GROUPS)

    assert done.exit_code == 1
    assert "pip install -c constraints.txt matplotlib" in done.stderr


def test_a_wrong_name_or_unit_is_wrong_use(tmp_path):
    history = tmp_path / "sales.csv"

    assert run(history, *GROUPS, "--name", "Ä").exit_code == 2
    assert run(history, *GROUPS, "--unit", "temp").exit_code == 2
    assert run(history, "--target", "sold").exit_code == 2


def test_the_options_of_columns_are_those_of_pretraining():
    ours, theirs = (
        {option.name: (option.opts, option.help) for option in command.params[1:]}
        for command in (assess, pretrain)
    )

    shared = {*("group", "target", "order", "in_order", "features"), "seed", "name"}
    shared |= {"exclude", "category", "unit"}
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
    assert set(ours) - set(theirs) == {"lang", "out", "rules"}


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "report.html"
    replace_text(path, "before")
    mode = stat.S_IMODE(path.stat().st_mode)

    with pytest.raises(UnicodeEncodeError):
        replace_text(path, "half \ud800")

    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["report.html"]
    (tmp_path / "plain").touch()
    assert mode == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_folder_that_is_gone_when_it_is_written_is_a_sentence(tmp_path):
    places = Places(tmp_path / "gone" / "a.html", tmp_path / "a.yaml")

    with pytest.raises(Unwritable, match=r"--out .*a\.html: cannot be written"):
        places.write("page", "rules")
    assert (tmp_path / "a.yaml").read_text() == "rules"
