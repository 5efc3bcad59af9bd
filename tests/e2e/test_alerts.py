"""From a caller's covariates to the page: real servers, Prometheus and Alertmanager.

Seven models of one profile are called with replays of weeks that it has not learnt from; then three
callers' covariates move in ways that harm, and four callers do what must not wake anybody.
"""

import json
import re
import shutil
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from model.checkpoint import FOUNDATION_FILE, load, load_stored
from service.monitors import reference_of
from service.replay import read_hours
from tests.deploy.test_dashboard_live import CHOSEN, Api, filled, free_port, queries
from tests.e2e.alerting import Webhook, alerting, ask
from tests.e2e.bikes import profile_store
from tests.e2e.conftest import spawn
from tests.e2e.replay import Caller, unchanged

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HARMFUL = ("scale", "rotation", "correlation")
HARMLESS = ("task", "mean", "traffic", "absurd")
PAGE_SECONDS = 30.0  # from the shift to the webhook
RESOLVE_SECONDS = 90.0
PANEL_SECONDS = 30.0
WARM_SECONDS = 90.0
CRITICAL = "SonobaErrorInflationCritical"
EMPTY = {  # panels with a query of what is not here: a re-evaluator, and a version that came
    *("Model swaps", "Re-evaluations", "Model swaps and re-evaluations, by outcome"),
    *("What was decided", "Model last checked, time ago", "What a repair would buy, limit 1.25"),
}
ELSEWHERE = ("sonoba_workers", "sonoba_publish_")  # of a supervisor, and in a cluster
GATE = "model:sonoba_drift_gate:max"


@pytest.fixture(scope="module")
def hours():
    return read_hours()


@pytest.fixture(scope="module")
def store(tmp_path_factory, run_folder):
    """Return a store of seven names for one profile of the earliest weeks."""
    return profile_store(run_folder, tmp_path_factory.mktemp("profiles"), HARMFUL + HARMLESS)


@pytest.fixture(scope="module")
def reference(store):
    return reference_of(load_stored(store, "scale", fallback=load(FOUNDATION_FILE).model))


class Replica:
    """One server process on fixed ports, which can be ended and started again."""

    def __init__(self, store):
        self.store, self.grpc_port, self.metrics_port = store, free_port(), free_port()
        self.child = None

    def start(self):
        ports = {"SONOBA_GRPC_PORT": self.grpc_port, "SONOBA_METRICS_PORT": self.metrics_port}
        environ = {name: str(port) for name, port in ports.items()}
        self.child = spawn("--store", str(self.store), "--default-model", "scale", **environ)
        for line in self.child.stdout:
            if " predict " in line:
                return self
        raise AssertionError(self.child.stderr.read())

    def kill(self):
        self.child.kill()
        self.child.communicate()


@pytest.fixture(scope="module")
def replicas(store):
    both = [Replica(store).start() for _ in range(2)]
    yield both
    for one in both:
        one.kill()


def shifts(normal):
    """Return what the callers do to features, by model: means stay, scales or relations do not."""
    mean, sd = normal.mean, normal.deviation  # (d,), (d,)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(len(mean), len(mean))))[0]  # (d, d)
    mirrored = np.ones(len(mean))
    mirrored[5] = -1.0  # the sine of the hour, symmetric about 0: its own law stays
    return {
        "scale": lambda x: mean + 2.0 * (x - mean),
        "rotation": lambda x: mean + ((x - mean) / sd @ turn) * sd,
        "correlation": lambda x: x * mirrored,
        "mean": lambda x: x + 0.25 * sd * (np.arange(len(mean)) == 0),
    }


def until(found, seconds, what):
    ends = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < ends, what
        time.sleep(0.2)


def empty_panels(api):
    """Return the titles of panels that show nothing."""
    asked = [(title, filled(query, CHOSEN["all"])) for title, query in queries()]
    here = [one for one in asked if not any(name in one[1] for name in ELSEWHERE)]
    return {title for title, query in here if not api.numbers(query)}


