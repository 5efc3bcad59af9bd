"""`sonoba demo`: what is drawn, how it is scored, and the whole of it against a real server."""

import json
import os
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
from model.answer import Mode
from model.checkpoint import FOUNDATION_FILE, load, load_stored
from model.prompt import Block, Examples
from model.store import Store
from service import demo_profile
from service import trial_server as trial
from service.admission import Admission
from service.demo import demo
from service.demo_page import page
from service.demo_plot import draw_plot
from service.demo_profile import NAME, pretrain, write_history
from service.demo_report import UNMEASURED, Report, against_boosting, against_ridge
from service.held_out import BOOSTING, MEAN, OLS, PROFILE, RIDGE
from service.pretrain_run import Learnt
from service.replay import (
    CONTEXT_SIZES,
    FOUNDATION,
    HOURS,
    QUERY_COUNT,
    SONOBA,
    Ratio,
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


def some_score(M=8, ratio=0.9, low=0.8, high=0.95, served=(PROFILE, FOUNDATION), boosting=None):
    medians = {name: ratio * 0.5 for name in served} | {RIDGE: 0.5, OLS: 0.7, MEAN: 1.0}
    if boosting:
        medians[BOOSTING] = boosting
    return Score(M, 100, medians, {name: Ratio(ratio, low, high) for name in served}, 5000.0)


def some_report(*scores):
    return Report(scores or (some_score(),), "bikes", "abc123", seed=0, weeks=(32, 52))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, hours):
    """Return the folder of the demo's own profile, how it was left, and the profile as served."""
    out = tmp_path_factory.mktemp("demo") / "out"
    made = pretrain(out, hours.first_replayed(), lambda stage, share: None)
    return out, made, load_stored(made.store, NAME, fallback=load(FOUNDATION_FILE).model).model


def test_history_is_the_earliest_weeks_and_no_week_is_replayed_too(hours, tmp_path):
    write_history(tmp_path / "history.csv", hours.first_replayed())
    learnt, late = read_hours(tmp_path / "history.csv"), hours.replayed()

    assert np.unique(learnt.week).tolist() == list(range(32))  # 60 % of 53
    assert np.unique(late.week).tolist() == list(range(32, 53))
    assert len(learnt.week) + len(late.week) == len(hours.week)
    assert HOURS.read_text().startswith((tmp_path / "history.csv").read_text())
    for M in CONTEXT_SIZES:
        assert draw(late, M, 100, seed=0).week.min() >= 32


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
    ridge = baselines.ridge_cv(prompts.x, prompts.y, prompts.queries)
    result = score(prompts, {SONOBA: ridge}, 2.0, seed=0)

    assert result.ratios == {SONOBA: Ratio(1.0, 1.0, 1.0)}
    assert result.prompts_per_second == 30.0


def test_a_clear_difference_leaves_1_out_of_the_interval(hours):
    prompts = draw(hours, 16, 60, seed=0)
    ridge = baselines.ridge_cv(prompts.x, prompts.y, prompts.queries)
    closer = score(prompts, {SONOBA: (ridge + prompts.truth) / 2}, 1.0, seed=0).ratios[SONOBA]

    assert closer.value == pytest.approx(0.5)
    assert closer.low == pytest.approx(0.5)
    assert closer.high == pytest.approx(0.5)


def test_every_served_model_has_its_own_ratio_and_both_count_for_the_speed(hours):
    prompts = draw(hours, 16, 60, seed=0)
    ridge = baselines.ridge_cv(prompts.x, prompts.y, prompts.queries)
    served = {PROFILE: (ridge + prompts.truth) / 2, FOUNDATION: ridge}
    result = score(prompts, served, 2.0, seed=0)

    assert result.ratios[PROFILE].value == pytest.approx(0.5)
    assert result.ratios[FOUNDATION].value == 1.0
    assert list(result.median_nrmse) == [PROFILE, FOUNDATION, RIDGE, OLS, MEAN]
    assert result.prompts_per_second == 60.0


def test_the_shipped_model_does_not_lose_to_ridge_on_few_hours(hours):
    model = load(FOUNDATION_FILE).model
    prompts = draw(hours, 8, 416, seed=1)
    answer = model.answer(Block(Examples(prompts.x, prompts.y), prompts.queries))
    result = score(prompts, {SONOBA: answer.predictions}, 1.0, seed=0)

    assert result.ratios[SONOBA].high < 1.0


def test_the_numbers_of_a_model_are_put_in_words():
    scores = [
        some_score(8, 0.85, 0.8, 0.9),
        some_score(16, 0.95, 0.9, 0.99),
        some_score(32, 1.0, 0.97, 1.02),
        some_score(64, 1.1, 1.05, 1.2),
    ]

    assert against_ridge(scores, PROFILE) == [
        "With 8 and 16 examples the median error of profile is smaller than that of ridge-CV, "
        "by 15.0 % and 5.0 %.",
        "With 64 examples the median error of profile is larger than that of ridge-CV, by 10.0 %.",
        "With 32 examples profile and ridge-CV cannot be told apart: the 95 % interval of the "
        "ratio of their errors includes 1.",
    ]


