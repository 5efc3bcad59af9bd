"""What a supervisor tells over HTTP: who to scrape and who answers."""

import json
from http.client import HTTPConnection

import pytest

from service.discovery import SupervisorPage
from service.metrics_port import HttpPort, metrics_page
from service.standing import Standing
from service.worker_line import Started
from service.worker_metrics import registry_of


class Told:
    """A supervisor's port over standings that are set by hand."""

    def __init__(self, host="127.0.0.1"):
        self.standings = (Standing(0), Standing(1))
        self.is_draining = False
        page = metrics_page(registry_of(lambda: self.standings))
        application = SupervisorPage(page, lambda: self.standings, host, lambda: self.is_draining)
        self.port = HttpPort("127.0.0.1", 0, application)

    def ask(self, path, method="GET", **headers):
        connection = HTTPConnection("127.0.0.1", self.port.number, timeout=10)
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        body = reply.read().decode()
        connection.close()
        return reply, body

    def ready(self, number, metrics_port):
        told = Started(50051, metrics_port, 0, "the model x")
        changed = [one.ready(told) if one.number == number else one for one in self.standings]
        self.standings = tuple(changed)


@pytest.fixture
def start():
    started = []

    def begin(*arguments):
        started.append(Told(*arguments))
        return started[-1]

    yield begin
    for one in started:
        one.port.close()


def test_the_document_is_what_prometheus_reads(start):
    told = start()
    told.ready(0, 9465)
    told.ready(1, 9466)

    reply, body = told.ask("/sd")

    assert reply.status == 200
    assert reply.getheader("Content-Type").startswith("application/json")
    own = f"127.0.0.1:{told.port.number}"
    assert json.loads(body) == [
        {"targets": ["127.0.0.1:9465"], "labels": {"worker": "0"}},
        {"targets": ["127.0.0.1:9466"], "labels": {"worker": "1"}},
        {"targets": [own], "labels": {"job": "sonoba-supervisor"}},
    ]


def test_a_dead_worker_stays_a_target_so_that_it_is_seen_to_be_down(start):
    told = start()
    told.ready(0, 9465)
    before = json.loads(told.ask("/sd")[1])

    told.standings = tuple(one.ended("killed by SIGKILL") for one in told.standings)

    assert json.loads(told.ask("/sd")[1]) == before


def test_who_listens_everywhere_is_named_as_he_was_asked_for(start):
    told = start("0.0.0.0")
    told.ready(0, 9465)

    _, body = told.ask("/sd", Host="node-7.example:9464")

    assert [one["targets"][0].rpartition(":")[0] for one in json.loads(body)] == [
        "node-7.example",
        "node-7.example",
    ]


def test_a_host_that_cannot_be_read_is_not_repeated(start):
    told = start("0.0.0.0")
    told.ready(0, 9465)

    reply, body = told.ask("/sd", Host="[::not-an-address")

    assert reply.status == 200
    assert "not-an-address" not in body


def test_health_follows_whether_anybody_answers_and_is_wanted(start):
    told = start()
    statuses = [told.ask("/healthz")]
    told.ready(1, 9466)
    statuses.append(told.ask("/healthz"))
    told.is_draining = True
    statuses.append(told.ask("/healthz"))

    assert [reply.status for reply, _ in statuses] == [503, 200, 503]
    words = [json.loads(body) for _, body in statuses]
    assert words == [
        {"status": "no worker answers", "workers": 2, "alive": 0},
        {"status": "ok", "workers": 2, "alive": 1},
        {"status": "draining", "workers": 2, "alive": 1},
    ]


def test_restarts_are_counted_by_worker(start):
    told = start()
    told.ready(0, 9465)
    told.standings = (told.standings[0], told.standings[1].restarted(3))

    _, body = told.ask("/metrics")

    assert "sonoba_workers 2.0" in body
    assert "sonoba_workers_alive 1.0" in body
    assert 'sonoba_worker_restarts_total{worker="0"} 0.0' in body
    assert 'sonoba_worker_restarts_total{worker="1"} 3.0' in body


@pytest.mark.parametrize(("path", "method"), [("/sd", "POST"), ("/healthz", "PUT"), ("/x", "GET")])
def test_nothing_else_is_answered(start, path, method):
    assert start().ask(path, method)[0].status in (404, 405)
