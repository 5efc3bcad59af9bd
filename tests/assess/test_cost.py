"""What predictions cost: processor time of the model alone, and memory of a server of its own."""

import csv
import math
import resource
import time
from dataclasses import replace

import numpy as np
import pytest

from service.assess.cost import LOOP_PROMPTS, cost, microseconds, server_mebibytes
from service.assess.material import prepare
from service.history_reader import Roles, read_history

EXAMPLES = 16


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("cost") / "sales.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["shop", "temp", "sold"])
        for shop in range(12):
            for temp in rng.normal(20, 5, 40):
                writer.writerow([shop, round(temp, 3), round(shop + 2 * temp + rng.normal(), 3)])
    found = read_history(path, Roles(group="shop", target="sold"))
    return prepare(found, 0, lambda stage, share: None)


class Slow:
    """A model whose every answer takes so much processor time, or sleeps."""

    def __init__(self, seconds, sleep=0.0):
        self._seconds, self._sleep, self.asked = seconds, sleep, []

    def answer(self, block):
        begin = time.thread_time()
        time.sleep(self._sleep)
        while time.thread_time() - begin < self._seconds:
            pass
        self.asked.append((len(block.context.x), block.example_count, block.queries.shape[1]))


@pytest.mark.slow
def test_the_time_is_that_of_the_model_for_one_prompt_of_one_query(material):
    model = Slow(50e-6)

    taken = microseconds(replace(material, model=model), EXAMPLES)

    assert 50.0 <= taken < 75.0
    assert set(model.asked) == {(1, EXAMPLES, 1)}
    assert len(model.asked) >= LOOP_PROMPTS


@pytest.mark.slow
def test_waiting_is_no_processor_time(material):
    few = replace(material, model=Slow(0.0, sleep=1e-4))

    assert microseconds(few, EXAMPLES) < 60.0  # a sleep of 100 and what the system takes for it


@pytest.mark.slow
def test_a_million_predictions_are_counted_in_hours(material):
    found = cost(material, EXAMPLES, 1.5)

    assert found.microseconds > 1.0
    assert found.cpu_hours_a_million == pytest.approx(found.microseconds / 3600.0)
    assert found.learning_seconds == 1.5
    assert found.example_count == EXAMPLES


@pytest.mark.slow
def test_memory_is_that_of_a_server_and_not_of_who_measures_it():
    hoard = np.ones(50_000_000)  # 400 MB

    found = server_mebibytes()

    assert hoard.sum() == 50_000_000
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert 40.0 < found < 200.0 < ours


def test_where_no_prompt_can_be_drawn_the_time_is_not_known(material):
    assert math.isnan(microseconds(material, 0))
    assert math.isnan(microseconds(material, 4096))
