"""Evidence: every sum against a loop over prompts and rows, for every kind of model; packing."""

from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest

from model.paper import PaperModel
from model.profile import ProfileModel
from monitoring.baseline import Quiet, build
from monitoring.evidence import Evidence, packed, unpacked
from monitoring.harm import excess_by_direction
from monitoring.observation import observe, sums_of
from monitoring.ridge_sums import ridge_basis
from monitoring.watch import Watch
from service.seen import seen
from tests.model.profiles import FOUNDATION, SPREAD, asked, learnt, summarised

B, M = 30, 16
OTHERS = {
    "paper": PaperModel(np.diag(SPREAD**2), 20.0, 1e-3, centred=True),
    "uncentred": PaperModel(np.diag(SPREAD**2), 20.0, 1e-3, centred=False),
    "foundation": FOUNDATION,
}
NAMES = (*OTHERS, "intercept", "centred", "label-scaled")


@cache
def model(name):
    """Return a model; a profile is not learnt while files are collected."""
    return OTHERS[name] if name in OTHERS else ProfileModel(learnt(name))


def block_of(name, seed, count):
    block, _ = asked(seed, count, M)
    if name == "uncentred":
        block.context.x[:] -= [20.0, -3.0, 500.0]
        block.context.y[:] -= 40.0
    return block


@cache
def known_of(name):
    """Return a model's reference, admitted whatever its errors."""
    found = seen(model(name), block_of(name, 1, 120)).served
    numbers = observe(found)
    numbers = numbers._replace(ridge=numbers.loo, label_power=2.0 * numbers.loo)
    rows = list(block_of(name, 1, 120).context.x)
    noise = found.noise_variance
    made = Quiet(numbers, rows, sums_of(found), noise)
    return build(made, "profile", prompts_min=100)


def told(known, found):
    watch = Watch(replace(known, window_prompts=4 * B))
    numbers = observe(found.served)
    watch.observe(found, numbers)
    (part,) = watch.recent.state().parts
    return part, known.baselines.limited(numbers)


def looped(known, found, x):
    """Return the sums of every prompt, one after another, as the docstring of Evidence says."""
    served, normal = found.served, known.normal
    total = {}
    for b in range(B):
        U, r, V = served.rows[b], served.labels[b], served.queries[b]
        T = served.task_covariance
        T = T[b] if T.ndim == 3 else T
        m, p, G = served.prior_mean, U.shape[1], U.T @ U / M
        z = (x[b] - normal.mean) / normal.deviation
        mean = z.mean(axis=0)
        W = ridge_basis(known.scene, p)
        Q = np.linalg.inv(W.T @ G @ W + np.eye(p))
        g = W.T @ (U.T @ r / M - G @ m)
        a = Q @ g
        left = r - U @ m - U @ W @ a
        has_ridge, is_layer = float(served.task_covariance.ndim == 2), float(not served.inverts)
        found_here = {
            "noise": served.noise_variance,
            "task_variance": np.trace(T) / p,
            "query_signal": np.mean([v @ T @ v for v in V]),
            "residual_prompts": 1.0,
            "residual_power": np.mean((r - U @ m) ** 2),
            "spread_prompts": is_layer,
            "spread": is_layer * sum(u @ u * np.outer(u, u) for u in U) / M,
            "mean_squares": np.outer(U.mean(axis=0), U.mean(axis=0)),
            "z_means": mean,
            "z_mean_squares": np.outer(mean, mean),
            "z_scatters": sum(np.outer(row, row) for row in z - mean) / M,
            "scene.prompt_count": 1.0,
            "scene.inverse_lengths": 1.0 / M,
            "scene.means": U.mean(axis=0),
            "scene.moments": G,
            "scene.query_means": V.mean(axis=0),
            "scene.query_moments": V.T @ V / len(V),
            "scene.gaps": U.T @ (r - U @ m) / M,
            "scene.squares": G @ G,
            "ridge.prompt_count": has_ridge,
            "ridge.inverse_lengths": has_ridge / M,
            "ridge.shrinkage": has_ridge * Q,
            "ridge.shrinkage_squares": has_ridge * Q @ Q,
            "ridge.tasks": has_ridge * a,
            "ridge.task_squares": has_ridge * np.outer(a, a),
            "ridge.residual_power": has_ridge * np.mean(left**2),
            "ridge.freedom": has_ridge * (1 - served.centred / M - (p - np.sum(Q * Q)) / M),
        }
        total = {name: total.get(name, 0.0) + value for name, value in found_here.items()}
    return total


