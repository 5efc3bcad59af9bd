"""The reference of a profile: held-out errors, prompt by prompt, and what is said without one."""

import csv
import re

import numpy as np
import pytest
from click.testing import CliRunner

from model.history import Group, History, draw
from model.profile import ProfileModel
from model.profile_bucket import fit_bucket
from model.profile_parameters import ProfileParameters
from model.profile_support import FOLDS, PROMPTS, group_folds, held_out_folds
from model.store import Store
from monitoring.baseline import Unfit
from service import pretrain_run
from service.models_command import models
from service.pretrain import pretrain
from service.profile_fit import Fitted
from service.reference_fit import profile_reference, watched_profile
from tests.model import profiles
from tests.service import watched

pytestmark = pytest.mark.slow  # seconds, all together


def folds_of(history, seed):
    return held_out_folds(history, profiles.learnt(), seed)


def naive(length):
    """Return every held-out prompt's mean h, LOO and label power (P, 3), prompt by prompt."""
    parameters = profiles.learnt()
    prompts = draw(profiles.history(), length, PROMPTS, 1)
    folds = group_folds(prompts.groups, FOLDS)
    found = np.empty((len(prompts.groups), 3))
    for fold in np.unique(folds):
        coordinates = parameters.bucket(length).coordinates
        bucket = fit_bucket(prompts.take(folds != fold), coordinates)
        steps = parameters.feature_count, parameters.group_count, parameters.steps
        model = ProfileModel(ProfileParameters(*steps, (bucket,)))
        for place in np.flatnonzero(folds == fold):
            one = prompts.take(np.arange(len(folds)) == place)
            found[place] = judged(model.estimator(one.block), one.weight[0])
    return found


def judged(made, weight):
    """Return (h, LOO, label power) of one prompt by the formulas."""
    s, T, noise = made.smoother, made.task_covariance, made.noise_variance
    P, U, r = s.inverse[0], s.rows[0], s.labels[0]
    C = U @ P.T  # (M, p): labels' weights are C v
    share = s.centred / s.count
    h = []
    for v in s.queries[0][weight > 0.0]:
        u = v - U.T @ C @ v
        h.append(noise * (1.0 + share + (C @ v) @ (C @ v)) + u @ T @ u)
    w = s.prior_mean + P @ U.T @ (r - U @ s.prior_mean)
    exact = np.linalg.inv(U.T @ U + noise * np.linalg.inv(T))
    leverage = np.einsum("ij,jk,ik->i", U, P, U) + share
    errors = (r - U @ w) / (1.0 - leverage)
    w = s.prior_mean + exact @ U.T @ (r - U @ s.prior_mean)
    refit = (r - U @ w) / (1.0 - np.einsum("ij,jk,ik->i", U, exact, U) - share)
    errors = np.where(leverage > 0.5, refit, errors)
    return np.mean(h), np.mean(errors**2), np.mean(r**2)


@pytest.mark.slow
@pytest.mark.parametrize("length", [8, 16, 64])
def test_baselines_are_the_means_of_held_out_errors(length):
    base = watched.fitted().reference.baselines
    place = list(base.lengths).index(length)

    expected = naive(length).mean(axis=0)
    got = base.predicted[place], base.loo[place], base.label_power[place]
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    assert base.counts[place] == PROMPTS


def test_short_prompts_err_more_and_the_units_of_their_lengths_do_not_matter():
    """The profile answers 16 examples in other working units than 8, 32 and 64."""
    found = watched.fitted().reference
    effect = found.length_effect(np.array([8.0, 16.0, 32.0, 64.0]))

    assert len({bucket.coordinates for bucket in profiles.learnt().buckets}) == 2
    assert (np.diff(effect) < 0.0).all()
    assert effect[0] < 1.5  # no alarm by itself


def test_what_describes_the_reference_is_stored():
    found = watched.fitted().reference

    assert (found.feature_count, found.group_count) == (3, 24)
    assert found.row_count == PROMPTS * (8 + 16 + 32 + 64)
    assert found.window_prompts >= 100
    again = profile_reference(folds_of(profiles.history(), 0), 0)
    assert again.id == found.id
    assert profile_reference(folds_of(profiles.history(), 1), 1).id != found.id


def test_rarer_information_has_a_higher_line():
    folds = folds_of(profiles.history(), 0)
    often, rarely = (
        profile_reference(folds, 0, rows_per_alarm=rows).calibration for rows in (20_000, 1_000_000)
    )

    assert (often.rows_per_alarm, rarely.rows_per_alarm) == (20_000, 1_000_000)
    assert often.threshold < rarely.threshold


def test_a_history_of_two_groups_has_none_to_hold_out():
    few = History(tuple(profiles.history().groups[:1]), False)

    with pytest.raises(Unfit, match="expected groups that can be held out, got too few"):
        profile_reference(folds_of(few, 0), 0)


def test_a_profile_that_cannot_be_judged_says_why_and_stays_as_it_is():
    """The profile has learnt slopes; this history has none."""
    rng = np.random.default_rng(0)
    noise = tuple(
        Group(f"g{i}", profiles.rows(rng, 90)[0], 1e4 * rng.normal(size=90)) for i in range(8)
    )
    found = watched_profile(Fitted(profiles.learnt()), folds_of(History(noise, False), 0), 0)

    assert found.reference is None
    assert re.search("leave-one-out error is .* it is not worth watching", found.unwatched)
    assert found.parameters is profiles.learnt()


@pytest.fixture
def sales(tmp_path):
    """Return a history of three groups: pretraining accepts them, and they are few to watch by."""
    path, rng = tmp_path / "sales.csv", np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["shop", "temp", "rain", "sold"])
        for shop in range(3):
            for _ in range(80):
                temp, rain = rng.normal(20, 5), rng.exponential()
                sold = shop + 2.0 * temp - 3.0 * rain + 8.0 * rng.normal()
                writer.writerow([f"s{shop}", temp, rain, sold])
    return path


@pytest.mark.slow
def test_a_version_that_cannot_be_watched_is_stored_and_says_so(sales, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain_run, "is_present", lambda: False)  # boosting takes its time
    store = tmp_path / "store"
    arguments = [sales, "--group", "shop", "--target", "sold", "--store", store]
    result = CliRunner().invoke(pretrain, [str(one) for one in arguments])
    shown = CliRunner().invoke(models, ["show", "sales", "--store", str(store)])

    told = " ".join(result.output.split())
    assert result.exit_code == 0, result.output
    assert "Not yet watched for shift: expected prompts of at least 4 groups, got 3." in told
    assert "Its first prompts will be the reference." in told
    assert "watched   from its first prompts on" in shown.output
    stored = Store(store).load("sales", "")
    assert not [name for name in stored.arrays if name.startswith("monitoring.")]
    assert stored.manifest.reference.monitoring == ""


def test_a_stored_version_is_shown_with_its_reference(tmp_path):
    folder, own = watched.save(tmp_path), watched.fitted().reference.id
    shown = CliRunner().invoke(models, ["show", watched.NAME, "--store", str(folder)])

    assert shown.exit_code == 0, shown.output
    assert f"watched   reference {own}" in shown.output
