"""The report end to end on few draws, and what it does when a number is wrong."""

import csv
import math
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner

from service import reproduce_figure_1, reproduce_panels, reproduce_risk
from service.reproduce import reproduce
from service.reproduce_depth import depth
from service.reproduce_figure_1 import least_squares
from service.reproduce_page import page
from service.reproduce_panels import PANELS
from service.reproduce_plot import draw_panel
from service.reproduce_report import (
    Chart,
    Check,
    Effort,
    Measured,
    Panel,
    Series,
    Verdict,
    absent,
    dots,
    exact,
    mean_of,
    ratio_of,
    series_csv,
)
from service.reproduce_risk import chunks
from service.reproduce_training import convergence, initial_scale, minibatch

QUICK = Effort(quick=True)


class Page(HTMLParser):
    """What a page fetches, and the text of its marks."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.pictures, self.marks = [], 0, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.fetched += [v for k in ("src", "href") if (v := found.get(k)) and v[:5] != "data:"]
        self.pictures += tag == "img"
        if tag == "span":
            self.marks.append(found["class"])


def run(*arguments):
    return CliRunner().invoke(reproduce, [str(argument) for argument in arguments])


def panel(*checks):
    theory = Series("theory", [1.0, 2.0], [3.0, 4.0], 0)
    found = dots("measured", [1.0, 2.0], [Measured(3.1, 0.1), Measured(3.9, 0.1)], 0)
    chart = Chart("A chart", "x", "y", (theory, found), x_log=True)
    return Panel("a-panel", "A <claim>", "What it says.", (chart,), checks)


@pytest.fixture
def planted(monkeypatch):
    """Make the command measure the given checks instead of the paper's."""

    def plant(*checks):
        monkeypatch.setattr(reproduce_panels, "PANELS", {"planted": lambda effort: panel(*checks)})

    return plant


@pytest.fixture
def no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # what Python keeps of a failed import


RIGHT = exact("one is one", 1.0, 1.0, 0.0)
WRONG = exact("one is two", 1.0, 2.0, 0.5)


