"""The reservoir by itself: whose prompts are kept, which ones go first, and when all are gone."""

import threading
import time
import weakref
from collections import Counter

import numpy as np
import pytest

from model.answer import Mode
from model.checkpoint import FOUNDATION_FILE, load
from model.moments import Sums
from model.prompt import Block, Examples
from service.kept import SPAN_SECONDS, Bounds, Kept, fitting
from service.reservoir import Reservoir, reservoir_of
from service.settings import Settings

FOUNDATION = load(FOUNDATION_FILE)
SHOP, BANK = "shop", "bank"
BOTH = frozenset({SHOP, BANK})


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def block_of(seed, B=1, M=8, d=2, Q=1):
    rng = np.random.default_rng(seed)
    return Block(
        Examples(rng.normal(size=(B, M, d)), rng.normal(size=(B, M))), rng.normal(size=(B, Q, d))
    )


def offer(reservoir, block, tenant=SHOP):
    answer = FOUNDATION.model.answer(block)
    reservoir.offer(FOUNDATION, block, answer, tenant)
    return answer


def kept(reservoir, count=2000, age=0.0):
    return reservoir.newest("foundation", count, age)


def test_prompts_come_back_as_they_were_answered_the_newest_first(clock):
    reservoir = Reservoir(Bounds(BOTH), clock)
    blocks = [block_of(seed, M=8 + seed) for seed in range(5)]
    for block in blocks:
        offer(reservoir, block)
        clock.now += 1.0

    found = kept(reservoir, 3)

    for one, block in zip(found, reversed(blocks), strict=False):
        np.testing.assert_array_equal(one.x, block.context.x[0])
        np.testing.assert_array_equal(one.y, block.context.y[0])
        np.testing.assert_array_equal(one.queries, block.queries[0])
        assert (one.tenant, one.model, one.model_version) == (
            SHOP,
            "foundation",
            FOUNDATION.version,
        )
    assert [reservoir.age_seconds(one) for one in found] == [1.0, 2.0, 3.0]
    assert len(kept(reservoir, age=2.5)) == 2
    assert reservoir.newest("another", 10) == []


def test_only_who_opted_in_is_kept(clock):
    reservoir = Reservoir(Bounds(frozenset({SHOP})), clock)
    for seed, tenant in enumerate((SHOP, BANK, "anonymous", "*", "")):
        offer(reservoir, block_of(seed), tenant)

    assert [one.tenant for one in kept(reservoir)] == [SHOP]


def test_a_star_is_everybody(clock):
    reservoir = Reservoir(Bounds(frozenset({"*"})), clock)
    for seed, tenant in enumerate((SHOP, BANK, "anonymous")):
        offer(reservoir, block_of(seed), tenant)

    assert {one.tenant for one in kept(reservoir)} == {SHOP, BANK, "anonymous"}


def test_no_tenant_means_no_reservoir():
    assert reservoir_of(Settings()) is None
    assert reservoir_of(Settings(reservoir_tenants=SHOP)) is not None


def test_sums_are_never_kept(clock):
    reservoir = Reservoir(Bounds(BOTH), clock)
    x, y = block_of(0).context
    moments = Sums.from_rows(x[0], y[0], np.zeros(2), 0.0).centred()

    answer = offer(reservoir, Block(moments, block_of(0).queries))

    assert answer.modes[0] == Mode.FOUNDATION
    assert kept(reservoir) == []


def test_of_a_batch_the_prompts_that_the_model_itself_answered_are_kept(clock):
    reservoir = Reservoir(Bounds(BOTH), clock)
    block = block_of(0, B=5)
    block.context.x[1], block.context.y[1] = 3.0, 4.0  # constant: only a mean answers
    block.queries[1] = 3.0
    block.context.x[3] = np.nan

    answer = offer(reservoir, block)

    assert [mode == Mode.FOUNDATION for mode in answer.modes] == [True, False, True, False, True]
    found = {one.x.tobytes() for one in kept(reservoir)}
    assert found == {block.context.x[row].tobytes() for row in (0, 2, 4)}


def test_a_prompt_that_comes_again_is_kept_once(clock):
    reservoir = Reservoir(Bounds(BOTH, repeat_seconds=60.0), clock)
    for tenant in (SHOP, SHOP, BANK):
        offer(reservoir, block_of(0), tenant)
    assert len(kept(reservoir)) == 2

    clock.now += 61.0
    offer(reservoir, block_of(0))
    assert len(kept(reservoir)) == 3

    copying = Reservoir(Bounds(BOTH, repeat_seconds=0.0), clock)
    for _ in range(3):
        offer(copying, block_of(0))
    assert len(kept(copying)) == 3


