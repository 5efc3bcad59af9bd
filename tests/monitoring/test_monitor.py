"""One model's monitor: what it skips, what it collects, and what it says of a shift."""

import pickle
import threading

import numpy as np
import pytest

from model.paper import PaperModel
from model.prompt import Block, Examples
from monitoring.baseline import Quiet, build
from monitoring.monitor import REASONS, Monitor
from monitoring.observation import observe, sums_of
from tests.monitoring.quiet import prompts, reference, seen, summarised

pytestmark = pytest.mark.slow  # seconds, all together

TINY = PaperModel(np.eye(2), noise_variance=0.5)
SPREAD = np.diag(np.linspace(1.0, 0.1, 5))  # the world of the reference measurements
WORLD = PaperModel(SPREAD, 0.1, task_variance=1.0 / np.trace(SPREAD), centred=False)


def monitor(**fields):
    return Monitor("m", "v", "paper", **{"reference": reference(), **fields})


def skipped(found):
    return {reason: count for reason, count in found.snapshot().skipped.items() if count}


def of_the_world(seed, B, scale=1.0):
    """Return B prompts of five features and fifty examples."""
    rng = np.random.default_rng([seed, 3])
    x = scale * rng.normal(size=(B, 51, 5)) * np.sqrt(np.diag(SPREAD))
    w = rng.normal(size=(B, 5, 1)) / np.sqrt(np.trace(SPREAD))
    y = (x @ w)[..., 0] + np.sqrt(0.1) * rng.normal(size=(B, 51))
    return seen(Block(Examples(x[:, :50], y[:, :50]), x[:, 50:]), WORLD)


def test_every_reason_is_counted_from_the_start():
    snapshot = monitor().snapshot()

    assert snapshot.skipped == dict.fromkeys(REASONS, 0)
    assert (snapshot.prompt_count, snapshot.row_count, snapshot.last_update_seconds) == (0, 0, 0.0)
    assert snapshot.is_warming
    assert np.isnan(snapshot.gate)


def test_a_model_with_a_reference_is_judged_after_a_window():
    found = monitor()
    found.observe(seen(prompts(1, 99)))
    before = found.snapshot()
    found.observe(seen(prompts(2, 1)))
    after = found.snapshot()

    assert (before.is_warming, before.levels, before.reference) == (True, {}, reference().id)
    assert not after.is_warming
    assert set(after.levels) == {"h", "loo"}
    assert 0.7 < after.gate < 1.2
    assert (after.prompt_count, after.row_count) == (100, 2000)
    assert after.last_update_seconds > 1.7e9
    assert after.loo_ratio == after.levels["loo"].mean
    assert np.isnan(after.info_score)  # it takes 150 prompts


def test_a_larger_scale_is_harm_within_forty_prompts():
    """docs/monitoring.md, "The gate": 18 prompts in the median, 20 in nine of ten streams."""
    quiet = of_the_world(0, 400)
    found = Quiet(observe(quiet.served), list(quiet.covariates), sums_of(quiet.served), 0.1)
    normal = build(found, "paper")
    alarms = []
    for stream in range(20):
        watched = monitor(reference=normal)
        watched.observe(of_the_world(100 + stream, 200))
        assert watched.snapshot().gate < 1.5
        for place in range(1, 100):
            watched.observe(of_the_world(1000 + 100 * stream + place, 1, scale=1.5))
            if watched.snapshot().gate > 2.0:
                alarms.append(place)
                break

    assert len(alarms) == 20
    assert 10 <= np.median(alarms) <= 26
    assert max(alarms) <= 40


def test_quiet_prompts_stay_below_every_line():
    found = monitor()
    gates = []
    for place in range(400):
        found.observe(seen(prompts(500 + place, 20)))
        gates.append(found.snapshot().gate)

    assert np.nanmax(gates) < 1.25
    assert np.isnan(gates[3])
    assert found.snapshot().prompt_count == 8000


