"""Prompts against a reference: sums by hand, order of batches, wild prompts, other coordinates."""

from dataclasses import replace

import numpy as np
import pytest

from model.paper import PaperModel
from model.prompt import Block, Examples
from monitoring.harm import excess_by_direction
from monitoring.observation import observe, sums_of
from monitoring.totals import RATIO_BUCKETS
from monitoring.watch import Watch
from tests.monitoring.quiet import prompts, quiet, reference, seen, summarised


def watched(*blocks, of=seen, ridge_every=1):
    watch = Watch(reference())
    for block in blocks:
        found = of(block)
        watch.observe(found, observe(found.served, ridge_every=ridge_every))
    return watch


def singles(block):
    """Return the prompts of a block one by one."""
    parts = zip(*block.context, block.queries, strict=True)
    return [Block(Examples(x[None], y[None]), v[None]) for x, y, v in parts]


def test_sums_are_those_of_a_hand():
    found, base = seen(prompts(9, 64)), reference().baselines
    observed, totals = observe(found.served), watched(prompts(9, 64)).released.public
    u = np.column_stack([observed.predicted / base.predicted, observed.loo / base.loo])
    kappa = reference().clip_means

    assert (totals.prompts, totals.rows) == (64.0, 1280.0)
    np.testing.assert_array_equal(totals.channel_prompts, [64.0, 64.0])
    np.testing.assert_allclose(totals.inflation, (np.minimum(u, 20.0) / kappa).sum(axis=0))
    squares = (np.minimum(u, 20.0) / kappa) ** 2
    np.testing.assert_allclose(totals.inflation_square, squares.sum(axis=0))
    np.testing.assert_allclose(totals.excess_error, (observed.predicted - 0.5).sum())
    np.testing.assert_allclose(totals.query_signal, observed.query_signal.sum())
    np.testing.assert_allclose(totals.loo_error, [observed.loo.sum(), observed.ridge.sum()])
    np.testing.assert_array_equal(totals.loo_prompts, [64.0, 64.0])
    np.testing.assert_allclose(totals.label_power, observed.label_power.sum())
    assert totals.length_effect == 64.0
    np.testing.assert_allclose(totals.ratio_sum, u[:, 0].sum())
    counted = [(u[:, 0] <= bound).sum() for bound in (*RATIO_BUCKETS, np.inf)]
    np.testing.assert_array_equal(np.cumsum(totals.ratio_buckets), counted)


def test_directions_are_those_of_a_hand():
    block = prompts(9, 64)
    rows = np.concatenate(quiet().covariates)  # (N, 2)
    values, vectors = np.linalg.eigh(np.corrcoef(rows.T))
    vectors = vectors[:, ::-1] * np.where([1.0, np.sqrt(0.5)] @ vectors[:, ::-1] < 0.0, -1.0, 1.0)
    u = (block.context.x - rows.mean(axis=0)) / rows.std(axis=0)
    z = (u @ vectors / np.sqrt(values[::-1])).mean(axis=1)
    excess = excess_by_direction(seen(block).served, reference().basis)

    directions = watched(block).released.public.directions
    np.testing.assert_allclose(directions[0] - directions[1], z.sum(axis=0))
    np.testing.assert_allclose(directions[0] + directions[1], np.abs(z).sum(axis=0))
    np.testing.assert_allclose(directions[2], (z * z).sum(axis=0))
    np.testing.assert_allclose(directions[3], excess.sum(axis=0))


def test_a_shift_along_the_most_varied_direction_is_seen_in_the_first():
    block = prompts(9, 64)
    first = np.linalg.eigh([[1.0, 0.3 / np.sqrt(0.5)], [0.3 / np.sqrt(0.5), 1.0]])[1][:, -1]
    block.context.x[:] += 2.0 * first * [1.0, np.sqrt(0.5)]

    directions = watched(block).released.public.directions
    assert directions[2, 0] > 20.0 * directions[2, 1]


def test_the_clip_is_counted_by_channel():
    block = prompts(9, 40)
    block.queries[:3] *= 1e3

    totals = watched(block).released.public
    np.testing.assert_array_equal(totals.clipped, [3.0, 0.0])
    assert totals.ratio_buckets[-1] == 3.0


def test_one_prompt_at_a_time_is_the_batch():
    block = prompts(9, 260)
    batch, single = watched(block), watched(*singles(block))

    for name in batch.released.public.__dataclass_fields__:
        pair = (getattr(one.released.public, name) for one in (single, batch))
        np.testing.assert_allclose(*map(np.asarray, pair), rtol=1e-9, atol=1e-9, err_msg=name)
    for channel, level in batch.levels().items():
        np.testing.assert_allclose(single.levels()[channel], level, rtol=1e-9)
    for channel, score in batch.combo.channels.items():
        assert single.combo.channels[channel] == pytest.approx(score, rel=1e-9)
    for name, mean in batch.window_means().items():
        assert single.window_means()[name] == pytest.approx(mean, rel=1e-9)