@pytest.mark.slow
def test_a_quick_run_passes_and_leaves_a_report_a_picture_and_the_numbers(tmp_path):
    result = run("--quick", "--out", tmp_path / "report")

    assert result.exit_code == 0, result.output
    text = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    found = Page(text)
    assert found.pictures >= 7 and "class fail" not in found.marks
    with (tmp_path / "report/checks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["verdict"] for row in rows} <= {"pass", "skipped"}
    passed = sum(row["verdict"] == "pass" for row in rows)
    assert passed > 100 and f"{passed} checks passed" in text
    drawn = {path.stem for path in (tmp_path / "report").glob("*.png")}
    assert {row["panel"] for row in rows} - drawn <= {"minibatch"}  # which needs torch


@pytest.mark.slow
def test_a_number_that_is_off_fails_the_command_and_is_named(planted, tmp_path):
    planted(RIGHT, WRONG)
    result = run("--out", tmp_path)

    assert result.exit_code == 1
    assert "FAIL  one is two: theory 1, measured 2, tolerance 0.5" in result.stdout
    assert "mark fail" in Page((tmp_path / "report.html").read_text(encoding="utf-8")).marks


def test_what_is_skipped_is_told_and_is_not_a_pass(planted, tmp_path):
    planted(absent("needs a library", "torch"))
    result = run("--out", tmp_path)

    assert result.exit_code == 0
    assert "skipped  needs a library: torch is absent" in result.stdout
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert set(Page(text).marks) == {"mark skipped"} and "0 checks passed" in " ".join(text.split())


def test_a_folder_that_cannot_be_written_is_a_sentence(planted, tmp_path):
    planted(RIGHT)
    (tmp_path / "file").write_text("")
    result = run("--out", tmp_path / "file" / "report")

    assert result.exit_code == 1
    assert "Not a directory" in result.stderr and "Traceback" not in result.output


@pytest.mark.parametrize("module", ["matplotlib", "jinja2"])
def test_a_missing_library_is_said_before_anything_is_measured(monkeypatch, tmp_path, module):
    monkeypatch.setitem(sys.modules, module, None)
    result = run("--out", tmp_path / "report")

    assert result.exit_code == 1
    assert "which is not installed" in result.stderr and "'.[demo]'" in result.stderr
    assert not (tmp_path / "report").exists()


def test_a_gpu_that_is_absent_is_refused(no_torch, tmp_path):
    result = run("--device", "cuda", "--out", tmp_path / "report")

    assert result.exit_code == 1
    assert "--device: expected a GPU" in result.stderr


def test_without_torch_the_training_is_followed_by_its_equations(no_torch):
    found = convergence(QUICK)

    assert found.verdict is Verdict.PASS
    assert found.count(Verdict.PASS) == found.count(Verdict.SKIPPED) == 6
    assert minibatch(QUICK).verdict is Verdict.SKIPPED


@pytest.mark.slow
@pytest.mark.parametrize("measure", [initial_scale, depth])
def test_panels_that_need_no_torch_pass(measure):
    found = measure(QUICK)

    assert found.verdict is Verdict.PASS
    assert [check.claim for check in found.checks if check.verdict is not Verdict.PASS] == []


@pytest.mark.slow
def test_a_wrong_theory_is_found_out(monkeypatch):
    """An error five percent too large, and lines for prompts a fifth longer: of a quick run too."""
    right, line = reproduce_risk.trained_error, reproduce_figure_1.isotropic_error
    monkeypatch.setattr(reproduce_risk, "trained_error", lambda *a: 1.05 * right(*a))
    monkeypatch.setattr(
        reproduce_figure_1, "isotropic_error", lambda a, d, M, c: line(a, d, 1.2 * M, c)
    )

    assert reproduce_risk.theorem_4_2(QUICK).count(Verdict.FAIL) >= 8
    assert reproduce_figure_1.figure_1(QUICK).count(Verdict.FAIL) >= 3


@pytest.mark.parametrize("off", [-0.011, 0.011, math.nan, math.inf])
def test_a_check_beyond_its_tolerance_fails(off):
    assert exact("", 1.0, 1.0 + off, 0.01).verdict is Verdict.FAIL


@pytest.mark.parametrize("tolerance", [math.nan, math.inf])
def test_a_check_without_a_finite_tolerance_fails(tolerance):
    assert Check("", 1.0, 1.0, tolerance, "").verdict is Verdict.FAIL


def test_a_panel_fails_with_its_worst_check():
    skipped = absent("", "torch")

    assert panel(RIGHT, WRONG, skipped).verdict is Verdict.FAIL
    assert panel(RIGHT, skipped).verdict is Verdict.PASS
    assert panel(skipped).verdict is Verdict.SKIPPED


def test_a_simulated_number_may_be_four_standard_errors_off():
    found = Measured(1.0, 0.1)

    assert found.against("", 1.39).verdict is Verdict.PASS
    assert found.against("", 1.41).verdict is Verdict.FAIL


def test_means_and_ratios_know_their_errors():
    rng = np.random.default_rng(0)
    ratios, claimed = [], []
    for _ in range(400):
        below = rng.exponential(2.0, 500)
        found = ratio_of(below + rng.normal(0.0, 1.0, 500), below)
        ratios.append(found.value)
        claimed.append(found.error)

    assert np.mean(claimed) == pytest.approx(np.std(ratios), rel=0.1)
    assert mean_of(np.arange(101.0)) == Measured(
        50.0, pytest.approx(29.15 / math.sqrt(101), rel=0.01)
    )


def test_draws_are_cut_into_parts_that_fit_in_memory():
    assert list(chunks(10, 1000, 500)) == [4, 4, 2]
    assert list(chunks(2, 10**9, 1)) == [1, 1]


@pytest.mark.parametrize("M", [3, 8])
def test_least_squares_is_numpys_shortest_solution(M):
    from model.tasks import Drawn

    rng = np.random.default_rng(1)
    x, y, queries = rng.normal(size=(2, M, 5)), rng.normal(size=(2, M)), rng.normal(size=(2, 3, 5))
    naive = [q @ np.linalg.lstsq(a, b)[0] for a, b, q in zip(x, y, queries, strict=True)]

    assert least_squares(Drawn(x, y, queries, y)) == pytest.approx(np.array(naive))


def test_the_page_fetches_nothing_and_escapes_what_it_shows():
    text = page([panel(RIGHT)], {"a-panel": b"png"}, 1.0)

    assert Page(text).fetched == ["#a-panel"]
    assert "A &lt;claim&gt;" in text and "A <claim>" not in text
    assert "data:image/png;base64,cG5n" in text


def test_the_page_counts_the_checks_of_every_panel():
    text = page([panel(RIGHT, RIGHT, WRONG, absent("", "torch"))], {}, 1.0)

    assert "<td>2</td><td>1</td><td>1</td>" in text
    assert "2 checks passed, 1 failed, 1 were skipped" in " ".join(text.split())


def test_every_point_of_a_picture_is_in_its_file(tmp_path):
    series_csv(panel(), tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))

    assert rows[0] == ["chart", "series", "x", "y", "standard_error"]
    assert rows[1] == ["A chart", "theory", "1.0", "3.0", ""]
    assert rows[3] == ["A chart", "measured", "1.0", "3.1", "0.1"]
    assert len(rows) == 5


def test_a_picture_needs_no_display(tmp_path):
    draw_panel(panel(), tmp_path / "a.png")

    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_quick_run_draws_less_and_says_what_it_costs():
    assert replace(QUICK, quick=False).draws(8000) == 8 * QUICK.draws(8000)
    assert "An eighth" in run("--help").stdout
    assert len(PANELS) == 8
