"""Every rule that rendered objects keep to, by name; each is a function of the whole tree.

What one object says is checked by schemas (deploy/checks/schemas.py); here is what objects say of
each other, and what they must say for a server to start, to be found, and to end without a failed
call.
"""

from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType

from deploy.checks import (
    access,
    alerts,
    boards,
    hardening,
    images,
    paths,
    ports,
    probes,
    references,
    selection,
)
from deploy.checks.objects import Json, Tree

Rule = Callable[[Tree], Iterator[str]]

RULES = MappingProxyType(
    {
        "selectors": selection.selector_breaches,
        "templates": selection.template_breaches,
        "peers": selection.peer_breaches,
        "scalers": selection.scaler_breaches,
        "network cover": selection.cover_breaches,
        "unique ports": ports.unique_breaches,
        "ports of services": ports.service_breaches,
        "ports of probes": ports.probe_breaches,
        "ports of monitors": ports.monitor_breaches,
        "ports of policies": ports.policy_breaches,
        "ports of routes": ports.route_breaches,
        "ports of settings": ports.number_breaches,
        "probes": probes.probe_breaches,
        "probes without TLS": probes.plain_breaches,
        "grace": probes.grace_breaches,
        "memory": probes.memory_breaches,
        "pods": hardening.pod_breaches,
        "users": hardening.user_breaches,
        "containers": hardening.container_breaches,
        "namespaces": hardening.namespace_breaches,
        "accounts": hardening.account_breaches,
        "images": images.image_breaches,
        "settings": references.setting_breaches,
        "references": references.reference_breaches,
        "references of gateways": references.gateway_breaches,
        "mounts": references.mount_breaches,
        "unused": references.unused_breaches,
        "paths": paths.path_breaches,
        "roles": access.role_breaches,
        "bindings": access.binding_breaches,
        "model versions": access.model_breaches,
        "secrets": access.secret_breaches,
        "receivers": alerts.receiver_breaches,
        "routes of alerts": alerts.route_breaches,
        "rules": alerts.rule_breaches,
        "namespaces of alerts": alerts.namespace_breaches,
        "dashboards": boards.dashboard_breaches,
        "a dashboard": boards.board_count_breaches,
        "runbooks": boards.runbook_breaches,
    }
)


def breaches(documents: Sequence[Json]) -> Iterator[str]:
    """Yield one sentence for every rule that the documents of one kustomization break."""
    tree = Tree(documents)
    for name, rule in RULES.items():
        yield from (f"{name}: {sentence}" for sentence in rule(tree))
