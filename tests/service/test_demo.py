"""`sonoba demo`: what is drawn, how it is scored, and the whole of it against a real server."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from model import baselines
from model.checkpoint import FOUNDATION_FILE, load
from model.prompt import Block, Examples
from service import trial_server as trial
from service.demo import demo
from service.demo_page import page
from service.demo_plot import draw_plot
from service.demo_report import Report, findings
from service.replay import (
    CONTEXT_SIZES,
    METHODS,
    QUERY_COUNT,
    RIDGE,
    SONOBA,
    Score,
    draw,
    nrmse,
    read_hours,
    score,
)
from service.server import Server
from service.settings import Settings

ROOT = Path(__file__).parents[2]
PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def hours():
    return read_hours()


@pytest.fixture
def import_path(monkeypatch):
    """Let a subprocess find the code where nothing is installed, as the tests themselves do."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'client'}")


def some_score(M=8, ratio=0.9, low=0.8, high=0.95):
    medians = dict(zip(METHODS, (ratio * 0.5, 0.5, 0.7, 1.0), strict=True))
    return Score(M, 100, medians, ratio, low, high, 5000.0)


def some_report(*scores):
    return Report(scores or (some_score(),), "foundation", "abc123", seed=0)


def test_a_prompt_is_made_of_different_hours_of_one_week(hours):
    prompts = draw(hours, 32, 120, seed=0)

    for i, week in enumerate(prompts.week):
        ours = np.column_stack([hours.x, hours.y])[hours.week == week]
        asked = np.column_stack([prompts.queries[i], prompts.truth[i]])
        given = np.column_stack([prompts.x[i], prompts.y[i]])
        rows = [tuple(row) for row in (*given, *asked)]
        assert set(rows) <= {tuple(row) for row in ours}
        assert len(rows) == 32 + QUERY_COUNT


def test_every_week_comes_equally_often_and_short_ones_not_at_all(hours):
    weeks, counts = np.unique(draw(hours, 64, 104, seed=0).week, return_counts=True)

    assert weeks.tolist() == list(range(52))  # week 52 is one day
    assert set(counts) == {2}
    assert 52 in draw(hours, 8, 53, seed=0).week


def test_a_seed_always_draws_the_same_prompts(hours):
    first, again, other = (draw(hours, 16, 20, seed).x for seed in (3, 3, 4))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_label_and_the_week_are_no_features(hours):
    assert hours.features == tuple(
        ["temp", "hum", "windspeed", "workingday", "wet", "h_sin", "h_cos", "h2_sin", "h2_cos"]
    )


def test_an_error_is_the_rmse_in_spreads_of_the_contexts_labels(hours):
    prompts = draw(hours, 8, 5, seed=0)
    errors = nrmse(prompts, baselines.mean(prompts.x, prompts.y, prompts.queries))

    for i in range(5):
        off = prompts.truth[i] - np.mean(prompts.y[i])
        assert errors[i] == pytest.approx(np.sqrt(np.mean(off**2)) / np.std(prompts.y[i]))


def test_ridge_scored_against_itself_has_ratio_1(hours):
    prompts = draw(hours, 16, 60, seed=0)
    result = score(prompts, baselines.ridge_cv(prompts.x, prompts.y, prompts.queries), 2.0, seed=0)

    assert (result.ratio, result.low, result.high) == (1.0, 1.0, 1.0)
    assert result.prompts_per_second == 30.0


def test_a_clear_difference_leaves_1_out_of_the_interval(hours):
    prompts = draw(hours, 16, 60, seed=0)
    ridge = baselines.ridge_cv(prompts.x, prompts.y, prompts.queries)
    closer = score(prompts, (ridge + prompts.truth) / 2, 1.0, seed=0)

    assert closer.ratio == pytest.approx(0.5)
    assert closer.low == pytest.approx(0.5)
    assert closer.high == pytest.approx(0.5)


def test_the_shipped_model_does_not_lose_to_ridge_on_few_hours(hours):
    model = load(FOUNDATION_FILE).model
    prompts = draw(hours, 8, 416, seed=1)
    answer = model.answer(Block(Examples(prompts.x, prompts.y), prompts.queries))

    assert score(prompts, answer.predictions, 1.0, seed=0).high < 1.0


def test_findings_say_what_the_numbers_say():
    scores = [
        some_score(8, 0.85, 0.8, 0.9),
        some_score(16, 0.95, 0.9, 0.99),
        some_score(32, 1.0, 0.97, 1.02),
        some_score(64, 1.1, 1.05, 1.2),
    ]

    assert findings(scores) == [
        "With 8 and 16 examples sonoba's median error is smaller than ridge-CV's, "
        "by 15.0 % and 5.0 %.",
        "With 64 examples sonoba's median error is larger than ridge-CV's, by 10.0 %.",
        "With 32 examples sonoba and ridge-CV cannot be told apart: the 95 % interval of the "
        "ratio of their errors includes 1.",
        "An error of 1 is as large as the spread of a prompt's labels; with 64 examples sonoba "
        "is at 0.55.",
    ]


def test_the_smallest_error_of_a_row_is_marked_whosever_it_is():
    worse = replace(
        some_score(), median_nrmse=dict(zip(METHODS, (3.0, 2.0, 1.0, 4.0), strict=True))
    )

    assert some_report(some_score(), worse).best() == [1, 3]