def test_no_view_keeps_a_message_alive(clock):
    reservoir = Reservoir(Bounds(BOTH), clock)
    message = np.zeros(2**20)  # 8 MiB
    message[:16] = np.random.default_rng(0).normal(size=16)
    x = message[:16].reshape(1, 8, 2)
    block = Block(Examples(x, x[:, :, 0] * 2), x[:, :1])
    offer(reservoir, block)
    gone = weakref.ref(message)
    del message, x, block

    assert len(kept(reservoir)) == 1
    assert gone() is None


def test_what_waits_is_bounded_too(clock):
    reservoir = Reservoir(Bounds(BOTH), clock)
    for seed in range(40):
        message = np.zeros(2**17)  # 1 MiB, held twice: by the examples and by the query
        message[:16] = np.random.default_rng(seed).normal(size=16)
        x = message[:16].reshape(1, 8, 2)
        offer(reservoir, Block(Examples(x, x[:, :, 0].copy()), x[:, :1]))

    assert len(kept(reservoir)) == 8  # of 16 MiB

    offer(reservoir, block_of(100))
    assert len(kept(reservoir)) == 9  # there is room again


def test_a_huge_prompt_is_not_kept(clock):
    reservoir = Reservoir(Bounds(BOTH), clock)

    offer(reservoir, block_of(0, M=2**13, d=64))

    assert kept(reservoir) == []


def test_deletion_takes_all_of_a_tenant_at_once(clock):
    reservoir = Reservoir(Bounds(BOTH), clock)
    for seed in range(6):
        offer(reservoir, block_of(seed), SHOP if seed % 3 else BANK)
        if seed == 3:
            reservoir.look()  # what comes after still waits when it is deleted

    assert reservoir.delete(SHOP) == 4
    assert [one.tenant for one in kept(reservoir)] == [BANK, BANK]
    assert reservoir.delete(SHOP) == 0


@pytest.mark.slow
def test_however_busy_a_server_is_its_prompts_reach_back_minutes(clock):
    """Alone a tenant would reach back five; of two, each has half of the places."""
    reservoir = Reservoir(Bounds(BOTH, prompt_count=50, repeat_seconds=0.0), clock)
    block = block_of(0, B=20)
    for _ in range(600):
        offer(reservoir, block)
        offer(reservoir, block_of(0), BANK)
        clock.now += 1.0
        reservoir.look()

    for tenant in (SHOP, BANK):
        ages = [reservoir.age_seconds(one) for one in kept(reservoir) if one.tenant == tenant]
        assert len(ages) == 25  # half of the places each, though one sends twenty times as many
        assert ages == sorted(ages)
        assert 0.45 * SPAN_SECONDS < ages[-1] < 0.55 * SPAN_SECONDS
        assert max(np.diff(ages)) < 10.0


@pytest.mark.slow
def test_what_comes_in_is_drawn_fairly_from_what_came(clock):
    reservoir = Reservoir(Bounds(BOTH, prompt_count=300, repeat_seconds=0.0), clock)
    block = block_of(0, B=100)
    places = {row.tobytes(): place for place, row in enumerate(block.context.x)}
    counts = np.zeros(100)
    for _ in range(1000):
        offer(reservoir, block)
        clock.now += 1.0
        for one in kept(reservoir, age=1.5):
            counts[places[one.x.tobytes()]] += 1

    assert counts.sum() > 1000
    expected = counts.sum() / 100
    assert ((counts - expected) ** 2).sum() / expected < 160  # chi-square, 99 degrees: p < 1e-4


def test_what_is_too_old_goes(clock):
    reservoir = Reservoir(Bounds(BOTH, age_seconds=10.0), clock)
    offer(reservoir, block_of(0))
    clock.now += 6.0
    offer(reservoir, block_of(1))
    clock.now += 5.0

    assert len(kept(reservoir)) == 1
    clock.now += 5.0
    assert kept(reservoir) == []
    assert len(reservoir) == 0


