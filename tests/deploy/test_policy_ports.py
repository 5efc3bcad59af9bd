"""Who selects whom, and by which ports they meet: every rule of it finds what is planted."""

import pytest

from tests.deploy.planting import (
    REEVALUATOR,
    add,
    drop,
    found,
    named,
    names,
    put,
    server,
    settings,
    spec,
)

OTHER = {"app.kubernetes.io/component": "other"}
SCALER = named("ScaledObject", "sonoba", spec={"scaleTargetRef": {"name": "sonoba"}})
ROUTE = named(
    *("GRPCRoute", "sonoba"), spec={"rules": [{"backendRefs": [{"name": "sonoba", "port": 5}]}]}
)

PLANTED = [
    ("selectors", put(spec("Service"), "selector", OTHER), "expected a selector that takes pods"),
    (
        "selectors",
        put(spec("Service"), "selector", {"app.kubernetes.io/component": "reevaluator"}),
        "Service/sonoba: expected pods of server, got Deployment/sonoba-reevaluator",
    ),
    (
        "selectors",
        put(spec("PodDisruptionBudget"), "selector", {"matchLabels": OTHER}),
        "PodDisruptionBudget/sonoba: expected a selector that takes pods",
    ),
    ("selectors", put(spec("PodMonitor"), "selector", {}), "PodMonitor/sonoba: expected"),
    (
        "templates",
        put(lambda tree: tree("Deployment")["spec"]["selector"], "matchLabels", OTHER),
        "expected a selector that takes its own pods",
    ),
    (
        "templates",
        put(
            lambda tree: tree.pod()["topologySpreadConstraints"][1],
            *("labelSelector", {"matchLabels": OTHER}),
        ),
        "expected to be spread by labels of its own pods",
    ),
    (
        "peers",
        put(
            lambda tree: tree("NetworkPolicy")["spec"]["ingress"][-1]["from"][0],
            *("podSelector", {"matchLabels": OTHER}),
        ),
        "expected a peer that is a pod here",
    ),
    (
        "scalers",
        put(lambda tree: spec("HorizontalPodAutoscaler")(tree)["scaleTargetRef"], "name", "it"),
        "expected a target that is here, got Deployment/it",
    ),
    ("scalers", put(spec("Deployment"), "replicas", 2), "expected no replicas beside"),
    ("scalers", add(SCALER), "expected one scaler, got"),
    ("network cover", drop("NetworkPolicy", "sonoba-default-deny"), "expected one of all pods"),
    (
        "network cover",
        put(spec("NetworkPolicy", "sonoba-default-deny"), "egress", [{}]),
        "expected one of all pods",
    ),
    ("network cover", drop("NetworkPolicy"), "Deployment/sonoba: expected a policy of its own"),
    (
        "network cover",
        put(spec("NetworkPolicy"), "policyTypes", ["Ingress"]),
        "Deployment/sonoba: expected a policy of its own for Ingress and Egress",
    ),
    ("network cover", put(spec("NetworkPolicy"), "ingress", [{}]), "expected ingress that names"),
    (
        "unique ports",
        lambda tree: server(tree)["ports"].append({"name": "grpc", "containerPort": 9464}),
        "got grpc 2 times",
    ),
    (
        "ports of services",
        put(lambda tree: spec("Service")(tree)["ports"][0], "targetPort", "http"),
        "Service/sonoba: expected a port of Deployment/sonoba, got http",
    ),
    (
        "ports of services",
        put(lambda tree: spec("Service")(tree)["ports"][0], "port", 80),
        "expected grpc at the number it has in the pod",
    ),
    (
        "ports of probes",
        put(lambda tree: server(tree)["livenessProbe"]["grpc"], "port", 946400),
        "expected livenessProbe of a port it opens, got 946400",
    ),
    (
        "ports of monitors",
        put(lambda tree: spec("PodMonitor")(tree)["podMetricsEndpoints"][0], "port", "http"),
        "PodMonitor/sonoba: expected a port of Deployment/sonoba",
    ),
    (
        "ports of monitors",
        put(lambda tree: spec("PodMonitor")(tree)["podMetricsEndpoints"][0], "relabelings", []),
        "expected the job sonoba, which rules ask for, got []",
    ),
    (
        "ports of policies",
        put(lambda tree: spec("NetworkPolicy")(tree)["ingress"][0], "ports", [{"port": "grcp"}]),
        "expected a port of its pods, got grcp",
    ),
    (
        "ports of policies",
        put(
            lambda tree: spec("NetworkPolicy", REEVALUATOR)(tree)["egress"][0],
            *("ports", [{"port": "webhook"}]),
        ),
        "expected a port of its pods, got webhook",
    ),
    ("ports of routes", add(ROUTE), "expected a port of a Service here, got sonoba:5"),
    ("ports of settings", settings("SONOBA_GRPC_PORT", "50060"), "its settings, 50060, got grpc"),
    (
        "ports of settings",
        settings("SONOBA_WEBHOOK_PORT", "8086", "sonoba-ree"),
        "8086, got webhook 8085",
    ),
]


@pytest.mark.parametrize(("rule", "plant", "sentence"), PLANTED, ids=names(PLANTED))
def test_a_planted_violation_is_found(rule, plant, sentence):
    assert sentence in found(rule, plant)
