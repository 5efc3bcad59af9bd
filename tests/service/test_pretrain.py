import csv
import sys

import duckdb
import numpy as np
import pytest
from click.testing import CliRunner

from model import baselines
from model.history import QUERIES, Group, History
from model.packing import below, unpack
from model.profile_parameters import ProfileParameters
from model.prompt import Block, Examples
from model.store import Store
from service.admission import admit, refusal
from service.held_out import MEAN, OLS, PROFILE, RIDGE, Cell, draw, judge, ratio, split
from service.history_reader import Roles, read_history
from service.pretrain import pretrain
from service.pretrain_draft import normal
from service.profile_fit import PREFIX, Fitted, fit_profile
from sonoba import Summary


def run(*arguments):
    return CliRunner().invoke(pretrain, [str(argument) for argument in arguments])


@pytest.fixture
def history(tmp_path):
    """Return a function that writes shops whose sales follow the weather alike, or not at all."""

    def write(groups=12, rows=40, slope=2.0, noise=0.3, level=1):
        rng = np.random.default_rng(0)
        path = tmp_path / "sales.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["shop", "temp", "weekend", "rain", "sold"])
            for shop in range(groups):
                for _ in range(rows):
                    temp, weekend = rng.normal(20, 5), int(rng.integers(2))
                    rain = "" if rng.random() < 0.05 else round(rng.exponential(), 4)
                    sold = level * shop + slope * (temp + 5 * weekend) + 5 * noise * rng.normal()
                    writer.writerow([f"s{shop}", round(temp, 4), weekend, rain, round(sold, 5)])
        return path

    return write


@pytest.mark.slow
def test_a_good_history_becomes_a_stored_model_with_a_summary(history, tmp_path):
    store = tmp_path / "store"
    result = run(
        *(history(), "--group", "shop", "--target", "sold", "--store", store),
        *("--unit", "temp=celsius", "--unit", "sold=pieces"),
    )

    assert result.exit_code == 0, result.output
    assert "read      480 rows, 12 groups, 3 features of sold" in result.stdout
    assert "missing   rain: " in result.stdout and "filled with its group's mean" in result.stdout
    assert "error on 4 groups not seen" in result.stdout
    assert "With 8 examples it errs " in result.stdout
    manifest = Store(store).load("sales").manifest
    assert manifest.feature_schema.features[0].unit == "celsius"
    assert manifest.feature_schema.label.unit == "pieces"
    assert manifest.feature_schema.missing["rain"] == pytest.approx(0.05, abs=0.03)
    assert [score.example_count for score in manifest.metrics.scores] == [8, 16, 32]
    assert manifest.metrics.scores[0].error["profile"] < manifest.metrics.scores[0].error["mean"]
    assert manifest.training.source == "sales.csv"
    assert f"stored    sales, version {Store(store).current('sales').version}" in result.stdout


@pytest.mark.slow
def test_a_profile_that_is_no_better_than_the_mean_is_refused_and_not_stored(history, tmp_path):
    store = tmp_path / "store"
    path = history(slope=0.0, noise=3.0, level=1000)  # a level that no other group tells
    result = run(path, "--group", "shop", "--target", "sold", "--store", store)

    assert result.exit_code == 1
    assert "the profile is not stored: on groups it has not seen its error is" in result.stderr
    assert not store.exists()


def test_two_groups_are_too_few_and_the_sentence_says_what_serves(history, tmp_path):
    result = run(history(groups=2), "--group", "shop", "--target", "sold", "--store", tmp_path)

    assert result.exit_code == 1
    assert "expected at least 3 groups, got 2" in result.stderr
    assert "the foundation model serves" in result.stderr


@pytest.mark.slow
def test_three_groups_are_learnt_from_only_if_each_shows_a_gain(history, tmp_path):
    """Shops of one slope have much in common; with a slope of noise, nothing."""
    shops = history(groups=3, rows=150, noise=2.5)
    alike = run(shops, "--group", "shop", "--target", "sold", "--store", tmp_path)
    noise = history(groups=3, slope=0.02, noise=1.0)
    apart = run(noise, "--group", "shop", "--target", "sold", "--store", tmp_path / "none")

    assert alike.exit_code == 0, alike.output
    assert "Provisional" in alike.stdout
    assert apart.exit_code == 1
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_few_groups_make_a_provisional_model_and_say_so(history, tmp_path):
    store = tmp_path / "store"
    result = run(history(groups=6), "--group", "shop", "--target", "sold", "--store", store)

    assert result.exit_code == 0, result.output
    assert "Provisional: it has seen 6 groups only" in result.stdout
    assert Store(store).load("sales").manifest.metrics.state == "provisional"