def test_means_of_the_window_are_those_of_the_newest_prompts():
    observed = observe(seen(prompts(9, 260)).served).take(np.arange(160, 260))
    base = reference().baselines

    means = watched(prompts(9, 260)).window_means()
    np.testing.assert_allclose(means["ridge"], (observed.ridge / base.ridge).mean())
    np.testing.assert_allclose(means["best"], (observed.best / base.best).mean())
    power = observed.label_power / base.label_power
    np.testing.assert_allclose(means["label_power"], power.mean())
    assert (means["length_effect"], means["at_clip"]) == (1.0, 0.0)


def test_means_are_unknown_until_the_window_is_warm():
    assert np.isnan(list(watched(prompts(9, 50)).window_means().values())).all()


def test_summaries_enter_one_channel_only():
    watch = watched(prompts(9, 150), of=summarised)

    totals = watch.released.public
    np.testing.assert_array_equal(totals.channel_prompts, [150.0, 0.0])
    assert (totals.inflation[1], totals.loo_error.sum(), totals.label_power) == (0.0, 0.0, 0.0)
    np.testing.assert_array_equal(totals.loo_prompts, [0.0, 0.0])
    assert list(watch.levels()) == ["h"]
    assert np.isnan(watch.window_means()["label_power"])
    rows = watched(prompts(9, 150))
    np.testing.assert_allclose(totals.inflation[0], rows.released.public.inflation[0])
    assert watch.levels()["h"].gate == pytest.approx(rows.levels()["h"].gate)


def test_rows_and_summaries_fill_their_windows_side_by_side():
    watch = Watch(reference())
    for block, of in ((prompts(1, 100), seen), (prompts(2, 60), summarised)):
        watch.observe(of(block), observe(of(block).served))

    levels = watch.levels()
    assert (levels["h"].prompt_count, levels["loo"].prompt_count) == (100, 100)
    assert levels["loo"] == watched(prompts(1, 100)).levels()["loo"]


def test_one_wild_prompt_does_not_drown_the_sums():
    block = prompts(9, 40)
    block.queries[3] *= 1e90  # h of 1e180
    totals = watched(block).released.public
    found = watched(block, prompts(10, 40)).released.public

    quiet = watched(prompts(10, 40)).released.public
    for name in ("excess_error", "query_signal", "ratio_sum", "inflation"):
        added = getattr(found, name) - getattr(totals, name)
        np.testing.assert_allclose(added, getattr(quiet, name), rtol=1e-6)
    added = found.directions - totals.directions
    np.testing.assert_allclose(added, quiet.directions, rtol=1e-6)


def test_covariates_too_far_off_for_squares_are_bounded_in_the_sums():
    found = seen(prompts(9, 40))
    found.covariates[5] = 1e200
    watch = Watch(reference())
    watch.observe(found, observe(found.served))

    assert np.isfinite(watch.released.public.directions).all()
    assert watch.released.public.directions[2].max() < 2e6


def test_prompts_of_other_working_coordinates_have_no_directions_of_harm():
    three = np.eye(3)
    other = seen(prompts(1, 40, covariance=three), PaperModel(three, 0.5, centred=False))
    watch = Watch(replace(reference(), scene=sums_of(other.served)))
    found = seen(prompts(9, 40))
    watch.observe(found, observe(found.served))

    totals = watch.released.public
    assert totals.prompts == 40.0
    np.testing.assert_array_equal(totals.directions[3], np.zeros(3))
    np.testing.assert_array_equal(totals.directions[:3, 2], np.zeros(3))


def test_taking_prompts_takes_their_covariates_too():
    for of in (seen, summarised):
        found = of(prompts(9, 40)).take(np.array([3, 5]))
        assert found.feature_count == 2
        assert len(found.served.gram) == 2
        x = found.covariates if of is seen else found.covariates.mean
        whole = of(prompts(9, 40)).covariates
        whole = whole if of is seen else whole.mean
        np.testing.assert_array_equal(x, whole[[3, 5]])


def test_excess_is_what_errors_have_above_the_noise_of_what_answered():
    """A profile has a noise of its own for every length; the reference has one for all."""
    found = seen(prompts(9, 64))
    louder = found._replace(served=replace(found.served, noise_variance=0.7))
    observed = observe(louder.served)
    watch = Watch(reference())
    watch.observe(louder, observed)

    assert reference().noise_variance == 0.5
    excess = (observed.predicted - 0.7).sum()
    assert watch.released.public.excess_error == pytest.approx(excess, rel=1e-12)
