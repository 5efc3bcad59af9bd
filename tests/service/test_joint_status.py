"""The status of all workers: the worst of what they say, and what they show together."""

import json
from dataclasses import replace
from http.client import HTTPConnection

import grpc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from model.checkpoint import FOUNDATION_FILE, load
from monitoring.gate import Inflated, Window, lower_bound
from monitoring.snapshot import Level
from service.joint_levels import joint_level
from service.joint_status import JointStatus
from service.metrics_port import HttpPort, metrics_page
from service.standing import Standing
from service.status import Status
from service.tally import MethodTally
from service.worker_answers import ask_over_http
from service.worker_line import Started
from tests.service.snapshots import WARMING, Clock, harmed, levels, measured
from tests.service.test_status_page import KEYS

KEEP_SECONDS = 1800.0
NOT_YET = replace(WARMING, prompt_count=0)


class Worker:
    """A status whose snapshots are set by hand, behind a real port."""

    def __init__(self, number, artifacts, clock):
        self.snapshots, self.clock = [NOT_YET], clock
        self.tally = MethodTally("unary", "sonoba.v1.Predictor", "Predict")
        self.status = Status(lambda: self.snapshots, [self.tally], artifacts, clock=clock)
        self.port = HttpPort("127.0.0.1", 0, metrics_page(CollectorRegistry(), self.status))
        started = Started(50051, self.port.number, 0, "the model x")
        self.standing = Standing(number).ready(started)

    def serve(self, count):
        for _ in range(count):
            self.tally.end(grpc.StatusCode.OK, 0.002, 1)


class Several:
    def __init__(self, artifacts):
        self.clock, self.artifacts = Clock(), artifacts
        self.workers = [Worker(number, artifacts, self.clock) for number in range(2)]
        self.status = JointStatus(
            lambda: [one.standing for one in self.workers],
            ask_over_http("127.0.0.1"),
            KEEP_SECONDS,
            self.clock,
        )

    def shows(self, *snapshots, after_seconds=0.0):
        """Return the report after each worker was given a snapshot."""
        self.clock.now += after_seconds
        for worker, snapshot in zip(self.workers, snapshots, strict=True):
            worker.snapshots = [snapshot]
        return self.status.report()

    def kill(self, number):
        """Close a worker's port; its standing says so."""
        worker = self.workers[number]
        worker.port.close()
        worker.standing = worker.standing.ended("killed by SIGKILL")

    def restart(self, number):
        old = self.workers[number]
        new = Worker(number, self.artifacts, self.clock)
        new.standing = replace(new.standing, restart_count=old.standing.restart_count + 1)
        self.workers[number] = new

    def close(self):
        self.status.stop()
        for worker in self.workers:
            if worker.standing.is_ready:
                worker.port.close()


@pytest.fixture
def several(paper_file):
    found = Several(
        [replace(load(paper_file), name="weather", version="v1"), load(FOUNDATION_FILE)]
    )
    yield found
    found.close()


QUIET, WORSE, HARMED = measured(1.0), measured(1.7), harmed(3.4)


@pytest.mark.parametrize(
    ("snapshots", "answer"),
    [
        ((NOT_YET, NOT_YET), "NOT_MEASURED"),
        ((NOT_YET, QUIET), "YES"),
        ((QUIET, QUIET), "YES"),
        ((WORSE, QUIET), "WATCH"),
        ((QUIET, HARMED), "NO"),
        ((HARMED, NOT_YET), "NO"),
    ],
)
def test_the_answer_is_that_of_the_worst_worker(several, snapshots, answer):
    report = several.shows(*snapshots)

    assert report["answer"] == answer
    assert report.keys() == KEYS | {"workers"}
    assert report["replicas"] == 2


def test_what_all_windows_show_together_counts_where_none_is_sure_alone(several):
    """Mean 2.05 of 100 prompts each: the bound is 1.98 for one worker and 2.0005 for both."""
    level = Level(gate=1.98, clipped_mean=2.05, mean=2.2, prompt_count=100)
    unsure = replace(WORSE, levels={"h": level})

    report = several.shows(unsure, unsure)

    assert [one["answer"] for one in report["workers"]] == ["WATCH", "WATCH"]
    assert report["answer"] == "NO"
    assert report["reason"]["code"] == "HARM_CRITICAL"
    assert report["reason"]["prompts"] == 200
    assert report["score"] == pytest.approx(1.0, abs=0.01)


def test_windows_against_different_references_are_not_added(several):
    level = Level(gate=1.98, clipped_mean=2.05, mean=2.2, prompt_count=100)
    unsure = replace(WORSE, levels={"h": level})

    report = several.shows(unsure, replace(unsure, reference="ffffffff"))

    assert report["answer"] == "WATCH"