def named(part):
    """Return every number of evidence by its name."""
    flat = {one.name: getattr(part, one.name) for one in fields(part)}
    for group in ("scene", "ridge"):
        flat |= {f"{group}.{name}": value for name, value in flat.pop(group)._asdict().items()}
    return flat


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_sum_is_that_of_a_loop_over_prompts_and_rows(name):
    known, block = known_of(name), block_of(name, 2, B)
    found = seen(model(name), block)
    part, numbers = told(known, found)
    over = known.inflations(numbers.counts, numbers.predicted, numbers.loo)
    excess = excess_by_direction(found.served, known.basis)
    expected = looped(known, found, block.context.x) | {
        "length": 16.0,
        "prompts": B,
        "rows": B * M,
        "channel_prompts": [B, B],
        "inflation": over.clipped.sum(axis=0),
        "inflation_square": (over.clipped**2).sum(axis=0),
        "ratios": over.ratios.sum(axis=0),
        "clipped": over.at_clip.sum(axis=0),
        "errors": [numbers.loo.sum(), numbers.ridge.sum()],
        "error_prompts": [B, B],
        "excess_error": (numbers.predicted - found.served.noise_variance).sum(),
        "direction_excess": excess.sum(axis=0),
        "others": part.others,  # below
        "other_prompts": [B] * 6,
    }
    got = named(part)

    assert got.keys() == expected.keys()
    for key, value in expected.items():
        atol = 1e-9 * np.abs(value).max() + 1e-12  # means of centred rows are rounding
        np.testing.assert_allclose(got[key], value, rtol=1e-8, atol=atol, err_msg=key)
    base = known.baselines
    ratios = numbers.ridge / base.ridge, numbers.label_power / base.label_power
    np.testing.assert_allclose(part.others[:2], np.sum(ratios, axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["paper", "intercept"])
def test_a_summary_says_what_its_rows_say_but_for_labels(name):
    known, block = known_of(name), block_of(name, 2, B)
    rows, _ = told(known, seen(model(name), block))
    sums, _ = told(known, seen(model(name), summarised(block)))
    left_out = {
        *("channel_prompts", "inflation", "inflation_square", "ratios", "clipped", "spread"),
        *("others", "other_prompts", "errors", "error_prompts", "spread_prompts"),
        *("residual_prompts", "residual_power"),
    }
    of_rows, of_sums = named(rows), named(sums)

    for key, value in of_rows.items():
        if key in left_out:
            continue
        wanted = 0.0 * np.array(value) if key.startswith("ridge.") else value
        atol = 1e-9 * np.abs(value).max() + 1e-12
        np.testing.assert_allclose(of_sums[key], wanted, rtol=1e-7, atol=atol, err_msg=key)
    np.testing.assert_array_equal(sums.channel_prompts, [B, 0.0])
    assert (sums.spread_prompts, sums.residual_prompts) == (0.0, 0.0)
    assert not sums.spread.any()


@pytest.mark.slow
def test_packing_loses_nothing():
    part, _ = told(known_of("paper"), seen(model("paper"), block_of("paper", 2, B)))
    numbers = packed(part)
    again = unpacked(part.length, part.sizes, numbers)

    assert len(numbers) == part.sizes.number_count
    np.testing.assert_array_equal(packed(again), numbers)
    for key, value in named(part).items():
        np.testing.assert_array_equal(named(again)[key], value, err_msg=key)


@pytest.mark.slow
def test_sums_of_other_sizes_do_not_add_up():
    paper, intercept = (
        told(known_of(name), seen(model(name), block_of(name, 2, B)))[0]
        for name in ("paper", "intercept")
    )
    with pytest.raises(ValueError, match="sums: expected sizes"):
        paper.joined(intercept)


@pytest.mark.slow
def test_sums_of_two_lengths_have_none():
    part, _ = told(known_of("paper"), seen(model("paper"), block_of("paper", 2, B)))
    other = replace(part, length=32.0)

    assert part.joined(part).length == 16.0
    assert part.joined(other).length == 0.0
    assert isinstance(part.joined(other), Evidence)
