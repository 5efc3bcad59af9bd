"""Pods as the PodSecurity standard `restricted` and our own rules want them."""

from collections.abc import Iterator

from deploy.checks.objects import COMPONENT, Json, Pod, Tree, said

RESTRICTED = {
    f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")
} | {"pod-security.kubernetes.io/audit": "restricted"}
TOKEN = {"reevaluator"}  # components that talk to the API server
VOLUMES = {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim", "downwardAPI"}
CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def pod_breaches(tree: Tree) -> Iterator[str]:
    """Yield what pods share with their node, or get from the cluster, without need."""
    for pod in tree.pods:
        spec = pod.spec
        for field in ("hostNetwork", "hostPID", "hostIPC", "hostUsers"):
            if spec.get(field):
                yield f"{pod.name}: expected no {field}, got true"
        if spec.get("enableServiceLinks") is not False:
            yield f"{pod.name}: expected enableServiceLinks false: links look like settings of ours"
        token = spec.get("automountServiceAccountToken")
        if token is not (pod.labels.get(COMPONENT) in TOKEN):
            yield f"{pod.name}: expected a token of the API server for {TOKEN} only, got {token}"
        for volume in spec.get("volumes") or ():
            yield from (
                f"{pod.name}: expected a volume that belongs to the pod, got {kind}"
                for kind in volume.keys() - VOLUMES - {"name"}
            )
            if "emptyDir" in volume and not (volume["emptyDir"] or {}).get("sizeLimit"):
                yield f"{pod.name}: expected a sizeLimit of the volume {volume['name']}, got none"


def user_breaches(tree: Tree) -> Iterator[str]:
    """Yield containers that may run as root or with more system calls than the default."""
    for pod, container, context in _contexts(tree):
        where = f"{pod.name}, {container['name']}"
        if context.get("runAsNonRoot") is not True:
            yield f"{where}: expected runAsNonRoot true, got {context.get('runAsNonRoot')}"
        for field in ("runAsUser", "runAsGroup"):
            if not (isinstance(context.get(field), int) and context[field] > 0):
                got = context.get(field)
                yield f"{where}: expected a {field} that is a number above 0, got {got}"
        if (context.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
            yield f"{where}: expected the seccompProfile RuntimeDefault"


def container_breaches(tree: Tree) -> Iterator[str]:
    """Yield containers that could gain rights, write to their root, or take all of a node."""
    for pod, container, _ in _contexts(tree):
        where = f"{pod.name}, {container['name']}"
        context = container.get("securityContext") or {}
        for field, wanted in CONTAINER.items():
            if context.get(field) != wanted:
                yield f"{where}: expected {field} {wanted}, got {context.get(field)}"
        if context.get("privileged"):
            yield f"{where}: expected privileged false, got true"
        resources = container.get("resources") or {}
        for resource in {"cpu", "memory"} - (resources.get("requests") or {}).keys():
            yield f"{where}: expected a request of {resource}, got none"
        if "memory" not in (resources.get("limits") or {}):
            yield f"{where}: expected a limit of memory, got none"
        if "cpu" in (resources.get("limits") or {}):
            yield f"{where}: expected no limit of cpu, which throttles while a node idles"


def namespace_breaches(tree: Tree) -> Iterator[str]:
    """Yield namespaces that admit pods which are not restricted, and objects in another one."""
    spaces = tree.of("Namespace")
    if len(spaces) != 1:
        yield f"Namespace: expected one, got {len(spaces)}"
    for space in spaces:
        labels = space["metadata"].get("labels") or {}
        for key, value in RESTRICTED.items():
            if labels.get(key) != value:
                yield f"{said(space)}: expected the label {key}: {value}, got {labels.get(key)}"
        for document in tree.documents:
            namespace = document["metadata"].get("namespace", space["metadata"]["name"])
            if namespace != space["metadata"]["name"]:
                yield f"{said(document)}: expected the namespace of the tree, got {namespace}"


def account_breaches(tree: Tree) -> Iterator[str]:
    """Yield accounts whose token every pod of theirs would get."""
    for account in tree.of("ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"{said(account)}: expected automountServiceAccountToken false"


def _contexts(tree: Tree) -> Iterator[tuple[Pod, Json, Json]]:
    """Yield pods, containers and the security context that is in force for each."""
    for pod in tree.pods:
        for container in pod.containers:
            own = container.get("securityContext") or {}
            yield pod, container, (pod.spec.get("securityContext") or {}) | own
