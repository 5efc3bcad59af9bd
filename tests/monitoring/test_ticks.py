"""A count that many threads raise loses nothing, whoever reads meanwhile."""

import threading

from monitoring.ticks import Ticks


def test_every_tick_of_many_threads_is_taken_once():
    ticks, taken = Ticks(), []

    def tick():
        for _ in range(300_000):
            ticks.tick()

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken.append(ticks.take())
    taken.append(ticks.take())

    assert sum(taken) == 1_200_000
    assert len(taken) > 1
