"""The pool of calls: everything runs once, every end is counted, no failure ends a thread."""

import logging
import threading

import pytest

from service.fair_pool import FairPool
from tests.service.porting import wait_for


@pytest.fixture
def pool():
    one = FairPool(4, "test-pool")
    yield one
    one.shutdown()


def test_every_call_runs_once_and_nobody_is_told_of_its_end(pool):
    ran = []
    told = [pool.submit(ran.append, number) for number in range(5000)]
    wait_for(lambda: len(ran) == 5000 and pool.pending == 0)

    assert sorted(ran) == list(range(5000))
    assert set(told) == {None}


def test_a_failure_is_logged_and_the_thread_goes_on(pool, caplog):
    with caplog.at_level(logging.ERROR, "sonoba"):
        for _ in range(8):
            pool.submit(lambda: 1 / 0)
        wait_for(lambda: len(caplog.records) == 8 and pool.pending == 0)
        ran = threading.Event()
        pool.submit(ran.set)

        assert ran.wait(10)
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * 8


def test_shutting_down_ends_the_threads_after_the_calls_before():
    pool = FairPool(2, "ending-pool")
    ran = []
    for number in range(100):
        pool.submit(ran.append, number)
    pool.shutdown()
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("ending-pool")])

    assert sorted(ran) == list(range(100))
