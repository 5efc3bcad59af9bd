"""docs/guide.md and docs/guide.ja.md: every command is run, every figure measured again."""

import contextlib
import csv
import io
import json
import math
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import urllib.parse
import urllib.request
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from service.assess import assessing
from service.cli import cli
from service.settings import Settings
from tests.assess.guide_figures import sentences
from tests.calling.document import named_blocks, table
from tests.e2e.conftest import spawn

pytestmark = pytest.mark.slow  # a minute, all together

ROOT = Path(__file__).parents[2]
DATA = ROOT / "service/demo_data"
GUIDES = {
    language: (ROOT / "docs" / name).read_text(encoding="utf-8")
    for language, name in (("en", "guide.md"), ("ja", "guide.ja.md"))
}
BLOCKS = {language: named_blocks(text) for language, text in GUIDES.items()}
SONOBA = ".venv/bin/sonoba "
ADDED = ("hour", "to_work", "at_work", "going_home", "late_night")
TRUTHS = re.findall(  # of the six hours, bikers
    r"\d+", re.search(r"\(([\d, and]+) bikers\)", (DATA / "README.md").read_text())[1]
)
TESTED = ("| 0.", "| L2", "| M2", "| N2", "| O2", "| P2", *(f"| {hour} |" for hour in range(24)))
ORDINARY = {  # what nothing measures: counts, steps, versions, what the commands above were given
    "en": {"0", "1", "2", "3", "4", "8", "932", "3.11", "24", "80", "0,999"},
    "ja": {*"01234567", "8", "10", "932", "3.11", "24", "80", "999"},
}


def run(line, *more):
    """Run one line of a guide as the command line does; return what it prints."""
    assert line.startswith(SONOBA), line
    done = CliRunner().invoke(cli, [*shlex.split(line.removeprefix(SONOBA)), *more])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def guides(tmp_path_factory):
    """Run each guide up to its second report; return its folder, what it printed, what was found.

    Who asks for the same in the other language is told what the first one found.
    """
    found, really = {}, assessing.assess

    def once(asked, created, tick):
        of = str((asked.source, asked.roles, asked.seed))
        if of not in found:
            found[of] = really(asked, created, tick)
        return replace(found[of], command=asked.command)

    made = {}
    for language, blocks in BLOCKS.items():
        folder = tmp_path_factory.mktemp(language)
        (folder / "service").symlink_to(ROOT / "service")
        with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
            patch.setattr(assessing, "assess", once)
            first = run(blocks["first"])
            subprocess.run([sys.executable, "-W", "error", "-c", blocks["columns"]], check=True)
            made[language] = SimpleNamespace(
                folder=folder, first=first, second=run(blocks["second"])
            )
    return SimpleNamespace(**made, found=tuple(found.values()))


@pytest.fixture(scope="module")
def answers(guides):
    """Learn, serve and predict as the guide does; return the rows that `predict` prints."""
    blocks = BLOCKS["en"]
    flags = shlex.split(blocks["serve"].removeprefix(f"{SONOBA}serve "))
    with contextlib.chdir(guides.en.folder):
        for line in blocks["start"].splitlines():
            run(line)
        environ = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'client'}"}
        child = spawn(*flags, SONOBA_LAME_DUCK_SECONDS="0", **environ)
        try:
            for line in child.stdout:
                if "predictions" in line:
                    port = line.split()[1]
                if "metrics" in line and "http" in line:
                    page = urllib.parse.urljoin(line.split()[1], "/status.json")
                if " predict " in line:
                    break
            printed = run(blocks["predict"].strip(), "--address", port)
            with urllib.request.urlopen(page) as reply:
                state = json.load(reply)["answer"]
        finally:
            child.terminate()
            child.communicate(timeout=30)
    return SimpleNamespace(rows=list(csv.DictReader(io.StringIO(printed))), state=state)


def test_both_guides_show_the_same_commands_in_their_own_language():
    english, japanese = (
        {name: body.replace(" --lang ja", "") for name, body in blocks.items()}
        for blocks in BLOCKS.values()
    )
    printed = {"first-says", "second-says"}

    assert {*english} == {*japanese}
    for name in {*english} - printed:
        assert english[name] == japanese[name], name
    assert "--lang ja" in BLOCKS["ja"]["first"] and "--lang ja" in BLOCKS["ja"]["second"]
    assert all(text.count("\n```") == 2 * len(english) for text in GUIDES.values())


