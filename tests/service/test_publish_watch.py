"""When a re-evaluator publishes, what it says and counts of it, and what stops its start."""

import logging
import os
import time

import pytest

from service import publish_watch
from service.publish_metrics import PublishCollector
from service.publish_watch import PublishWatch
from service.settings import Settings
from service.start_error import StartError
from tests.service.cluster import INDEX, NAMES, SLOTS, Gone
from tests.service.publishing import add, arrived, cluster, files, publisher  # noqa: F401

# ruff: noqa: F811
pytestmark = pytest.mark.slow


@pytest.fixture
def watching(cluster, store):
    made = []

    def start(**changes):
        parts = {"is_leading": lambda: True, "look_seconds": 0.02, "every_seconds": 60.0}
        made.append(PublishWatch(store, publisher(cluster, store), **parts | changes))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def until(found, seconds=10.0):
    ends = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < ends, "it never came true"
        time.sleep(0.01)


def test_a_change_is_published_at_once_and_what_is_unchanged_is_not_asked_about(
    cluster, store, watching
):
    asked = []
    cluster.before = lambda method, name: asked.append(method)
    one = watching()
    one.start()
    until(lambda: one.tally.last_success_seconds)
    count = len(asked)
    time.sleep(0.3)
    assert len(asked) == count
    version = add(store, 300)
    store.promote("bikes", version)

    until(lambda: version.encode() in cluster.files(INDEX)["bikes.current"])
    assert sum(one.tally.failures.values()) == 0


def test_what_somebody_took_away_comes_back_with_the_next_look(cluster, store, watching, tmp_path):
    one = watching(every_seconds=0.1)
    one.start()
    until(lambda: one.tally.last_success_seconds)
    for name in NAMES:
        cluster.write(name, {})

    until(lambda: "bikes.current" in cluster.files(INDEX))
    assert files(arrived(cluster, tmp_path / "reader")) == files(store)


def test_a_failure_is_told_once_counted_and_over_when_its_cause_is(
    cluster, store, watching, caplog, monkeypatch
):
    monkeypatch.setattr(publish_watch, "FIRST_WAIT_SECONDS", 0.01)
    caplog.set_level(logging.INFO)
    cluster.tokens = {"the-next-token"}  # kubelet has not written it yet
    one = watching()
    one.start()
    until(lambda: one.tally.failures["denied"] >= 3)
    told = [line for line in caplog.messages if line.startswith("publishing: ")]
    os.replace(_written(cluster.account / "new", "the-next-token\n"), cluster.account / "token")
    goes_on = "publishing goes on: the ConfigMaps hold what the store does"
    until(lambda: goes_on in caplog.messages)

    assert len(told) == 1 and told[0].endswith("servers keep what they have")
    assert one.tally.last_success_seconds > 0


def _written(path, text):
    path.write_text(text)
    return path


def test_who_stands_by_publishes_nothing(cluster, store, watching):
    one = watching(is_leading=lambda: False)
    one.look()

    assert cluster.writes == [] and one.tally.last_success_seconds == 0


def test_metrics_have_every_reason_from_the_start(watching):
    success, failures = PublishCollector(watching().tally).collect()

    assert [sample.value for sample in success.samples] == [0.0]
    assert {sample.labels["reason"]: sample.value for sample in failures.samples} == dict.fromkeys(
        [
            *("conflict", "denied", "missing", "too_large", "unreachable", "refused"),
            *("damaged", "diverged", "full", "bug"),
        ],
        0.0,
    )


def test_a_start_that_cannot_know_what_is_in_force_is_none(cluster, store, watching, monkeypatch):
    monkeypatch.setattr(publish_watch, "START_SECONDS", 0.01)
    tried = []

    def fail(method, name):
        tried.append(name)
        raise Gone

    cluster.before = fail
    with pytest.raises(StartError, match=r"publish_configmaps: 127\.0\.0\.1"):
        watching().restore()
    cluster.before = lambda method, name: None
    cluster.denied = {SLOTS[2]}
    with pytest.raises(StartError, match="sonoba-model-c: GET is answered 403"):
        watching().restore()
    assert tried == [INDEX] * 3


def test_settings_name_what_is_missing(store):
    with pytest.raises(StartError, match="publish_api: expected https://host:port outside"):
        publish_watch.publish_watch(Settings(publish_configmaps=NAMES), store, lambda: True)
    assert publish_watch.publish_watch(Settings(), store, lambda: True) is None


def test_the_address_of_the_api_is_the_one_that_kubelet_tells():
    inside = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    asked = {"SONOBA_PUBLISH_CONFIGMAPS": ",".join(NAMES)}

    assert Settings.from_environ(inside | asked).publish_api == "https://[fd00::1]:6443"
    assert Settings.from_environ(inside).publish_api == ""
    named = asked | {"SONOBA_PUBLISH_API": "https://api.example"}
    assert Settings.from_environ(inside | named).publish_api == "https://api.example"
