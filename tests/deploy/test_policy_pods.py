"""How pods run, start and end: every rule of it finds what is planted."""

import pytest

from tests.deploy.planting import context, drop, found, names, pod, put, server, settings

PLANTED = [
    ("probes", put(server, "startupProbe", None), "expected a startupProbe over gRPC, got none"),
    (
        "probes",
        put(lambda tree: server(tree)["readinessProbe"]["grpc"], "service", "liveness"),
        "expected a readinessProbe of 'sonoba.v1.Predictor', got 'liveness'",
    ),
    (
        "probes",
        put(lambda tree: server(tree)["livenessProbe"]["grpc"], "service", "sonoba.v1.Predictor"),
        "expected a livenessProbe of 'liveness'",
    ),
    (
        "probes",
        put(lambda tree: server(tree)["startupProbe"], "failureThreshold", 10),
        "expected 60 s to start at least, got 20",
    ),
    (
        "probes without TLS",
        put(lambda tree: server(tree)["readinessProbe"]["grpc"], "port", 50051),
        "expected a readinessProbe of health_port, 50053, got 50051",
    ),
    (
        "grace",
        put(pod, "terminationGracePeriodSeconds", None),
        "expected a terminationGracePeriodSeconds of 35 at least, got 30",
    ),
    ("grace", settings("SONOBA_DRAIN_SECONDS", "60"), "of 75 at least, got 40"),
    ("grace", settings("SONOBA_STREAM_SECONDS", "600"), "expected streams that end before"),
    ("memory", settings("SONOBA_THREADS", "8"), "expected 1088 MiB of memory at least, got 1Gi"),
    ("memory", settings("SONOBA_MAX_MESSAGE_BYTES", "67108864"), "expected 2432 MiB of memory"),
    ("pods", put(pod, "hostNetwork", True), "expected no hostNetwork"),
    ("pods", put(pod, "enableServiceLinks", None), "expected enableServiceLinks false"),
    ("pods", put(pod, "automountServiceAccountToken", None), "expected a token of the API server"),
    ("pods", put(pod, "automountServiceAccountToken", True), "expected a token of the API server"),
    (
        "pods",
        lambda tree: pod(tree)["volumes"].append({"name": "a", "hostPath": {"path": "/"}}),
        "expected a volume that belongs to the pod, got hostPath",
    ),
    (
        "pods",
        lambda tree: pod(tree)["volumes"].append({"name": "a", "emptyDir": {}}),
        "expected a sizeLimit of the volume a",
    ),
    *[
        ("users", put(lambda tree: pod(tree)["securityContext"], field, value), sentence)
        for field, value, sentence in (
            ("runAsNonRoot", None, "expected runAsNonRoot true"),
            ("runAsUser", 0, "expected a runAsUser that is a number above 0, got 0"),
            ("runAsUser", None, "expected a runAsUser"),
            ("seccompProfile", None, "expected the seccompProfile RuntimeDefault"),
        )
    ],
    ("users", put(context, "runAsUser", 0), "expected a runAsUser that is a number above 0"),
    *[
        ("containers", put(context, field, value), f"expected {field}")
        for field, value in (
            ("readOnlyRootFilesystem", False),
            ("allowPrivilegeEscalation", None),
            ("capabilities", {"drop": ["ALL"], "add": ["NET_ADMIN"]}),
            ("privileged", True),
        )
    ],
    (
        "containers",
        put(lambda tree: server(tree)["resources"], "requests", {"cpu": "1"}),
        "expected a request of memory",
    ),
    (
        "containers",
        put(lambda tree: server(tree)["resources"], "limits", None),
        "expected a limit of memory",
    ),
    (
        "containers",
        put(lambda tree: server(tree)["resources"]["limits"], "cpu", "1"),
        "expected no limit of cpu",
    ),
    (
        "containers",
        put(pod, "initContainers", [{"name": "before", "image": "registry.example.com/sonoba:1"}]),
        "before: expected a limit of memory",
    ),
    ("namespaces", drop("Namespace"), "expected one, got 0"),
    (
        "namespaces",
        put(
            lambda tree: tree("Namespace")["metadata"]["labels"],
            *("pod-security.kubernetes.io/enforce", "baseline"),
        ),
        "enforce: restricted, got baseline",
    ),
    (
        "namespaces",
        put(lambda tree: tree("Service")["metadata"], "namespace", "default"),
        "Service/sonoba: expected the namespace of the tree, got default",
    ),
    (
        "accounts",
        put(lambda tree: tree("ServiceAccount"), "automountServiceAccountToken", None),
        "ServiceAccount/sonoba: expected automountServiceAccountToken false",
    ),
    ("images", put(server, "image", "sonoba"), "expected an image with a registry, got sonoba"),
]


@pytest.mark.parametrize(("rule", "plant", "sentence"), PLANTED, ids=names(PLANTED))
def test_a_planted_violation_is_found(rule, plant, sentence):
    assert sentence in found(rule, plant)