@dataclass
class Story:
    """What happened, in the order it did."""

    webhook: Webhook
    callers: dict[str, Caller]
    replicas: list[Replica]
    quiet: list = field(default_factory=list)  # what was posted before anything happened
    shifted: float = 0.0
    recovered: float = 0.0
    gates: dict = field(default_factory=dict)
    firing: list = field(default_factory=list)  # after the restart
    status: dict = field(default_factory=dict)
    empty: set = field(default_factory=set)  # panels that showed nothing

    def warm_up(self, prometheus):
        for caller in self.callers.values():
            caller.start()
        until(lambda: len(ask(prometheus, GATE)) == len(self.callers), WARM_SECONDS, "not warm")
        self.quiet = list(self.webhook.posted)

    def shift(self, prometheus, normal):
        self.shifted = time.monotonic()
        for name, change in shifts(normal).items():
            self.callers[name].change = change
        noise = np.random.default_rng(0)
        self.callers["task"].label_change = lambda y: y + 0.4 * noise.normal()
        self.callers["traffic"].rate *= 10
        self.callers["absurd"].absurd()
        until(lambda: self.all_told("firing", self.shifted), 2 * PAGE_SECONDS, "not paged")
        self.gates = {labels["model"]: value for labels, value in ask(prometheus, GATE)}

    def restart_one(self, prometheus):
        self.replicas[1].kill()
        self.replicas[1].start()
        time.sleep(10.0)
        self.firing = ask(prometheus, f'ALERTS{{alertname="{CRITICAL}",alertstate="firing"}}')
        self.status = status_of(self.replicas[0])
        ends = time.monotonic() + PANEL_SECONDS  # some want so many calls in a window
        while (empty := empty_panels(Api(prometheus))) != EMPTY and time.monotonic() < ends:
            time.sleep(0.5)
        self.empty = empty

    def recover(self):
        self.recovered = time.monotonic()
        for name in HARMFUL:
            self.callers[name].change = unchanged
        until(lambda: self.all_told("resolved", self.recovered), RESOLVE_SECONDS, "not resolved")

    def all_told(self, status, after):
        return all(self.webhook.first(name, status, after, CRITICAL) for name in HARMFUL)


@pytest.fixture(scope="module")
def story(tmp_path_factory, hours, reference, replicas):
    """Play everything once: quiet, a shift, a restart in its middle, recovery."""
    if not shutil.which("prometheus") or not shutil.which("prometheus-alertmanager"):
        pytest.skip("prometheus or prometheus-alertmanager is not installed")
    addresses = [f"127.0.0.1:{one.grpc_port}" for one in replicas]
    names = HARMFUL + HARMLESS
    callers = {name: Caller(hours, name, addresses, seed) for seed, name in enumerate(names)}
    told = Story(Webhook(), callers, replicas)
    targets = [f"127.0.0.1:{one.metrics_port}" for one in replicas]
    with alerting(tmp_path_factory.mktemp("alerting"), targets, told.webhook.url) as prometheus:
        told.warm_up(prometheus)
        told.shift(prometheus, reference.normal)
        told.restart_one(prometheus)
        told.recover()
        for caller in callers.values():
            caller.stop()
    told.webhook.close()
    return told


def status_of(replica):
    with urllib.request.urlopen(f"http://127.0.0.1:{replica.metrics_port}/status.json") as reply:
        return json.load(reply)


def test_nobody_is_called_before_anything_happens(story):
    assert story.quiet == []


@pytest.mark.parametrize("name", HARMFUL)
def test_a_harmful_shift_reaches_the_webhook_in_time(story, name):
    told = story.webhook.first(name, "firing", story.shifted, CRITICAL)
    print(f"{name}: {told - story.shifted:.1f} s, gate {story.gates[name]:.2f}")

    assert told - story.shifted <= PAGE_SECONDS


@pytest.mark.parametrize("name", HARMLESS)
def test_what_does_no_harm_wakes_nobody(story, name):
    told = [a["labels"] for _, a in story.webhook.posted if a["labels"].get("model") == name]

    assert story.callers[name].answered > 500
    assert told == []


def test_a_restarted_replica_does_not_end_the_alarm(story):
    assert {labels["model"] for labels, _ in story.firing} == set(HARMFUL)


@pytest.mark.parametrize("name", HARMFUL)
def test_the_alarm_ends_with_the_shift(story, name):
    told = story.webhook.first(name, "resolved", story.recovered, CRITICAL)
    print(f"{name}: resolved after {told - story.recovered:.1f} s")

    assert told - story.recovered <= RESOLVE_SECONDS


def test_the_page_of_the_process_said_no(story):
    assert story.status["answer"] == "NO"


def test_every_panel_of_the_dashboard_shows_what_the_service_measures(story):
    assert story.empty == EMPTY


def test_every_alert_links_a_runbook_that_is_there(story):
    for _, alert in story.webhook.posted:
        assert re.search(
            rf"{alert['labels']['alertname']}\.md$", alert["annotations"]["runbook_url"]
        )
