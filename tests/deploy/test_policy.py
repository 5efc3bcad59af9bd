"""Rendered overlays keep to every rule of deploy/checks, and every rule has something planted.

What a cluster does with them (probes, policies, admission) is not tested: none runs here.
"""

import pytest

from deploy.checks import references, render
from deploy.checks.images import faults
from deploy.checks.policy import RULES, breaches
from deploy.checks.probes import quantity
from tests.deploy import test_policy_alerts, test_policy_files, test_policy_pods, test_policy_ports
from tests.deploy.rendering import documents, needs_kubectl

PARTS = (test_policy_alerts, test_policy_files, test_policy_pods, test_policy_ports)
OPTIONAL = ("gateway", "gateway-tls", "zone")


@pytest.mark.parametrize("overlay", render.overlays(), ids=lambda path: path.name)
def test_an_overlay_keeps_to_every_rule(overlay):
    assert list(breaches(documents(overlay.name))) == []


@pytest.mark.slow
def test_production_with_all_that_is_optional_keeps_to_every_rule():
    needs_kubectl()
    parts = [render.COMPONENTS / name for name in OPTIONAL]

    assert list(breaches(render.render_with([render.OVERLAYS / "production"], parts))) == []


def test_every_rule_has_something_planted():
    assert {rule for part in PARTS for rule, _, _ in part.PLANTED} == set(RULES)


def test_production_has_all_that_the_rules_are_about():
    kinds = {document["kind"] for document in documents()}

    assert kinds >= {
        *("AlertmanagerConfig", "ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Namespace"),
        *("NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "PrometheusRule", "Role"),
        *("RoleBinding", "Service", "ServiceAccount"),
    }


@pytest.mark.parametrize(
    "image",
    [
        "registry.example.com/sonoba:1.2.3",
        "localhost/sonoba:dev",
        "localhost:5000/team/sonoba-pretrain@sha256:" + "a" * 64,
    ],
)
def test_an_image_that_stays_the_same_is_taken(image):
    assert list(faults(image)) == []


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ("sonoba", "a registry"),
        ("sonoba:1.2.3", "a registry"),
        ("team/sonoba:1.2.3", "a registry"),
        ("registry.example.com/sonoba", "a tag that stays"),
        ("registry.example.com/sonoba:latest", "a tag that stays"),
        ("registry.example.com/sonoba@sha256:123", "a registry"),
        ("registry.example.com/other:1.2.3", "an image of sonoba"),
    ],
)
def test_an_image_that_is_another_tomorrow_is_found(image, sentence):
    assert sentence in "".join(faults(image))


def test_commands_that_create_secrets_are_read_with_their_keys():
    guide = (
        "    kubectl -n sonoba create secret generic sonoba-admin --from-file=token=admin.token\n"
        "    kubectl -n sonoba create secret generic two \\\n"
        "      --from-file=one=a --from-literal=two=b --from-file=three.txt\n"
        "    kubectl create secret tls sonoba-tls --cert=a --key=b\n"
        "With `kubectl create configmap sonoba-ca --from-file=ca.crt`.\n"
    )

    assert references.documented(guide) == {
        "sonoba-admin": {"token"},
        "two": {"one", "two", "three.txt"},
        "sonoba-tls": {"tls.crt", "tls.key"},
        "sonoba-ca": {"ca.crt"},
    }


def test_quantities_are_read_as_kubernetes_reads_them():
    assert [quantity(text) for text in ("1Gi", "512Mi", "1.5G", "100k", "7", 7)] == [
        *(2**30, 2**29, 1.5e9, 1e5, 7, 7)
    ]
    with pytest.raises(ValueError, match="expected a quantity"):
        quantity("many")