WILD = {
    "covariates of 1e300": ("x", 1e300),
    "covariates that are none": ("x", np.nan),
    "infinite covariates": ("x", np.inf),
    "labels of 1e200": ("y", 1e200),
    "labels that are none": ("y", np.nan),
    "queries of 1e200": ("queries", 1e200),
    "queries that are none": ("queries", np.nan),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning:model")
@pytest.mark.parametrize(("where", "value"), WILD.values(), ids=WILD)
def test_prompts_that_are_not_finite_are_skipped_and_leave_no_trace(where, value):
    found, calm = monitor(), monitor()
    block = prompts(1, 40)
    {"x": block.context.x, "y": block.context.y, "queries": block.queries}[where][:5] = value
    with np.errstate(all="ignore"):
        made = seen(block)
    found.observe(made)
    rest = Block(
        Examples(*(part[5:] for part in prompts(1, 40).context)), prompts(1, 40).queries[5:]
    )
    calm.observe(seen(rest))
    for one in (found, calm):
        one.observe(seen(prompts(2, 200)))

    assert skipped(found) == {"not_finite": 5}
    assert found.snapshot().prompt_count == calm.snapshot().prompt_count == 235
    assert found.snapshot().levels == calm.snapshot().levels
    assert found.snapshot().info_channels == calm.snapshot().info_channels
    np.testing.assert_array_equal(
        found.watch.released.public.directions, calm.watch.released.public.directions
    )


HARMLESS = {
    "denormals": lambda block: block.context.x.__imul__(1e-310),
    "nothing but zeros": lambda block: block.context.x.fill(0.0),
    "a constant column": lambda block: block.context.x[:, :, 0].fill(3.0),
    "labels of 1e100": lambda block: block.context.y.__imul__(1e100),
    "labels of zero": lambda block: block.context.y.fill(0.0),
    "rows of 1e60": lambda block: block.context.x.__imul__(1e60),
    "a query of 1e100": lambda block: block.queries.__imul__(1e100),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_strange_prompts_are_forgotten_after_a_window(change):
    found, calm = monitor(), monitor()
    block = prompts(1, 40)
    change(block)
    with np.errstate(all="ignore"):
        found.observe(seen(block))
    for one in (found, calm):
        for place in range(30):
            one.observe(seen(prompts(2 + place, 200)))

    snapshot, expected = found.snapshot(), calm.snapshot()
    assert snapshot.levels == expected.levels
    assert snapshot.info_score == pytest.approx(expected.info_score, rel=1e-3)
    assert snapshot.clipped_share == expected.clipped_share == 0.0
    totals = found.watch.released.public
    for name in totals.__dataclass_fields__:
        assert np.isfinite(getattr(totals, name)).all(), name


def test_too_few_examples_are_counted_as_such():
    found = monitor()
    found.observe(seen(prompts(1, 3, M=1)))
    found.observe(seen(prompts(1, 5, M=2), TINY))  # centred: one is left
    found.observe(seen(prompts(1, 7, M=2)))

    assert skipped(found) == {"few_examples": 8}
    assert found.snapshot().prompt_count == 7


def test_prompts_of_another_width_are_not_of_the_schema():
    found = monitor()
    found.observe(of_the_world(1, 6))

    assert skipped(found) == {"schema": 6}
    assert found.snapshot().prompt_count == 0


def test_summaries_are_judged_by_h_alone():
    found = monitor()
    found.observe(summarised(prompts(1, 120)))

    snapshot = found.snapshot()
    assert list(snapshot.levels) == ["h"]
    assert np.isnan(snapshot.loo_ratio)
    assert skipped(found) == {}


def test_a_model_without_a_reference_makes_one_of_its_first_prompts():
    found = monitor(reference=None, prompts_min=100, window_prompts=40)
    found.observe(seen(prompts(1, 99)))
    before = found.snapshot()
    found.observe(summarised(prompts(3, 50)))  # has no rows to keep
    found.observe(seen(prompts(2, 1)))
    after = found.snapshot()

    assert (before.reference, before.prompt_count) == ("", 99)
    assert (after.reference, after.prompt_count) == (found.watch.reference.id, 150)
    assert after.is_warming
    assert found.watch.released.public.prompts == 0.0
    found.observe(seen(prompts(4, 100)))
    assert not found.snapshot().is_warming


def test_while_there_is_no_reference_loo_over_ridge_is_judged():
    found = monitor(reference=None, prompts_min=10_000)
    found.observe(seen(prompts(1, 150)))
    observed = observe(seen(prompts(1, 150)).served).take(np.arange(50, 150))

    levels = found.snapshot().levels
    assert list(levels) == ["loo"]
    assert levels["loo"].mean == pytest.approx((observed.loo / observed.ridge).mean())
    assert found.snapshot().is_warming


def test_skips_are_counted_without_waiting_for_whoever_watches():
    found, counted = monitor(), threading.Event()

    def skip():
        found.skip("other_mode", 3)
        counted.set()

    with found.lock:
        thread = threading.Thread(target=skip)
        thread.start()
        assert counted.wait(30.0)
    thread.join()
    assert skipped(found) == {"other_mode": 3}


def states(found):
    """Return the size of everything a monitor keeps but its locks."""
    kept = {name: part for name, part in vars(found).items() if "lock" not in name}
    return len(pickle.dumps(kept))


@pytest.mark.slow
def test_a_million_prompts_take_no_more_memory_than_a_few():
    found, batches = monitor(), [seen(prompts(place, 1024, M=4)) for place in range(2)]
    sizes = {}
    for place in range(977):
        found.observe(batches[place % 2])
        if place in (195, 976):
            sizes[found.snapshot().prompt_count] = states(found)

    few, many = sizes[196 * 1024], sizes[977 * 1024]
    assert found.snapshot().prompt_count > 1_000_000
    assert abs(many - few) < 64  # whole numbers with more digits
    assert many < 200_000