def test_added_windows_are_the_window_over_all_prompts():
    law = np.random.default_rng(0)
    found, all_u = [], []
    for shape in (1.0, 2.0, 3.0):
        u = law.gamma(shape, size=(150, 2))
        window = Window(1, 150)
        window.add(Inflated(u, u, np.zeros((150, 0))), 20)
        level = window.levels()["h"]
        found.append(
            {"mean": level.clipped_mean, "lower": level.gate, "prompts": level.prompt_count}
        )
        all_u.append(u[:, 0])
    u = np.concatenate(all_u)  # (450,)

    joint = joint_level(found)

    assert joint.prompt_count == len(u)
    assert joint.gate == pytest.approx(lower_bound(u.mean(), (u * u).mean(), len(u)), rel=1e-9)


def test_what_a_killed_worker_knew_is_kept_until_its_successor_has_measured(several):
    first = several.shows(HARMED, QUIET)
    several.kill(0)
    gone = several.status.report()
    several.restart(0)
    again = several.shows(NOT_YET, QUIET, after_seconds=5)
    after = several.shows(QUIET, QUIET, after_seconds=60)

    assert [one["answer"] for one in (first, gone, again, after)] == ["NO", "NO", "NO", "YES"]
    assert again["workers"][0]["is_kept"]
    assert again["score"] == first["score"]
    assert again["since"] == first["since"]
    assert (gone["replicas"], again["replicas"]) == (1, 2)
    assert not after["workers"][0]["is_kept"]


def test_what_a_killed_worker_knew_does_not_outlast_an_alarm(several):
    several.shows(HARMED, QUIET)
    several.kill(0)
    several.restart(0)

    kept = several.shows(NOT_YET, QUIET, after_seconds=KEEP_SECONDS - 1)
    gone = several.shows(NOT_YET, QUIET, after_seconds=2)

    assert [one["answer"] for one in (kept, gone)] == ["NO", "YES"]


def test_what_a_killed_worker_knew_of_another_version_is_over(several):
    several.shows(HARMED, QUIET)
    several.kill(0)
    several.artifacts[0] = replace(several.artifacts[0], version="v2")
    several.restart(0)

    assert several.shows(NOT_YET, QUIET)["answer"] == "YES"


def test_a_worker_that_turns_quiet_is_believed(several):
    """Its own memory of alarms is enough; nothing is kept of a process that lives."""
    several.shows(HARMED, QUIET)
    several.clock.now += 7 * 3600  # old news: the worker itself says that nothing is measured

    report = several.shows(NOT_YET, QUIET)

    assert not report["workers"][0]["is_kept"]


def test_calls_add_up_and_errors_are_the_highest(several):
    for worker, snapshot in zip(several.workers, (WORSE, QUIET), strict=True):
        worker.snapshots = [snapshot]
    for _ in range(3):
        for worker, count in zip(several.workers, (30, 60), strict=True):
            worker.serve(count)
            worker.status.trend.add()
        several.clock.now += 30

    report = several.status.report()

    assert len(report["time"]) == 4  # three steps and now
    assert report["series"]["calls_per_second"][2] == pytest.approx(3.0)
    assert report["series"]["score"][1:] == [0.85] * 3
    assert report["models"][0]["prompts"] == WORSE.prompt_count + QUIET.prompt_count


def test_workers_whose_worst_model_differs_are_asked_about_one(several):
    """Each worker alone would show another model in detail."""
    foundation = replace(QUIET, model="foundation", version="x", reference="")
    several.workers[0].snapshots = [QUIET, replace(foundation, levels=levels(1.7))]
    several.workers[1].snapshots = [WORSE, foundation]

    report = several.status.report("foundation")

    assert report["model"] == "foundation"
    assert report["score"] == pytest.approx(0.85)


def test_where_no_worker_answers_nothing_is_measured(several):
    for number in range(2):
        several.kill(number)

    report = several.status.report()

    assert report["answer"] == "NOT_MEASURED"
    assert report["reason"]["code"] == "NO_WORKER"
    assert report["replicas"] == 0
    assert report.keys() == KEYS | {"workers"}


def test_a_model_that_nobody_serves_is_not_found(several):
    page = metrics_page(CollectorRegistry(), several.status)
    port = HttpPort("127.0.0.1", 0, page)
    codes = []
    for name in ("weather", "unknown"):
        connection = HTTPConnection("127.0.0.1", port.number, timeout=10)
        connection.request("GET", f"/status.json?model={name}")
        reply = connection.getresponse()
        json.loads(reply.read())
        codes.append(reply.status)
        connection.close()
    port.close()

    assert codes == [200, 404]
