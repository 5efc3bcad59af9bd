"""Planters of violations: each changes one thing in the rendered tree of production."""

from deploy.checks.objects import Tree
from deploy.checks.policy import RULES
from tests.deploy.rendering import Planted, documents

REEVALUATOR = "sonoba-reevaluator"


def put(where, key, value):
    """Return a planter that sets one field of the part that `where` finds, or takes it away."""

    def plant(tree):
        part = where(tree)
        part[key] = value
        if value is None:
            del part[key]

    return plant


def drop(kind, name="sonoba"):
    """Return a planter that takes an object out of the tree."""
    return lambda tree: tree.documents.remove(tree(kind, name))


def add(*found):
    """Return a planter that adds objects to the tree."""
    return lambda tree: tree.documents.extend(found)


def named(kind, name, **fields):
    return {"kind": kind, "metadata": {"name": name, "namespace": "sonoba"}} | fields


def spec(kind, name="sonoba"):
    return lambda tree: tree(kind, name)["spec"]


def server(tree):
    return tree.container()


def pod(tree):
    return tree.pod()


def settings(name, value, of="sonoba-config"):
    return put(lambda tree: tree.settings(of), name, value)


def alert(tree):
    return next(
        rule
        for group in tree("PrometheusRule")["spec"]["groups"]
        for rule in group["rules"]
        if rule.get("alert") == "SonobaErrorInflationCritical"
    )


def webhook(tree):
    return tree("AlertmanagerConfig")["spec"]["receivers"][0]["webhookConfigs"][0]


def role(tree):
    return tree("Role", REEVALUATOR)["rules"][0]


def context(tree):
    return tree.container()["securityContext"]


def mount(tree, path="/var/lib/sonoba/models"):
    return next(one for one in tree.container()["volumeMounts"] if one["mountPath"] == path)


def found(rule, plant):
    """Return what one rule says of the tree once something was planted, a sentence a line."""
    tree = Planted(documents())
    plant(tree)
    return "\n".join(RULES[rule](Tree(tree.documents)))


def names(planted):
    """Return a name for each test: the rule and its sentence."""
    return [f"{rule}: {sentence[:50]}" for rule, _, sentence in planted]
