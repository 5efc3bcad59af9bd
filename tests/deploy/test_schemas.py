"""Every overlay and component renders, and what it renders is known to Kubernetes 1.29 to 1.37.

Schemas of Kubernetes and models of custom resources; no API server, so nothing is admitted here.
"""

import copy
import os
import re
import shutil
import subprocess
import sys

import pytest

from deploy.checks import render
from deploy.checks.policy import breaches
from deploy.checks.versions import NEEDED, NEWEST, OLDEST, Case, schema_faults
from tests.deploy.rendering import Planted, documents, needs_kubectl, needs_tool

pytestmark = pytest.mark.slow  # seconds, all together
PRODUCTION = render.OVERLAYS / "production"
BASE = render.KUSTOMIZE / "base"
ROOT = render.KUSTOMIZE.parents[1]


def distinct(found):
    """Return documents once each: most overlays share most of them."""
    return list({repr(one): one for one in found}.values())


def with_comments_in(folder, target):
    """Copy an overlay with all that stands commented out in it; return the copy."""
    shutil.copytree(folder, target)
    text = (target / "kustomization.yaml").read_text(encoding="utf-8")
    text = re.sub(r"^  # (?=- |  )", "  ", text, flags=re.MULTILINE)
    text = re.sub(
        r"\.\./[./\w-]+",
        lambda found: os.path.relpath((folder / found[0]).resolve(), target.resolve()),
        text,
    )
    (target / "kustomization.yaml").write_text(text, encoding="utf-8")
    return target


SPEC = "spec"
PLANTED = {
    "a field that no version knows": (
        lambda tree: tree.container().update(readynessProbe={}),
        "Deployment/sonoba: spec.template.spec.containers.0: Additional properties are not allowed",
    ),
    "a number where text is wanted": (
        lambda tree: tree.settings().update(SONOBA_THREADS=4),
        "data.SONOBA_THREADS: 4 is not",
    ),
    "a field that only newer versions know": (
        lambda tree: tree("Service")[SPEC].update(trafficDistribution="PreferClose"),
        "(Kubernetes 1.29)",
    ),
    "a kind that is gone": (
        lambda tree: tree("PodDisruptionBudget").update(apiVersion="policy/v1beta1"),
        "Couldn't find schema for kind PodDisruptionBudget",
    ),
    "a misspelt field of a PodMonitor": (
        lambda tree: tree("PodMonitor")[SPEC]["podMetricsEndpoints"][0].update(scrapeTimout="1s"),
        "PodMonitor/sonoba: spec.podMetricsEndpoints.0.scrapeTimout: no such field",
    ),
    "a wrong type in a PodMonitor": (
        lambda tree: tree("PodMonitor", "sonoba-ree")[SPEC].update(sampleLimit="many"),
        "PodMonitor/sonoba-reevaluator: 1 validation error",
    ),
    "a wrong duration in a PrometheusRule": (
        lambda tree: tree("PrometheusRule")[SPEC]["groups"][0].update(interval="soon"),
        "PrometheusRule/sonoba: 1 validation error",
    ),
    "a misspelt field of an AlertmanagerConfig": (
        lambda tree: tree("AlertmanagerConfig")[SPEC]["route"].update(macthers=[]),
        "AlertmanagerConfig/sonoba: spec.route.macthers: no such field",
    ),
    "a misspelt field of a ScaledObject": (
        lambda tree: tree("ScaledObject")[SPEC].update(coolDown=3),
        "ScaledObject/sonoba: spec.coolDown: no such field",
    ),
    "a port that is none in a GRPCRoute": (
        lambda tree: tree("GRPCRoute")[SPEC]["rules"][0]["backendRefs"][0].update(port=946400),
        "GRPCRoute/sonoba: spec.rules.0.backendRefs.0.port: 946400 is greater",
    ),
    "a misspelt field of a BackendTLSPolicy": (
        lambda tree: tree("BackendTLSPolicy")[SPEC].update(targetRef={}),
        "BackendTLSPolicy/sonoba: spec: Additional properties",
    ),
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Every overlay, every component alone on the base, and production with all its comments."""
    needs_kubectl()
    needs_tool("python")
    alone = {path.name: render.render_with([BASE], [path]) for path in render.components()}
    mine = with_comments_in(PRODUCTION, tmp_path_factory.mktemp("of") / "mine")
    whole = {path.name: documents(path.name) for path in render.overlays()}
    return whole | alone | {"mine": render.render(mine)}


def planted(rendered):
    """Yield a document for every planted fault, which the others do not touch."""
    for plant, _ in PLANTED.values():
        others = (rendered[name] for name in ("keda", "gateway", "gateway-tls"))
        parts = [*documents(), *(copy.deepcopy(one) for found in others for one in found)]
        before = {repr(one) for one in parts}
        tree = Planted(parts)
        plant(tree)
        yield from (one for one in tree.documents if repr(one) not in before)


@pytest.fixture(scope="module")
def told(rendered):
    """What the schemas say of all this, by name; asked once, for that takes seconds."""
    newer = NEEDED | {"mine": max(NEEDED.values())}
    of_all = [one for name, tree in rendered.items() if name not in newer for one in tree]
    cases = {"all": Case(distinct(of_all), [OLDEST, NEWEST])}
    for name, version in newer.items():
        cases[name] = Case(distinct(rendered[name]), [version, NEWEST])
        cases[f"{name} on the oldest"] = Case(distinct(rendered[name]), [OLDEST])
    cases["planted"] = Case(list(planted(rendered)), [OLDEST, NEWEST])
    return dict(zip(cases, schema_faults(*cases.values()), strict=True))


def test_every_overlay_and_every_component_alone_renders(rendered):
    assert {"local", "production", "reevaluation", "keda", "gateway", "rules"} <= set(rendered)


def test_the_oldest_and_the_newest_kubernetes_know_every_field(told):
    assert told["all"] == []


@pytest.mark.parametrize("name", NEEDED)
def test_what_needs_a_newer_kubernetes_says_so_and_is_known_there(told, name):
    guide = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")

    assert told[name] == []
    assert told[f"{name} on the oldest"] != []
    assert f"| Kubernetes | {OLDEST} or newer; {NEEDED[name]} for `{name}` |" in guide


def test_what_stands_commented_out_in_production_holds_too(rendered, told):
    assert len(rendered["mine"]) > len(rendered["production"])
    assert list(breaches(rendered["mine"])) == []
    assert told["mine"] == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(told, name):
    assert any(PLANTED[name][1] in fault for fault in told["planted"]), told["planted"]


@pytest.mark.parametrize(
    ("resource", "status", "said"),
    [("nothing.yaml", 1, "nothing.yaml"), ("../local", 0, "nothing to complain of")],
)
def test_the_checks_are_a_command(tmp_path, resource, status, said):
    needs_kubectl()
    needs_tool("python")
    local = os.path.relpath(render.OVERLAYS / "local", tmp_path.resolve())
    named = resource.replace("../local", local)
    (tmp_path / "kustomization.yaml").write_text(f"resources: [{named}]\n")

    command = [sys.executable, "-m", "deploy.checks", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    assert ran.returncode == status, ran.stdout + ran.stderr
    assert said in ran.stdout + ran.stderr