def test_make_assess_runs_the_first_command():
    recipe = (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin")

    assert f"\t{BLOCKS['en']['first']}" in recipe


@pytest.mark.parametrize("language", ["en", "ja"])
def test_reports_print_what_is_shown(guides, language):
    made, blocks = getattr(guides, language), BLOCKS[language]

    assert made.first == blocks["first-says"]
    assert made.second == blocks["second-says"]
    assert sorted(path.name for path in (made.folder / "out").rglob("*.html")) == 2 * [
        "report.html"
    ]


def test_the_next_line_is_the_one_that_is_started_with(guides):
    (told,) = re.findall(r"^next +sonoba (.*)$", guides.en.second, re.MULTILINE)
    (pretrain,) = (line for line in BLOCKS["en"]["start"].splitlines() if "pretrain" in line)

    assert pretrain == f"{SONOBA}{told} --store out/guide/store"


def of_excel(formula):
    """Return a formula of the guide as a function of the cells of a row."""
    names = {
        **{"IF": lambda test, yes, no: yes if test else no, "AND": lambda *tests: all(tests)},
        **{"MOD": lambda a, b: a % b, "ROUND": round, "DEGREES": math.degrees},
        "ATAN2": lambda x, y: math.atan2(y, x),  # a spreadsheet wants x first
    }
    text = re.sub(r"\b([A-Z])2\b", r"\1", formula.removeprefix("="))
    code = compile(re.sub(r"(?<![<>])=", "==", text), formula, "eval")
    return lambda cells: eval(code, {**names, **cells})


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_formulas_make_the_columns_of_the_program(guides, language):
    rows = table(GUIDES[language], {"en": "cell", "ja": "セル"}[language])
    with (guides.en.folder / "out/guide/bikes.csv").open(newline="") as file:
        heads, *made = csv.reader(file)
    letters = "ABCDEFGHIJKLMNOP"
    assert [(row[0], row[1]) for row in rows] == [
        (f"{letters[heads.index(name)]}2", name) for name in ADDED
    ]
    formulas = [(row[0][0], of_excel(row[2])) for row in rows]

    for row in made:
        cells = dict(zip(letters, map(float, row), strict=True))
        for letter, formula in formulas:
            assert formula(cells) == cells[letter], (row, letter)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_prompt_that_is_shown_is_in_the_files(guides, language):
    shown = table(GUIDES[language], "temp")
    with (guides.en.folder / "out/guide/examples.csv").open(newline="") as file:
        examples = list(csv.DictReader(file))
    with (guides.en.folder / "out/guide/queries.csv").open(newline="") as file:
        queries = list(csv.DictReader(file))

    for cells, row in zip(shown, [*examples[:2], queries[1]], strict=True):
        bikes = round(math.exp(float(row["log_bikers"])) - 1) if "log_bikers" in row else "?"
        found = f"{float(row['temp']):.2f}", row["workingday"], row["hour"], str(bikes)
        assert tuple(cells[:4]) == found
    assert (len(examples), len(queries)) == (24, 6)  # as the text says


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_answers_in_bikes_are_those_of_the_server(answers, language):
    signs = {"en": ("no", "yes", "{} to {}"), "ja": ("いいえ", "はい", "{}〜{}")}[language]
    expected, inside = [], 0
    for row, truth in zip(answers.rows, TRUTHS, strict=True):
        bikes = [math.exp(float(row[name])) - 1 for name in ("prediction", "lower", "upper")]
        answer, low, high = map(round, bikes)
        inside += bikes[1] <= int(truth) <= bikes[2]
        span = signs[2].format(low, high)
        expected.append([row["hour"], signs[int(row["workingday"])], str(answer), span, truth])

    assert table(GUIDES[language], {"en": "hour", "ja": "時刻"}[language]) == expected
    assert inside == 5  # as the text says


def test_the_status_page_is_where_the_guide_says_and_waits_for_prompts(answers):
    address = f"http://127.0.0.1:{Settings().metrics_port}/"

    assert all(f"<{address}>" in text for text in GUIDES.values())
    assert answers.state == "NOT_MEASURED"


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_words_of_the_status_page_are_its_own(language):
    shown = [row[0] for row in table(GUIDES[language], {"en": "it says", "ja": "表示"}[language])]
    page = (ROOT / "service/page/page.js").read_text(encoding="utf-8")

    words = re.findall(r"^  (?:YES|WATCH|NO|NOT_MEASURED): \[(.*)\],$", page, re.MULTILINE)
    place = ("en", "ja").index(language)
    assert shown == [json.loads(f"[{pair}]")[place] for pair in words]


def prose(text):
    """Return a guide without blanks, code, addresses, and the tables that are tested by cell."""
    for of_code in (r"^```.*?^```$", r"`[^`]*`", r"<[^>]*>", r"\]\([^)]*\)"):
        text = re.sub(of_code, "", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line for line in text.splitlines() if not line.startswith(TESTED)]
    return re.sub(r"\s+", "", "\n".join(lines))


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_figure_of_the_text_is_measured_again(guides, language):
    text = prose(GUIDES[language])
    for pair in sentences(*guides.found):
        told = re.sub(r"\s+", "", pair[("en", "ja").index(language)])
        assert told in text, pair
        text = text.replace(told, "")

    assert set(re.findall(r"\d+(?:[.,]\d+)*", text)) == ORDINARY[language]


@pytest.mark.parametrize("name", ["guide.md", "guide.ja.md"])
def test_pictures_are_there_small_and_described(name):
    found = re.findall(r"!\[(.{20,})\]\((.*)\)", (ROOT / "docs" / name).read_text(encoding="utf-8"))

    assert len(found) == 2
    for _, path in found:
        assert (ROOT / "docs" / path).stat().st_size < 150_000


def test_pictures_are_made_by_the_program_that_is_named(guides):
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    from bench.guide import pictures

    out = guides.en.folder / "out"
    made = pictures(out / "assess/report.html", out / "guide/report.html", guides.en.folder)

    for path in made:
        kept = ROOT / "docs/img" / path.name
        assert size(path) == pytest.approx(size(kept), rel=0.1), path.name  # fonts differ


def size(path):
    """Return width and height of a PNG."""
    return struct.unpack(">II", path.read_bytes()[16:24])