def test_findings_say_what_the_profile_learnt_from_and_how_fast_it_was():
    found = some_report(some_score(64, 0.9)).findings()

    assert found[0] == (
        "The prompts are of weeks 32 to 52; "
        "the profile learnt from weeks 0 to 31 and none of these."
    )
    assert sum("median error of" in sentence for sentence in found) == 2
    assert found[-3:] == [
        "An error of 1 is as large as the spread of a prompt's labels; with 64 examples profile "
        "is at 0.45.",
        UNMEASURED,
        "The server answered 5,000 to 5,000 prompts/s.",
    ]


def test_findings_claim_nothing_of_what_a_server_of_the_callers_has_learnt():
    found = some_report(some_score(served=(SONOBA,))).findings()

    assert found[0].endswith("what the server's model has learnt from is not known here.")
    assert not any("boosting" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ((0.3, 0.2), "with 8 and 16 examples, at 0.30 and 0.20: the labels do not follow"),
        ((0.3, 0.6), "with 8 examples, at 0.30: the labels do not follow"),
        ((0.6, 0.6), "errs least at no number of examples."),
    ],
)
def test_boosting_is_called_better_only_where_it_is(errors, said):
    scores = [some_score(M, boosting=error) for M, error in zip((8, 16), errors, strict=True)]

    assert said in against_boosting(scores)


@pytest.mark.slow
def test_boosting_of_the_history_does_err_less_than_everything_linear(hours, pretrained):
    pytest.importorskip("sklearn", reason="boosting is fitted with scikit-learn")
    _, made, profile = pretrained
    for M in CONTEXT_SIZES:  # what UNMEASURED says, and the README's 40 %
        prompts = draw(hours.replayed(), M, 400, seed=0)
        block = Block(Examples(prompts.x, prompts.y), prompts.queries)
        served = {PROFILE: profile.answer(block).predictions}
        medians = score(prompts, served, 1.0, 0, made.boosting).median_nrmse

        assert min(medians, key=medians.get) == BOOSTING
        assert 0.35 < 1.0 - medians[BOOSTING] / medians[PROFILE] < 0.45


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_profile_beats_ridge_on_short_prompts_of_weeks_it_has_not_seen(hours, pretrained, seed):
    _, _, profile = pretrained
    for M in (8, 16, 32):
        prompts = draw(hours.replayed(), M, 400, seed)
        answer = profile.answer(Block(Examples(prompts.x, prompts.y), prompts.queries))
        result = score(prompts, {PROFILE: answer.predictions}, 1.0, seed=0)

        assert result.ratios[PROFILE].high < 1.0
        assert set(answer.modes) == {Mode.PROFILE}


@pytest.mark.slow
def test_the_profile_is_stored_with_its_history_and_admitted_by_pretraining(pretrained):
    out, made, _ = pretrained
    manifest = Store(made.store).load(NAME).manifest

    assert sorted(path.name for path in out.iterdir()) == ["history.csv", "store"]
    assert manifest.training.group_count == 32
    assert manifest.training.source == "history.csv"
    assert made.flags()[:4] == ("--store", str(made.store), "--default-model", NAME)


def test_a_profile_that_is_not_admitted_is_one_sentence(monkeypatch, tmp_path):
    def no(plan, found, tick):
        return Learnt(None, [], Admission("healthy", "", "it is worse", ()))

    monkeypatch.setattr(demo_profile, "learn", no)
    result = CliRunner().invoke(demo, ["--out", str(tmp_path)])

    assert result.exit_code == 1
    assert "the profile is not stored: it is worse" in result.stderr
    assert not (tmp_path / "store").exists()


def test_the_smallest_error_of_a_row_is_marked_whosever_it_is():
    names = PROFILE, FOUNDATION, RIDGE, OLS, MEAN
    worse = replace(
        some_score(), median_nrmse=dict(zip(names, (3.0, 2.0, 1.5, 1.0, 4.0), strict=True))
    )

    assert some_report(some_score(), worse).best() == [1, 4]


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
    html = page(Report((some_score(),), "<script>", "&", seed=0, weeks=(32, 52)), None)

    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_the_page_says_which_weeks_were_learnt_from_where_that_is_known():
    own, given = (page(some_report(some_score(served=(name,))), None) for name in (PROFILE, SONOBA))

    assert "pretrained on the weeks 0 to 31" in own
    assert "pretrained" not in given
    assert "weeks 32 to 52" in own and "weeks 32 to 52" in given