def test_the_page_needs_nothing_but_itself():
    html = page(some_report(), PNG)

    assert "data:image/png;base64," in html
    assert not re.search(r'(src|href)="(?!data:|https://(doi|creativecommons)\.org/)', html)
    assert "CC BY 4.0" in html
    assert "$" not in html


def test_the_page_has_every_number_of_the_table():
    report = some_report(some_score(8), some_score(16))
    html = page(report, None)

    assert all(f">{text}</td>" in html for row in report.rows() for text in row)
    assert "<img" not in html


def test_names_from_the_server_cannot_change_the_page():
    html = page(Report((some_score(),), "<script>", "&", seed=0), None)

    assert "<script>" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize("sizes", [(8, 16, 32, 64), (8, 16)])
def test_the_picture_is_a_png(tmp_path, sizes):
    pytest.importorskip("matplotlib", reason="the picture is drawn with matplotlib")
    draw_plot([some_score(M) for M in sizes], tmp_path / "errors.png")

    assert (tmp_path / "errors.png").read_bytes().startswith(PNG)


def test_without_matplotlib_the_demo_says_so_and_goes_on(monkeypatch, tmp_path, address):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = run_demo(address, tmp_path)

    assert result.exit_code == 0, result.output
    assert "no picture: matplotlib is not installed" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.html", "results.json"]


@pytest.fixture(scope="module")
def address():
    server = Server(Settings(grpc_port=0, metrics_port=0))
    server.start()
    yield f"127.0.0.1:{server.grpc_port}"
    server.stop(0.0)


def run_demo(address, out, prompts=8):
    arguments = ["--address", address, "--out", str(out), "--prompts", str(prompts)]
    return CliRunner().invoke(demo, arguments, env={"COLUMNS": "120"})


def test_the_numbers_are_those_of_the_model_behind_the_server(tmp_path, address, hours):
    result = run_demo(address, tmp_path, prompts=30)
    found = json.loads((tmp_path / "results.json").read_text())

    assert result.exit_code == 0, result.output
    assert [each["example_count"] for each in found["scores"]] == list(CONTEXT_SIZES)
    model = load(FOUNDATION_FILE).model
    for M, each in zip(CONTEXT_SIZES, found["scores"], strict=True):
        prompts = draw(hours, M, 30, seed=0)
        answer = model.answer(Block(Examples(prompts.x, prompts.y), prompts.queries))
        expected = np.median(nrmse(prompts, answer.predictions))
        assert each["median_nrmse"][SONOBA] == pytest.approx(expected, rel=1e-9)
        assert each["ratio"] == pytest.approx(expected / each["median_nrmse"][RIDGE], rel=1e-9)
        assert f"{expected:.3f}" in result.stdout
    assert all(sentence in result.stdout for sentence in found["findings"])


def test_a_server_that_is_not_there_is_one_sentence(tmp_path):
    result = run_demo("127.0.0.1:1", tmp_path)

    assert result.exit_code == 1
    assert "no sonoba server answers at 127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.output


def test_a_server_that_does_not_start_is_told_in_its_own_words(monkeypatch, import_path, tmp_path):
    monkeypatch.setenv("SONOBA_THREADS", "many")
    result = CliRunner().invoke(demo, ["--out", str(tmp_path)])

    assert result.exit_code == 1
    assert "the server did not start: " in result.stderr
    assert "SONOBA_THREADS" in result.stderr


@pytest.mark.slow
def test_a_server_of_ones_own_is_gone_afterwards(monkeypatch, import_path):
    started = []
    popen = subprocess.Popen

    def remember(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(trial.subprocess, "Popen", remember)
    with pytest.raises(RuntimeError, match="in the middle"), trial.trial_server() as address:
        assert address.startswith("127.0.0.1:")
        assert started[0].poll() is None
        raise RuntimeError("in the middle")

    assert [process.returncode for process in started] == [0]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_cut_short_leaves_no_server_behind(import_path, tmp_path, number):
    code = (
        "import time\n"
        "from service.trial_server import trial_server\n"
        "with trial_server() as address:\n"
        "    print(address, flush=True)\n"
        "    while True:\n        time.sleep(0.05)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        host, port = process.stdout.readline().strip().split(":")
        process.send_signal(number)
        process.communicate(timeout=30)

    assert process.returncode != 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=1.0)


@pytest.mark.slow
def test_a_server_that_does_not_listen_to_reason_is_killed(monkeypatch):
    monkeypatch.setattr(trial, "STOP_SECONDS", 0.2)
    deaf = "import signal, time; signal.signal(2, signal.SIG_IGN); print('up', flush=True); "
    command = [sys.executable, "-c", deaf + "time.sleep(60)"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    process.stdout.readline()
    start = time.monotonic()
    trial._stop(process)
    process.stdout.close()

    assert process.returncode == -signal.SIGKILL
    assert time.monotonic() - start < 10


@pytest.mark.slow
def test_the_whole_demo_runs_from_the_command_line(import_path, tmp_path):
    pytest.importorskip("matplotlib", reason="the picture is drawn with matplotlib")
    command = [sys.executable, "-m", "service.cli", "demo", "--out", "out", "--prompts", "20"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    written = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert sorted(written) == ["demo.html", "errors.png", "results.json"]
    assert f"the page is {Path('out') / 'demo.html'}" in done.stdout
    rows = re.findall(r"^ +(\d+)(?: +[\d.,–]+){7} *$", done.stdout, re.M)
    assert rows == [str(M) for M in CONTEXT_SIZES]  # 80 columns hold the table uncut
