"""A count that many threads raise loses nothing, whoever reads meanwhile."""

import threading

from monitoring.ticks import Ticks


def test_every_tick_of_many_threads_is_taken_once():
    ticks, taken, told = Ticks(), [], []
    ending = threading.Event()

    def tick():
        count = 0
        while not ending.is_set():
            ticks.tick()
            count += 1
        told.append(count)

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    while sum(taken) < 1_200_000 or len(taken) < 1000:
        taken.append(ticks.take())
    ending.set()
    for thread in threads:
        thread.join()
    taken.append(ticks.take())

    assert sum(taken) == sum(told) >= 1_200_000
    assert len(taken) > 1