@pytest.mark.slow
def test_sums_in_place_of_rows_make_a_model_that_says_what_is_not_known(history, tmp_path):
    query = Summary.sql(["temp", "weekend"], "sold", f"read_csv('{history()}')", group="shop")
    duckdb.sql(f"COPY ({query}) TO '{tmp_path}/sums.parquet' (FORMAT parquet)")
    result = run(
        *("--statistics", tmp_path / "sums.parquet", "--features", "temp,weekend"),
        *("--target", "sold", "--store", tmp_path / "store", "--name", "sales"),
    )
    manifest = Store(tmp_path / "store").load("sales").manifest

    assert result.exit_code == 0, result.output
    assert "The rows were given as sums" in result.stdout.replace("\n", " ")
    assert "boosting" not in result.stdout
    assert manifest.training.evidence == "statistics"
    assert manifest.calibration.evidence == "none"
    assert manifest.feature_schema.features[0].minimum is None


@pytest.mark.slow
def test_without_scikit_learn_the_comparison_is_left_out_visibly(history, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    result = run(history(), "--group", "shop", "--target", "sold", "--store", tmp_path / "s")

    assert result.exit_code == 0, result.output
    assert "notice    boosting is not compared: it needs scikit-learn" in result.stdout


USAGE = {
    "no file": (["--target", "sold"], "expected a HISTORY file or --statistics FILE"),
    "no group": (["h.csv", "--target", "sold"], "--group: expected the column"),
    "no names": (["--statistics", "s.csv", "--target", "sold"], "with --features A,B,C"),
    "no unit": (
        ["h.csv", "--target", "y", "--group", "g", "--unit", "temp"],
        "expected COLUMN=UNIT, got 'temp'",
    ),
    "no name": (["h.csv", "--target", "y", "--group", "g", "--name", "A B"], "got 'A B'"),
    "the bundled name": (
        ["h.csv", "--target", "y", "--group", "g", "--name", "foundation"],
        "'foundation' is the bundled model",
    ),
}


@pytest.mark.parametrize(("arguments", "sentence"), USAGE.values(), ids=USAGE)
def test_a_command_that_cannot_be_meant_is_refused(arguments, sentence):
    result = run(*arguments)

    assert result.exit_code == 2
    assert sentence in result.stderr


def test_a_file_that_is_not_there_is_named(tmp_path):
    result = run(tmp_path / "none.csv", "--group", "g", "--target", "y")

    assert result.exit_code == 1
    assert "none.csv: no such file or directory" in result.stderr


def groups_of(count, rows, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(
        Group(f"g{i}", rng.normal(size=(rows, 2)), i + rng.normal(size=rows)) for i in range(count)
    )


def test_no_group_is_both_learnt_from_and_held_out():
    history = History(groups_of(20, 30), is_ordered=False)
    known, unseen = split(history, seed=3)
    names = [{group.name for group in part.groups} for part in (known, unseen)]

    assert len(names[1]) == 6
    assert not names[0] & names[1]
    assert names[0] | names[1] == {group.name for group in history.groups}


@pytest.mark.parametrize("is_ordered", [False, True])
def test_a_held_out_prompt_is_rows_of_one_group_and_later_ones_where_order_counts(is_ordered):
    groups = tuple(
        Group(f"g{i}", np.arange(13.0)[:, None] + 100 * i, np.arange(13.0) + 100 * i)
        for i in range(4)
    )
    prompts = draw(History(groups, is_ordered), 8, seed=0)

    assert prompts.queries.shape == (160, QUERIES, 1)
    wanted = np.repeat(prompts.groups[:, None], 8, 1)
    np.testing.assert_array_equal(prompts.x[..., 0] // 100, wanted)
    np.testing.assert_array_equal(prompts.queries[..., 0], prompts.targets)
    assert (prompts.weight.sum(axis=1) == 5).all()
    for x, q in zip(prompts.y, prompts.targets[:, :5], strict=True):
        assert not set(x) & set(q)
        assert not is_ordered or (np.diff([*x, *q]) == 1).all()


class Zero:
    def answers(self, block):
        return np.zeros(block.queries.shape[:2])

    exact_answers = answers


def test_errors_are_those_of_the_naive_formula_and_fillers_do_not_count():
    prompts = draw(History(groups_of(5, 12), is_ordered=False), 8, seed=0)
    cell = judge(prompts, Zero(), None)
    answers = baselines.ols(prompts.x, prompts.y, prompts.queries)
    for b in range(3):
        scatter = prompts.y[b].std()
        truth = prompts.targets[b, :4]
        ours = np.sqrt(np.mean(truth**2)) / scatter
        theirs = np.sqrt(np.mean((answers[b, :4] - truth) ** 2)) / scatter
        assert cell.error[PROFILE][b] == pytest.approx(ours)
        assert cell.error[OLS][b] == pytest.approx(theirs)


def a_cell(profile, ridge=1.0, mean=1.1, groups=20, each=8, length=16):
    rng = np.random.default_rng(1)
    scatter, other = np.exp(0.05 * rng.normal(size=(2, groups * each)))
    error = {PROFILE: profile * scatter, RIDGE: ridge * scatter, MEAN: mean * other}
    return Cell(length, np.repeat(np.arange(groups), each), error)


def test_the_ratio_is_that_of_the_medians_and_its_bounds_hold_it():
    ours, low, high = ratio([a_cell(0.8), a_cell(0.5, length=32)], PROFILE, RIDGE, seed=0)

    assert ours == pytest.approx(np.sqrt(0.8 * 0.5))
    assert low == pytest.approx(ours) == high  # every prompt has the same ratio


VERDICTS = {
    "better than both": (a_cell(0.8), ""),
    "as good as ridge": (a_cell(1.0), ""),
    "worse than the mean": (a_cell(1.2, ridge=1.5), "that of the mean of a prompt's own labels"),
    "no better than the mean": (
        a_cell(1.096, ridge=1.2),
        "that of the mean of a prompt's own labels",
    ),
    "worse than ridge": (a_cell(1.08, mean=2.0), "1.08 times that of ridge regression"),
    "no answer": (
        Cell(8, np.arange(3), {PROFILE: np.array([1.0, np.nan, 1.0])}),
        "it gives no answer to 1 of 3 held-out prompts of 8 examples",
    ),
}


@pytest.mark.parametrize(("cell", "sentence"), VERDICTS.values(), ids=VERDICTS)
def test_admission_refuses_what_is_worse_than_the_simple_baselines(cell, sentence):
    found = refusal([cell], seed=0)

    assert sentence in found and bool(found) == bool(sentence)


def test_no_held_out_prompt_is_no_admission():
    assert "no held-out group is long enough" in admit([], 12, 0).refusal


def test_a_length_at_which_the_mean_is_as_good_is_told():
    admission = admit([a_cell(1.1, ridge=1.3, length=8), a_cell(0.5, length=64)], 12, seed=0)

    assert admission.refusal == ""
    assert admission.no_better_than_mean == (8,)
    assert "At 8 examples it is no better than the mean of the labels." in admission.sentence
    assert "With 8 examples it errs 15% less" in admission.sentence


def test_the_reference_splits_all_rows_into_within_and_between(history):
    found = read_history(history(), Roles("shop", "sold", exclude=("rain",)))
    rows = [np.column_stack([group.x, group.y]) for group in found.history.groups]
    total = np.cov(np.concatenate(rows).T, bias=True)
    within = sum(np.cov(part.T, bias=True) * len(part) for part in rows) / sum(map(len, rows))
    moments = normal(found.sums)

    np.testing.assert_allclose(moments.within, within, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moments.within + moments.between, total, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moments.mean, np.concatenate(rows).mean(0), rtol=1e-12)


@pytest.mark.slow
def test_a_stored_profile_answers_as_it_did_before(history, tmp_path):
    path, store = history(), tmp_path / "store"
    result = run(path, "--group", "shop", "--target", "sold", "--store", store)
    stored = Store(store).load("sales")
    found = read_history(path, Roles("shop", "sold"))
    fresh = fit_profile(found.history, 0, 4, lambda stage, share: None)
    kept = Fitted(unpack(ProfileParameters, below(stored.arrays, PREFIX)))
    prompts = draw(found.history, 16, seed=1)
    block = Block(Examples(prompts.x, prompts.y), prompts.queries)

    assert result.exit_code == 0, result.output
    assert kept.answers(block).tobytes() == fresh.answers(block).tobytes()
    assert stored.manifest.coordinates == kept.coordinates()
    assert stored.manifest.lengths[1].noise == np.sqrt(kept.parameters.bucket(16).noise_variance)