@pytest.mark.slow
def test_what_is_too_old_goes_without_anybody_looking():
    reservoir = Reservoir(Bounds(BOTH, age_seconds=0.5))
    reservoir.start()
    try:
        offer(reservoir, block_of(0))
        reservoir.look()
        assert len(reservoir) == 1
        ends = time.monotonic() + 5.0
        while len(reservoir) and time.monotonic() < ends:
            time.sleep(0.05)
        assert len(reservoir) == 0
    finally:
        reservoir.stop()


def test_nothing_is_left_after_a_stop(clock):
    reservoir = Reservoir(Bounds(BOTH), clock)
    offer(reservoir, block_of(0))
    reservoir.look()

    reservoir.stop()

    assert len(reservoir) == 0


def fake(tenant, at, model="foundation", size=4):
    return Kept(tenant, model, "v1", np.zeros((size, 1)), np.zeros(size), np.zeros((1, 1)), at)


def test_alone_a_tenant_may_have_every_place():
    prompts = [fake(SHOP, at) for at in range(30)]

    found = fitting(prompts, Bounds(BOTH, prompt_count=20, tenant_share=0.5), 30.0)

    assert found == prompts[10:]


def test_with_another_the_oldest_of_the_greedy_one_go():
    prompts = [*(fake(SHOP, at) for at in range(19)), fake(BANK, 19.0)]

    found = fitting(prompts, Bounds(BOTH, prompt_count=20, tenant_share=0.5), 30.0)

    assert found == prompts[9:]


def test_bytes_are_shared_as_places_are():
    size = fake(SHOP, 0.0).byte_count
    prompts = [*(fake(SHOP, at) for at in range(9)), fake(BANK, 9.0)]

    found = fitting(prompts, Bounds(BOTH, tenant_share=0.5, byte_count=10 * size), 30.0)

    assert found == prompts[4:]


def test_a_quiet_model_keeps_its_prompts_beside_a_busy_one():
    prompts = [
        *(fake(SHOP, at, "quiet") for at in range(4)),
        *(fake(SHOP, at) for at in range(4, 40)),
    ]

    found = fitting(prompts, Bounds(BOTH, prompt_count=10), 50.0)

    assert Counter(one.model for one in found) == {"quiet": 4, "foundation": 6}


@pytest.mark.parametrize("seed", range(20))
def test_places_are_given_as_by_throwing_out_one_by_one(seed):
    """The rule as an operator would say it: while there are too many, who has most loses one."""
    rng = np.random.default_rng(seed)
    names = ["a", "b", "c"][: rng.integers(1, 4)]
    chances = rng.dirichlet(np.ones(len(names)))
    prompts = [fake(str(rng.choice(names, p=chances)), at) for at in range(rng.integers(1, 60))]
    bounds = Bounds(frozenset("*"), prompt_count=20, tenant_share=0.6)

    found = fitting(prompts, bounds, 100.0)

    naive = list(prompts)

    def drop_oldest(tenant):
        naive.remove(next(one for one in naive if one.tenant == tenant))

    if len({one.tenant for one in naive}) > 1:
        for tenant in names:
            while sum(one.tenant == tenant for one in naive) > 12:
                drop_oldest(tenant)
    while len(naive) > 20:
        counts = Counter(one.tenant for one in naive)
        most = max(counts.values())
        oldest = next(one for one in naive if counts[one.tenant] == most)
        drop_oldest(oldest.tenant)
    counts, expected = Counter(o.tenant for o in found), Counter(o.tenant for o in naive)
    assert all(abs(counts[name] - expected[name]) <= 1 for name in names)  # ties
    assert len(found) == len(naive)
    for name in names:
        own = [one for one in prompts if one.tenant == name]
        assert [o for o in found if o.tenant == name] == own[len(own) - counts[name] :]


def test_offers_reads_and_deletions_may_come_at_once():
    reservoir = Reservoir(Bounds(BOTH, prompt_count=50))
    reservoir.start()
    blocks = [block_of(seed) for seed in range(300)]
    answer = FOUNDATION.model.answer(blocks[0])
    failures = []

    def run(work):
        try:
            for block in blocks:
                work(block)
        except Exception as error:
            failures.append(error)

    works = [
        *(lambda block: reservoir.offer(FOUNDATION, block, answer, SHOP),) * 3,
        lambda block: kept(reservoir),
        lambda block: reservoir.delete(SHOP),
    ]
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reservoir.delete(SHOP)

    assert failures == []
    assert kept(reservoir) == []
    reservoir.stop()
