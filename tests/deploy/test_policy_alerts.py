"""Alerts, their receivers, pages and panels: every rule of them finds what is planted."""

import pytest

from tests.deploy.planting import alert, drop, found, names, put, spec, webhook

PLANTED = [
    *[
        ("receivers", put(webhook, "url", url), sentence)
        for url, sentence in (
            ("http://other.sonoba.svc:8085/alerts", "expected the address of a Service here"),
            ("http://sonoba-reevaluator.NAMESPACE.svc:8085/alerts", "expected the namespace of"),
            ("http://sonoba-reevaluator.sonoba.svc:9464/alerts", "expected the port webhook"),
            ("http://sonoba-reevaluator.sonoba.svc:8085/", "expected the path /alerts"),
        )
    ],
    (
        "receivers",
        put(webhook, "httpConfig", {}),
        "expected a Secret with the token of the webhook, got none",
    ),
    (
        "receivers",
        put(
            lambda tree: webhook(tree)["httpConfig"]["authorization"]["credentials"],
            *("name", "sonoba-other"),
        ),
        "expected a Secret and key that the re-evaluator mounts",
    ),
    (
        "receivers",
        put(webhook, "url", "http://sonoba-reevaluator.sonoba.svc:8085/alerts"),
        "expected https, which the port speaks, got http",
    ),
    (
        "routes of alerts",
        put(
            lambda tree: spec("AlertmanagerConfig")(tree)["route"]["matchers"][0],
            *("value", "reevaluation"),
        ),
        "expected a matcher of some alert, got action=reevaluation",
    ),
    (
        "routes of alerts",
        put(lambda tree: spec("AlertmanagerConfig")(tree)["route"], "receiver", "it"),
        "expected a receiver that is here, got it",
    ),
    (
        "routes of alerts",
        put(lambda tree: spec("AlertmanagerConfig")(tree)["route"], "groupBy", ["model"]),
        "expected groups that keep namespace",
    ),
    ("rules", put(spec("PrometheusRule"), "groups", []), "expected groups with rules"),
    ("rules", put(alert, "expr", "vector(1)"), "expected the rules of sonoba.rules.yaml"),
    (
        "namespaces of alerts",
        put(alert, "expr", "max by (model) (sonoba_drift_gate) > 2"),
        "SonobaErrorInflationCritical: expected groups that keep namespace, got model",
    ),
    (
        "namespaces of alerts",
        put(alert, "expr", "max(sonoba_drift_gate) > 2"),
        "SonobaErrorInflationCritical: expected groups by namespace",
    ),
    (
        "namespaces of alerts",
        put(alert, "expr", "max without (pod) (sonoba_drift_gate) > 2"),
        "SonobaErrorInflationCritical: expected groups by namespace",
    ),
    (
        "dashboards",
        put(
            lambda tree: tree("ConfigMap", "sonoba-dash")["metadata"],
            *("name", "sonoba-dashboards-2bd4f6g8h9"),
        ),
        "expected a name without a hash",
    ),
    (
        "dashboards",
        lambda tree: tree.settings("sonoba-dash").update(
            {"sonoba.json": tree.settings("sonoba-dash")["sonoba.json"].replace("Can I", "May I")}
        ),
        "expected sonoba.json as it is committed",
    ),
    ("dashboards", put(alert, "expr", "sonoba_new > 1"), "no panel shows sonoba_new"),
    ("a dashboard", drop("ConfigMap", "sonoba-dash"), "expected a dashboard beside the rules"),
    (
        "runbooks",
        put(lambda tree: alert(tree)["annotations"], "runbook_url", "deploy/runbooks/None.md"),
        "expected a link to its runbook, got None.md",
    ),
]


@pytest.mark.parametrize(("rule", "plant", "sentence"), PLANTED, ids=names(PLANTED))
def test_a_planted_violation_is_found(rule, plant, sentence):
    assert sentence in found(rule, plant)
