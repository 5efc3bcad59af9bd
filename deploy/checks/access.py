"""Who may do what: roles by name only, no secret in the tree, no model version in it either."""

from collections.abc import Iterator

from deploy.checks.objects import Json, Tree, said
from deploy.checks.settings import settings_of

MODELS = "sonoba-model"  # how the ConfigMaps of versions begin
BY_NAME = {"get", "update", "patch", "delete"}  # verbs that can be held to names
NEVER = {"secrets", "pods", "pods/exec", "deployments", "roles", "rolebindings"}


def role_breaches(tree: Tree) -> Iterator[str]:
    """Yield rules of roles that allow anything, or anything of a kind."""
    for cluster in tree.of("ClusterRole", "ClusterRoleBinding"):
        yield f"{said(cluster)}: expected rights within the namespace only"
    for role in tree.of("Role"):
        for rule in role.get("rules") or ():
            for field in ("verbs", "resources", "apiGroups", "resourceNames"):
                if "*" in (rule.get(field) or ()):
                    yield f"{said(role)}: expected {field} by name, got *"
            for resource in sorted(NEVER & set(rule["resources"])):
                yield f"{said(role)}: expected no right to {resource}"
            if (verbs := BY_NAME & set(rule["verbs"])) and not rule.get("resourceNames"):
                yield f"{said(role)}: expected resourceNames beside {sorted(verbs)}, got none"


def binding_breaches(tree: Tree) -> Iterator[str]:
    """Yield bindings of roles or accounts that are not here, or that serving pods would get."""
    serving = {
        pod.spec.get("serviceAccountName", "default")
        for pod in tree.pods
        if pod.spec.get("automountServiceAccountToken") is False
    }
    for binding in tree.of("RoleBinding"):
        reference = binding["roleRef"]
        if tree.find(reference["kind"], reference["name"]) is None:
            yield f"{said(binding)}: expected a role that is here, got {reference['name']}"
        for subject in binding["subjects"]:
            account = tree.find(subject["kind"], subject["name"])
            if account is None:
                yield f"{said(binding)}: expected an account that is here, got {subject['name']}"
            elif subject.get("namespace") != account["metadata"].get("namespace"):
                yield f"{said(binding)}: expected the namespace of {said(account)}"
            if subject["name"] in serving:
                yield f"{said(binding)}: expected no right of pods without a token"


def model_breaches(tree: Tree) -> Iterator[str]:
    """Yield ConfigMaps of versions with contents, and names that differ between objects."""
    for name in sorted(_declared(tree)):
        kept = tree.find("ConfigMap", name) or {}
        for field in ("data", "binaryData", "immutable"):
            if kept.get(field):
                yield f"ConfigMap/{name}: expected no {field}: applying would put it back"
    for pod in tree.pods:
        for container in pod.containers:
            settings = settings_of(tree, container)
            published = set(settings.publish_configmaps) if settings else set()
            if published:
                yield from (f"{pod.name}: {it}" for it in _unequal(tree, published))


def _declared(tree: Tree) -> set[str]:
    names = (one["metadata"]["name"] for one in tree.of("ConfigMap"))
    return {name for name in names if name.startswith(MODELS)}


def _unequal(tree: Tree, published: set[str]) -> Iterator[str]:
    """Yield where the names that are published differ from those declared, allowed and mounted."""
    allowed = {
        name
        for role in tree.of("Role")
        for rule in role.get("rules") or ()
        if "configmaps" in rule["resources"] and {"get", "update"} <= set(rule["verbs"])
        for name in rule.get("resourceNames") or ()
    }
    places = {"declared": _declared(tree), "allowed": allowed, "mounted": _mounted(tree)}
    for place, names in places.items():
        if names != published:
            wanted, got = sorted(published), sorted(names)
            yield f"expected publish_configmaps to be {place}, {wanted}, got {got}"


def _mounted(tree: Tree) -> set[str]:
    sources: list[Json] = [
        source
        for pod in tree.pods
        for volume in pod.spec.get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
    ]
    named = (source["configMap"]["name"] for source in sources if "configMap" in source)
    return {name for name in named if name.startswith(MODELS)}


def secret_breaches(tree: Tree) -> Iterator[str]:
    """Yield Secrets: none belongs into the tree, whatever it holds."""
    for secret in tree.of("Secret"):
        yield f"{said(secret)}: expected no Secret in the tree"
