"""Settings, volumes and rights: every rule of them finds what is planted."""

import pytest

from tests.deploy.planting import (
    REEVALUATOR,
    add,
    drop,
    found,
    mount,
    named,
    names,
    pod,
    put,
    role,
    server,
    settings,
)

BACKEND = named(
    *("BackendTLSPolicy", "sonoba"),
    spec={
        "targetRefs": [{"kind": "Service", "name": "other"}],
        "validation": {"caCertificateRefs": []},
    },
)

PLANTED = [
    ("references of gateways", add(BACKEND), "expected Service other here, got none"),
    ("settings", settings("SONOBA_GRCP_PORT", "1"), "did you mean SONOBA_GRPC_PORT?"),
    ("settings", settings("SONOBA_THREADS", "many"), "SONOBA_THREADS: input should be"),
    (
        "references",
        put(pod, "serviceAccountName", "it"),
        "expected an account that is here, got it",
    ),
    (
        "references",
        put(lambda tree: server(tree)["envFrom"][0]["configMapRef"], "name", "sonoba-config"),
        "expected ConfigMap sonoba-config here, got none",
    ),
    (
        "references",
        put(
            *(server, "env"),
            [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "a"}}}],
        ),
        "expected Secret mine here, or in deploy.md, got none",
    ),
    (
        "references",
        drop("PersistentVolumeClaim"),
        "expected PersistentVolumeClaim sonoba-store here",
    ),
    ("mounts", put(mount, "name", "other"), "expected a volume of the pod, got other"),
    ("mounts", put(mount, "subPath", "current"), "expected no subPath"),
    ("mounts", put(mount, "readOnly", None), "expected readOnly true"),
    (
        "unused",
        lambda tree: server(tree)["volumeMounts"].remove(mount(tree)),
        "expected a mount of the volume models",
    ),
    (
        "unused",
        put(server, "envFrom", []),
        "expected a pod that reads it, got none",
    ),
    (
        "paths",
        settings("SONOBA_ADMIN_TOKEN_FILE", "/etc/sonoba/reevaluator/token", "sonoba-ree"),
        "admin_token_file: expected one of",
    ),
    ("paths", settings("SONOBA_TLS_KEY_FILE", "/etc/tls.key"), "expected a path on a volume, got"),
    ("paths", settings("SONOBA_STORE_CACHE", "/var/cache"), "expected a path on a volume to write"),
    (
        "paths",
        settings("SONOBA_REPORTS", "/etc/sonoba/reevaluator", "sonoba-ree"),
        "reports: expected a path on a volume to write",
    ),
    ("roles", put(role, "verbs", ["*"]), "expected verbs by name, got *"),
    ("roles", put(role, "resources", ["secrets"]), "expected no right to secrets"),
    ("roles", put(role, "resourceNames", None), "expected resourceNames beside"),
    ("roles", add(named("ClusterRole", "it")), "expected rights within the namespace only"),
    ("bindings", drop("Role", REEVALUATOR), "expected a role that is here"),
    (
        "bindings",
        put(lambda tree: tree("RoleBinding", REEVALUATOR)["subjects"][0], "name", "sonoba"),
        "expected no right of pods without a token",
    ),
    (
        "bindings",
        put(lambda tree: tree("RoleBinding", REEVALUATOR)["subjects"][0], "namespace", "default"),
        "expected the namespace of ServiceAccount/sonoba-reevaluator",
    ),
    (
        "model versions",
        put(lambda tree: tree("ConfigMap", "sonoba-model-a"), "data", {"a": "b"}),
        "ConfigMap/sonoba-model-a: expected no data",
    ),
    (
        "model versions",
        lambda tree: role(tree)["resourceNames"].remove("sonoba-model-c"),
        "expected publish_configmaps to be allowed",
    ),
    ("model versions", drop("ConfigMap", "sonoba-model-b"), "to be declared"),
    (
        "model versions",
        lambda tree: next(one for one in pod(tree)["volumes"] if one["name"] == "models")[
            "projected"
        ]["sources"].pop(),
        "to be mounted",
    ),
    ("secrets", add(named("Secret", "sonoba-admin", data={})), "expected no Secret in the tree"),
]


@pytest.mark.parametrize(("rule", "plant", "sentence"), PLANTED, ids=names(PLANTED))
def test_a_planted_violation_is_found(rule, plant, sentence):
    assert sentence in found(rule, plant)
