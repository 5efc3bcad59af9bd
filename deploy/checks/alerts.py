"""Alerts reach the re-evaluator: address, token and labels agree across four kinds of objects."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import promql_parser
import yaml

from deploy.checks.objects import Json, Tree, said
from deploy.checks.references import references
from deploy.checks.selection import selector_of
from deploy.checks.settings import settings_of
from deploy.rules import gen

PATH = "/alerts"
ABSENT = "absent("  # keeps no label; the operator adds the namespace of the rule to every alert
LINKS = {"runbook_url", "dashboard_url", "report_url"}


def receiver_breaches(tree: Tree) -> Iterator[str]:
    """Yield webhooks whose address is no Service here, or whose token no pod behind it knows."""
    for config in tree.of("AlertmanagerConfig"):
        for receiver in config["spec"]["receivers"]:
            for webhook in receiver.get("webhookConfigs") or ():
                yield from (f"{said(config)}: {it}" for it in _address(tree, webhook["url"]))
                yield from (f"{said(config)}: {it}" for it in _token(tree, webhook))


def _address(tree: Tree, url: str) -> Iterator[str]:
    split = urlsplit(url)
    name, _, namespace = (split.hostname or "").removesuffix(".svc").partition(".")
    service = tree.find("Service", name)
    if service is None:
        yield f"expected the address of a Service here, got {url}"
        return
    if namespace != service["metadata"].get("namespace"):
        yield f"expected the namespace of {said(service)} in the address, got {url}"
    ports = {port["port"] for port in service["spec"]["ports"] if port.get("name") == "webhook"}
    if split.port not in ports:
        yield f"expected the port webhook of {said(service)}, got {url}"
    scheme = "https" if _speaks_tls(tree, service) else "http"
    if split.scheme != scheme:
        yield f"expected {scheme}, which the port speaks, got {split.scheme}"
    if split.path != PATH:
        yield f"expected the path {PATH}, got {url}"


def _speaks_tls(tree: Tree, service: Json) -> bool:
    containers = [one for pod in tree.selected(selector_of(service)) for one in pod.containers]
    found = [settings_of(tree, container) for container in containers]
    return any(settings is not None and settings.tls_cert_file for settings in found)


def _token(tree: Tree, webhook: Json) -> Iterator[str]:
    token = webhook.get("httpConfig", {}).get("authorization", {}).get("credentials")
    if not token:
        yield "expected a Secret with the token of the webhook, got none"
        return
    mounted = [
        (name, keys)
        for pod in tree.pods
        for kind, name, keys in references(pod)
        if kind == "Secret"
    ]
    if not any(
        name == token["name"] and token["key"] in (keys or token.values()) for name, keys in mounted
    ):
        yield f"expected a Secret and key that the re-evaluator mounts, got {token}"


def route_breaches(tree: Tree) -> Iterator[str]:
    """Yield matchers of no alert, receivers that are not there, and groups without namespace."""
    alerts = [rule for rule in rules_of(tree) if "alert" in rule]
    for config in tree.of("AlertmanagerConfig"):
        spec = config["spec"]
        names = {receiver["name"] for receiver in spec["receivers"]}
        for route in (spec["route"], *(spec["route"].get("routes") or ())):
            if route["receiver"] not in names:
                yield f"{said(config)}: expected a receiver that is here, got {route['receiver']}"
            if "namespace" not in (route.get("groupBy") or ["namespace"]):
                yield f"{said(config)}: expected groups that keep namespace, got {route['groupBy']}"
            for matcher in route.get("matchers") or ():
                label, value = matcher["name"], matcher.get("value", "")
                if alerts and not any(rule["labels"].get(label) == value for rule in alerts):
                    yield f"{said(config)}: expected a matcher of some alert, got {label}={value}"


def rules_of(tree: Tree) -> list[Json]:
    """Return every rule of every PrometheusRule."""
    groups = [
        group for one in tree.of("PrometheusRule") for group in one["spec"].get("groups") or ()
    ]
    return [rule for group in groups for rule in group.get("rules") or ()]


def rule_breaches(tree: Tree) -> Iterator[str]:
    """Yield PrometheusRules that are empty, or not the rules that were tested."""
    for document in tree.of("PrometheusRule"):
        groups = document["spec"].get("groups") or []
        if not groups or not all(group.get("rules") for group in groups):
            yield f"{said(document)}: expected groups with rules, got an empty one"
        tested = yaml.safe_load(gen.RULES.read_text(encoding="utf-8"))["groups"]
        if list(map(_unlinked, groups)) != list(map(_unlinked, tested)):
            yield f"{said(document)}: expected the rules of {gen.RULES.name}, got others"


def _unlinked(group: Json) -> Json:
    """Return a group without the links of its alerts: an operator's readers have their own."""
    rules = [
        rule
        | {"annotations": {k: v for k, v in rule.get("annotations", {}).items() if k not in LINKS}}
        for rule in group.get("rules") or ()
    ]
    return group | {"rules": rules}


def namespace_breaches(tree: Tree) -> Iterator[str]:
    """Yield rules that lose `namespace`: the operator routes no alert without it."""
    for rule in rules_of(tree):
        name = rule.get("alert") or rule["record"]
        if rule["expr"].startswith(ABSENT):
            continue
        for grouping in re.findall(r"\b(?:by|on) ?\(([^)]*)\)", rule["expr"]):
            if "namespace" not in re.split(r"\s*,\s*", grouping):
                yield f"{name}: expected groups that keep namespace, got {grouping}"
        if _drops_all(rule["expr"]):
            yield f"{name}: expected groups by namespace, got an aggregation of all or without"


def _drops_all(expression: str) -> bool:
    found: list[promql_parser.AggregateExpr] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expression), pre_visit=visit)
    return "without" in expression or any(node.modifier is None for node in found)
