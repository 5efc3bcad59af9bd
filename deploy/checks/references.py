"""What a pod refers to is there: settings, objects, volumes, and the files that settings name.

A Secret is never in the tree; the page docs/deploy.md has the command that creates it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from deploy.checks.objects import Json, Pod, Tree, said
from deploy.checks.settings import command, read
from service.settings import SettingsError

GUIDE = Path(__file__).resolve().parents[2] / "docs/deploy.md"
CREATED = re.compile(
    r"create (configmap|secret generic|secret tls) ([\w.-]+)((?:\s+\\?\s*--[^\n\\]+)*)"
)
TLS_KEYS = {"tls.crt", "tls.key"}
VARIABLES = {  # what a variable or many come from
    **{"configMapRef": "ConfigMap", "configMapKeyRef": "ConfigMap"},
    **{"secretRef": "Secret", "secretKeyRef": "Secret"},
}
MODELS = "/var/lib/sonoba/models"
Reference = tuple[str, str, frozenset[str]]  # kind, name, keys


def documented(page: str) -> dict[str, set[str]]:
    """Return the objects that a page has commands to create, with their keys."""
    found: dict[str, set[str]] = {}
    for kind, name, flags in CREATED.findall(page):
        keys = set(re.findall(r"--from-(?:literal|file)=([\w.-]+)", flags))
        found.setdefault(name, set()).update(TLS_KEYS if kind == "secret tls" else keys)
    return found


def guide() -> str:
    """Return the page that an operator goes by."""
    return GUIDE.read_text(encoding="utf-8") if GUIDE.exists() else ""


def setting_breaches(tree: Tree) -> Iterator[str]:
    """Yield what stops the start of a container: an unknown setting, or one out of range."""
    for pod in tree.pods:
        for container in pod.containers:
            try:
                if command(container):
                    read(tree, container)
            except SettingsError as error:
                yield from (f"{pod.name}: {line}" for line in str(error).splitlines())


def reference_breaches(tree: Tree) -> Iterator[str]:
    """Yield ConfigMaps, Secrets, accounts and claims that pods name and nothing creates."""
    secrets = documented(guide())
    for pod in tree.pods:
        account = pod.spec.get("serviceAccountName", "default")
        if tree.find("ServiceAccount", account) is None:
            yield f"{pod.name}: expected an account that is here, got {account}"
        for kind, name, keys in references(pod):
            if kind == "Secret" and name in secrets:
                for key in sorted(keys - secrets[name]):
                    yield f"{pod.name}: expected a key of {name} in {GUIDE.name}, got {key}"
            elif tree.find(kind, name) is None:
                page = f", or in {GUIDE.name}" if kind == "Secret" else ""
                yield f"{pod.name}: expected {kind} {name} here{page}, got none"


def gateway_breaches(tree: Tree) -> Iterator[str]:
    """Yield what policies of gateways refer to and nothing creates."""
    for policy in tree.of("BackendTLSPolicy"):
        spec = policy["spec"]
        for part in (*spec["targetRefs"], *spec["validation"]["caCertificateRefs"]):
            if part["name"] not in documented(guide()) and not tree.find(
                part["kind"], part["name"]
            ):
                yield f"{said(policy)}: expected {part['kind']} {part['name']} here, got none"


def references(pod: Pod) -> Iterator[Reference]:
    """Yield what pods cannot start without: objects, by kind and name, with the keys they read."""
    for source in sources(pod):
        for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
            part = source.get(field)
            if part and not part.get("optional"):
                keys = frozenset(item["key"] for item in part.get("items") or ())
                yield kind, part.get("secretName") or part["name"], keys
        if claim := source.get("persistentVolumeClaim"):
            yield "PersistentVolumeClaim", claim["claimName"], frozenset()
    for container in pod.containers:
        yield from _variables(container)


def _variables(container: Json) -> Iterator[Reference]:
    origins = [*(container.get("envFrom") or ())]
    origins += [variable.get("valueFrom") or {} for variable in container.get("env") or ()]
    for origin in origins:
        for field, kind in VARIABLES.items():
            part = origin.get(field)
            if part and not part.get("optional"):
                yield kind, part["name"], frozenset([part["key"]] if "key" in part else [])


def sources(pod: Pod) -> Iterator[Json]:
    """Yield the sources of its volumes, those of projected ones one by one."""
    for volume in pod.spec.get("volumes") or ():
        yield volume
        yield from (volume.get("projected") or {}).get("sources") or ()


def mount_breaches(tree: Tree) -> Iterator[str]:
    """Yield mounts without a volume, by subPath, and of models that could be written."""
    for pod in tree.pods:
        volumes = {volume["name"] for volume in pod.spec.get("volumes") or ()}
        for container in pod.containers:
            for mount in container.get("volumeMounts") or ():
                where = f"{pod.name}, {mount['mountPath']}"
                if mount["name"] not in volumes:
                    yield f"{where}: expected a volume of the pod, got {mount['name']}"
                if "subPath" in mount or "subPathExpr" in mount:
                    yield f"{where}: expected no subPath: such a mount is never updated"
                if mount["mountPath"] == MODELS and mount.get("readOnly") is not True:
                    yield f"{where}: expected readOnly true, got {mount.get('readOnly')}"


def unused_breaches(tree: Tree) -> Iterator[str]:
    """Yield volumes that no container mounts, and generated ConfigMaps that no pod reads."""
    for pod in tree.pods:
        mounted = {
            mount["name"]
            for container in pod.containers
            for mount in container.get("volumeMounts") or ()
        }
        for volume in pod.spec.get("volumes") or ():
            if volume["name"] not in mounted:
                yield f"{pod.name}: expected a mount of the volume {volume['name']}, got none"
    read_by_pods = {(kind, name) for pod in tree.pods for kind, name, _ in references(pod)}
    for document in tree.of("ConfigMap"):
        name = document["metadata"]["name"]
        is_settings = any(key.startswith("SONOBA_") for key in document.get("data") or {})
        if is_settings and ("ConfigMap", name) not in read_by_pods:
            yield f"{said(document)}: expected a pod that reads it, got none"
