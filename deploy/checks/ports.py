"""Ports meet: what Services, probes, monitors, routes and policies name is what containers open.

And containers open what their settings say: a number that is changed in one place only is found.
"""

from collections import Counter
from collections.abc import Iterator

from deploy.checks.objects import Json, Pod, Tree, said
from deploy.checks.selection import selector_of
from deploy.checks.settings import settings_of

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def unique_breaches(tree: Tree) -> Iterator[str]:
    """Yield names and numbers of ports that two containers of one pod share."""
    for pod in tree.pods:
        ports = [port for container in pod.containers for port in container.get("ports") or ()]
        for field in ("name", "containerPort"):
            times = Counter(port.get(field) for port in ports)
            yield from (
                f"{pod.name}: expected ports that differ, got {value} {number} times"
                for value, number in times.items()
                if number > 1
            )


def service_breaches(tree: Tree) -> Iterator[str]:
    """Yield ports of Services that no container opens."""
    for service in tree.of("Service"):
        for pod in tree.selected(selector_of(service)):
            for port in service["spec"]["ports"]:
                target = port.get("targetPort", port["port"])
                if not pod.has_port(target):
                    yield f"{said(service)}: expected a port of {pod.name}, got {target}"
                elif isinstance(target, str) and port["port"] != pod.ports()[target]:
                    yield f"{said(service)}: expected {target} at the number it has in the pod"


def probe_breaches(tree: Tree) -> Iterator[str]:
    """Yield probes of ports that their container does not open."""
    for pod in tree.pods:
        for container in pod.containers:
            for name in PROBES:
                how = container.get(name) or {}
                for kind in how.keys() & {"grpc", "httpGet", "tcpSocket"}:
                    port, opened = how[kind]["port"], container.get("ports") or ()
                    if not any(port in (one["containerPort"], one.get("name")) for one in opened):
                        yield f"{pod.name}: expected {name} of a port it opens, got {port}"


def monitor_breaches(tree: Tree) -> Iterator[str]:
    """Yield PodMonitors that scrape a port nobody opens, or under a job that rules do not know."""
    for monitor in tree.of("PodMonitor"):
        name = monitor["metadata"]["name"]
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            for pod in tree.selected(selector_of(monitor)):
                if endpoint.get("port") not in pod.ports():
                    yield f"{said(monitor)}: expected a port of {pod.name}, got {endpoint}"
            jobs = [
                one.get("replacement")
                for one in endpoint.get("relabelings") or ()
                if one.get("targetLabel") == "job"
            ]
            if jobs != [name]:
                yield f"{said(monitor)}: expected the job {name}, which rules ask for, got {jobs}"


def policy_breaches(tree: Tree) -> Iterator[str]:
    """Yield ports that a NetworkPolicy opens by a name that no pod behind them has."""
    for policy in tree.of("NetworkPolicy"):
        for rule in policy["spec"].get("ingress") or ():
            yield from _named(policy, rule, tree.selected(selector_of(policy)))
        for rule in policy["spec"].get("egress") or ():
            for peer in rule.get("to") or ():
                if peer.get("podSelector") and "namespaceSelector" not in peer:
                    yield from _named(policy, rule, tree.selected(peer["podSelector"]))


def _named(policy: Json, rule: Json, pods: list[Pod]) -> Iterator[str]:
    for port in rule.get("ports") or ():
        if not any(pod.has_port(port["port"]) for pod in pods):
            yield f"{said(policy)}: expected a port of its pods, got {port['port']}"


def route_breaches(tree: Tree) -> Iterator[str]:
    """Yield backends of routes that are no port of a Service here."""
    for route in tree.of("GRPCRoute", "HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for backend in rule.get("backendRefs") or ():
                service = tree.find("Service", backend["name"]) or {"spec": {"ports": []}}
                if backend.get("port") not in [port["port"] for port in service["spec"]["ports"]]:
                    where = f"{backend['name']}:{backend.get('port')}"
                    yield f"{said(route)}: expected a port of a Service here, got {where}"


def number_breaches(tree: Tree) -> Iterator[str]:
    """Yield ports whose number is not the one that the settings of the container say."""
    for pod in tree.pods:
        for container in pod.containers:
            settings = settings_of(tree, container)
            for port in container.get("ports") or ():
                wanted = getattr(settings, f"{port.get('name')}_port", None)
                if settings and wanted != port["containerPort"]:
                    got = f"{port.get('name')} {port['containerPort']}"
                    yield f"{pod.name}: expected the port of its settings, {wanted}, got {got}"