@pytest.mark.parametrize("sizes", [(8, 16, 32, 64), (8, 16)])
@pytest.mark.parametrize("served", [(PROFILE, FOUNDATION), (SONOBA,)])
def test_the_picture_is_a_png(tmp_path, sizes, served):
    pytest.importorskip("matplotlib", reason="the picture is drawn with matplotlib")
    draw_plot([some_score(M, served=served, boosting=0.3) for M in sizes], tmp_path / "errors.png")

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


@pytest.mark.slow
def test_the_numbers_are_those_of_the_model_behind_the_server(tmp_path, address, hours):
    result = run_demo(address, tmp_path, prompts=30)
    found = json.loads((tmp_path / "results.json").read_text())

    assert result.exit_code == 0, result.output
    assert [each["example_count"] for each in found["scores"]] == list(CONTEXT_SIZES)
    model = load(FOUNDATION_FILE).model
    for M, each in zip(CONTEXT_SIZES, found["scores"], strict=True):
        prompts = draw(hours.replayed(), M, 30, seed=0)
        answer = model.answer(Block(Examples(prompts.x, prompts.y), prompts.queries))
        expected = np.median(nrmse(prompts, answer.predictions))
        assert each["median_nrmse"][SONOBA] == pytest.approx(expected, rel=1e-9)
        ratio = each["ratios"][SONOBA]["value"]
        assert ratio == pytest.approx(expected / each["median_nrmse"][RIDGE], rel=1e-9)
        assert f"{expected:.3f}" in result.stdout
    assert all(sentence in result.stdout for sentence in found["findings"])


def test_a_server_that_is_not_there_is_one_sentence(tmp_path):
    result = run_demo("127.0.0.1:1", tmp_path)

    assert result.exit_code == 1
    assert "no sonoba server answers at 127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.slow
def test_a_server_that_does_not_start_is_told_in_its_own_words(monkeypatch, import_path, tmp_path):
    made = demo_profile.Pretrained(tmp_path / "store", None)
    monkeypatch.setattr(demo_profile, "pretrain", lambda *_: made)
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
    with pytest.raises(RuntimeError, match="in the middle"), trial.trial_server() as server:
        assert server.address.startswith("127.0.0.1:")
        assert server.page.startswith("http://127.0.0.1:")
        assert started[0].poll() is None
        raise RuntimeError("in the middle")

    assert [process.returncode for process in started] == [0]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_cut_short_leaves_no_server_behind(import_path, tmp_path, number):
    code = (
        "import time\n"
        "from service.trial_server import trial_server\n"
        "with trial_server() as server:\n"
        "    print(server.address, flush=True)\n"
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


def check_loop(found, written, printed):
    """Another version took over, and the error is back."""
    pointer = Store(written["store"]).current(NAME)
    assert found["model_version"] == pointer.previous  # another version took over
    assert found["mended"]["versions"] == [pointer.previous, pointer.version]
    assert found["mended"]["after"]["answer"] == "YES"
    assert found["mended"]["real_ratio"] <= 1.25
    assert re.search(r"^ *clock in UTC +\d\.\d\d +NO", printed, re.M)
    assert re.search(r"^ *re-evaluated +\d\.\d\d +YES", printed, re.M)
    assert len(list(written["reports"].glob("*.html"))) == 1


@pytest.mark.slow
def test_the_whole_demo_runs_from_the_command_line(import_path, tmp_path):
    pytest.importorskip("matplotlib", reason="the picture is drawn with matplotlib")
    command = [sys.executable, "-m", "service.cli", "demo", "--out", "out", "--prompts", "20"]
    columns = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, env=columns
    )

    assert done.returncode == 0, done.stderr
    written = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert sorted(written) == [
        *("admin.token", "demo.html", "errors.png", "history.csv"),
        *("reports", "results.json", "store", "webhook.token"),
    ]
    assert f"the page is {Path('out') / 'demo.html'}" in done.stdout
    rows = re.findall(r"^ +(\d+)(?: +[\d.–]+){7,8} *$", done.stdout, re.M)
    assert rows == [str(M) for M in CONTEXT_SIZES]  # 80 columns hold the table uncut
    found = json.loads(written["results.json"].read_text())
    assert found["model"] == NAME
    check_loop(found, written, done.stdout)
    assert all(list(each["ratios"]) == [PROFILE, FOUNDATION] for each in found["scores"])
    profile, foundation = (
        [each["median_nrmse"][name] for each in found["scores"]] for name in (PROFILE, FOUNDATION)
    )
    assert profile[0] < foundation[0]  # each was asked, and not the same one twice
    act = found["last_act"]
    assert (act["before"]["answer"], act["after"]["answer"]) == ("YES", "NO")
    assert act["after"]["moved"][0]["name"] == "h_cos"
    assert act["real_ratio"] > 2.0
