"""The ring of blocks: which prompts are told, which never, and how much of them is kept."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from bench.drift_worlds import draw, world
from model.paper import PaperModel
from model.prompt import Block, Examples
from monitoring import calibration
from monitoring.baseline import Quiet, build
from monitoring.evidence import packed
from monitoring.monitor import Monitor
from monitoring.observation import observe, sums_of
from monitoring.recent import BLOCKS_MAX, RING_BYTES
from monitoring.watch import Watch
from tests.monitoring.quiet import prompts, reference, seen, summarised
from tests.monitoring.states import BLOCK, mixed, same, watched


class Clock:
    """A monotonic clock that stands still."""

    now_seconds = 1000.0

    def __call__(self):
        return self.now_seconds


def fed(*counts, seconds=10.0):
    """Return a watch that saw batches, the clock moved before each, and the clock."""
    clock = Clock()
    watch = watched([], reference(), clock)
    for place, count in enumerate(counts):
        clock.now_seconds += seconds
        batch = seen(prompts(place, count))
        watch.observe(batch, observe(batch.served))
    return watch.recent, clock


def test_nothing_is_told_before_a_block_is_whole():
    assert fed(24)[0].state() is None
    assert fed(24, 1)[0].state().prompt_count == BLOCK


@pytest.mark.parametrize(("window", "size"), [(100, 25), (200, 50), (40, 20), (4, 20)])
def test_a_block_is_a_quarter_of_the_window_and_never_below_twenty_prompts(window, size):
    known = replace(reference(), window_prompts=window)
    batch = seen(prompts(1, 190))
    recent = watched([batch], known).recent

    assert recent.block_prompts == size
    assert recent.state().prompt_count == 190 // size * size
    assert watched([batch.take(np.arange(size - 1))], known).recent.state() is None


def test_the_newest_blocks_that_hold_the_prompts_are_told():
    recent, _ = fed(*[25] * 8)
    asked = {0: 200, 1: 25, 25: 25, 26: 50, 100: 100, 110: 125, 1000: 200}

    assert {n: recent.state(n).prompt_count for n in asked} == asked
    newest = watched([seen(prompts(7, 25))], reference()).recent.state()
    same(recent.state(25), newest)


def test_blocks_that_began_too_long_ago_are_left_out():
    recent, clock = fed(*[25] * 8)  # a block every 10 s, the last one now

    assert recent.state(0, 0.5).prompt_count == 25
    assert recent.state(0, 30.0).prompt_count == 100
    assert recent.state(50, 30.0).prompt_count == 50
    clock.now_seconds += 100.0
    assert recent.state(0, 30.0) is None
    assert recent.state(0, 1000.0).prompt_count == 200


def test_a_block_began_with_its_first_prompt():
    recent, _ = fed(20, 10, 20)  # whole at 10 s after its first prompt, and at 20 s

    assert recent.state(0, 5.0) is None
    assert recent.state(0, 15.0).prompt_count == 25
    assert recent.state(0, 25.0).prompt_count == 50


@pytest.mark.slow
def test_each_nominal_length_fills_its_own_blocks():
    batches = mixed(1, 2)
    few = [batch.take(np.arange(24)) for batch in batches]
    recent = watched(few).recent

    assert recent.state() is None
    one = batches[1].take(np.array([24]))
    recent_with_one = watched([*few, one]).recent
    assert [part.length for part in recent_with_one.state().parts] == [16.0]


def test_summaries_and_rows_never_share_a_block():
    both = [seen(prompts(1, 24)), summarised(prompts(2, 24))]
    assert watched(both, reference()).recent.state() is None

    more = [*both, seen(prompts(3, 1)), summarised(prompts(4, 1))]
    levels = watched(more, reference()).recent.state().levels()
    assert (levels["h"].prompt_count, levels["loo"].prompt_count) == (50, 25)


WILD = {
    "covariates": lambda block: block.context.x.__setitem__(3, 1e90),
    "far covariates": lambda block: block.context.x.__setitem__(3, 1e200),
    "labels": lambda block: block.context.y.__setitem__(3, 1e120),
    "queries": lambda block: block.queries.__setitem__(3, 1e90),
    "rather large queries": lambda block: block.queries.__setitem__(3, 1e6),
}


@pytest.mark.parametrize("what", WILD)
def test_a_wild_prompt_counts_in_the_gate_and_nowhere_else(what):
    block = prompts(1, 50)
    WILD[what](block)
    with np.errstate(all="ignore"):
        batch = seen(block)
    monitor = Monitor("m", "1", "paper", reference())
    monitor.observe(batch)
    rest = np.delete(np.arange(50), 3)
    quiet = watched([batch.take(rest)], replace(reference(), window_prompts=196)).recent.state()
    found = monitor.state()
    if found.prompt_count == 25:  # not finite: left out before
        assert monitor.skipped["not_finite"] == 1
        return
    (part,), (expected,) = found.parts, quiet.parts

    assert (part.prompts, expected.prompts) == (50.0, 49.0)
    skipped = part.sizes.gate_count
    ridge = slice(skipped, skipped + 4)  # the exact ridge is tried on every eighth prompt
    a, b = packed(part), packed(expected)
    a[ridge] = b[ridge]
    np.testing.assert_allclose(a[skipped:], b[skipped:], rtol=1e-9, atol=1e-9)


def test_matrices_of_few_prompts_are_withheld():
    block = prompts(1, 100)
    block.context.x[:, :, :] *= 1e90
    block.context.x[::10] /= 1e90  # ten victims among prompts sent to single them out
    recent = watched([seen(block)], reference()).recent
    (part,) = recent.state().parts

    assert part.prompts == 100.0  # twice as long as usual, and told all the same
    assert not packed(part)[part.sizes.gate_count :].any()
    assert recent.state().levels()["h"].gate > 2.0
    assert recent.state().pooled(2) is None


def test_a_few_wild_prompts_make_a_block_wait_for_enough_others():
    block = prompts(1, 60)
    block.context.x[:10] = 1e90
    (part,) = watched([seen(block)], reference()).recent.state(1).parts

    assert part.scene.prompt_count >= 20.0
    assert part.prompts > part.scene.prompt_count


def test_a_constant_that_moves_is_measured_and_one_beyond_all_measure_is_not():
    rng = np.random.default_rng(0)
    S = np.array([[1.0, 0.0], [0.0, 0.0]])
    model = PaperModel(np.eye(2), 0.5, centred=False)
    law = {"covariance": S}
    still = seen(prompts(1, 200, **law), model)
    numbers, scene = observe(still.served), sums_of(still.served)
    known = build(Quiet(numbers, list(still.covariates), scene, 0.5), "paper", prompts_min=100)
    moved = prompts(5, 50, **law)
    moved.context.x[:, :, 1] = 300.0 + rng.normal(size=(50, 20))
    moved.context.x[7, :, 1] = 1e200
    with np.errstate(all="ignore"):
        recent = watched([seen(moved, model)], known).recent
    mean, deviation = recent.state().features(known.normal)

    assert recent.state().parts[0].scene.prompt_count == 49.0
    assert mean[1] == pytest.approx(300.0, rel=1e-3)
    assert deviation[1] == pytest.approx(1.0, rel=0.1)


def test_the_ring_is_bounded_and_keeps_the_newest():
    recent, _ = fed(*[400] * 6)
    assert len(recent._whole) == BLOCKS_MAX
    assert recent.state().prompt_count == BLOCKS_MAX * BLOCK


def large(d, count=2000):
    """Return a reference of d features and fresh prompts."""
    law, rng = world(d, is_mixed=False), np.random.default_rng(1)
    model = PaperModel(law.root @ law.root, 0.1, law.task_variance, centred=False)
    batches = []
    for _ in range(2):
        drawn = draw(law, "quiet", count, 16, rng)
        batches.append(seen(Block(Examples(drawn.x, drawn.y), drawn.queries), model))
    served = batches[0].served
    quiet = Quiet(observe(served), list(batches[0].covariates), sums_of(served), 0.1)
    return replace(build(quiet, "paper"), window_prompts=100), batches[1]


@pytest.mark.slow
def test_the_ring_of_64_features_holds_39_blocks_and_below_8_megabytes(monkeypatch):
    monkeypatch.setattr(calibration, "STREAM_PROMPTS", 30)  # no line is read here: 1 s, not 20
    known, batch = large(64)
    watch = Watch(known)
    watch.observe(batch, observe(batch.served))
    recent = watch.recent
    held = sum(block.sums.nbytes for block in (*recent._whole, *recent._filling.values()))

    assert len(recent._whole) == 39
    assert held <= RING_BYTES
    assert len(recent.state().to_bytes()) < 200_000


@pytest.mark.slow
def test_a_monitor_is_asked_while_it_is_fed():
    monitor, counts, failures = Monitor("m", "1", "paper", reference()), [], []
    batches = [seen(prompts(place, 10)) for place in range(5)]
    done = threading.Event()

    def ask():
        while not done.is_set():
            try:
                found = monitor.state(100)
                counts.append(0 if found is None else found.prompt_count)
            except Exception as error:
                failures.append(error)

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    for place in range(200):
        monitor.observe(batches[place % 5])
    done.set()
    for thread in asking:
        thread.join()

    assert failures == []
    assert set(counts) <= {0, 25, 50, 75, 100}
    assert monitor.state().prompt_count == BLOCKS_MAX * BLOCK


def test_a_monitor_without_a_reference_has_no_state():
    assert Monitor("m", "1", "paper").state() is None
