"""What the Prometheus operator would make of our objects, by its documentation and real programs.

No operator runs here: how it reads an object is written down below, and what it would write is
given to promtool and amtool.
"""

import re

import pytest
import yaml

from deploy.rules import gen
from tests.deploy.rendering import Planted, documents
from tests.deploy.test_alerting import amtool
from tests.deploy.test_rules import promtool

HARM = ("severity=critical", "action=reevaluate", "alertname=SonobaErrorInflationCritical")


@pytest.fixture
def tree():
    return Planted(documents())


def test_the_committed_rules_and_their_object_are_the_generated_ones():
    assert gen.outdated() == []


def test_an_object_of_other_rules_is_found(tmp_path, monkeypatch):
    planted = tmp_path / gen.OBJECT.name
    planted.write_text(gen.OBJECT.read_text().replace("for: 5m", "for: 6m", 1))
    monkeypatch.setattr(gen, "OBJECT", planted)

    assert gen.outdated() == [gen.OBJECT.name]


def written(rules, folder):
    """Write the groups of a PrometheusRule as the operator does, and return the file."""
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": rules["spec"]["groups"]}), encoding="utf-8")
    return path


def test_promtool_accepts_the_groups_of_the_object(tree, tmp_path):
    path = written(tree("PrometheusRule"), tmp_path)

    ran = promtool("check", "rules", "--lint=all", "--lint-fatal", str(path))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert int(re.search(r"SUCCESS: (\d+) rules found", ran.stdout)[1]) > 50


def test_promtool_finds_an_expression_that_is_none(tree, tmp_path):
    rules = tree("PrometheusRule")
    rules["spec"]["groups"][0]["rules"][0]["expr"] = "sum by (namespace ("

    ran = promtool("check", "rules", str(written(rules, tmp_path)))

    assert ran.returncode == 1


def configured(config, folder):
    """Write an administrator's configuration with our route in it, as the operator adds it.

    Names begin with namespace and object; a matcher holds the route to alerts of its namespace; it
    goes on to the routes behind it; secrets become files.
    """
    namespace, name = config["metadata"]["namespace"], config["metadata"]["name"]
    spec = config["spec"]
    receivers = [
        {
            "name": f"{namespace}/{name}/{receiver['name']}",
            "webhook_configs": [
                {"url": webhook["url"], "max_alerts": webhook["maxAlerts"]}
                for webhook in receiver["webhookConfigs"]
            ],
        }
        for receiver in spec["receivers"]
    ]
    own = [f'{one["name"]} = "{one["value"]}"' for one in spec["route"]["matchers"]]
    route = {
        "receiver": f"{namespace}/{name}/{spec['route']['receiver']}",
        "matchers": [f'namespace = "{namespace}"', *own],
        "group_by": spec["route"]["groupBy"],
        "group_wait": spec["route"]["groupWait"],
        "group_interval": spec["route"]["groupInterval"],
        "repeat_interval": spec["route"]["repeatInterval"],
        "continue": True,
    }
    people = {"receiver": "people", "matchers": ['severity =~ "critical|major|warning"']}
    whole = {
        "route": {"receiver": "people", "routes": [route, people]},
        "receivers": [{"name": "people"}, *receivers],
    }
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(whole), encoding="utf-8")
    return path


def routed(path, receivers, *labels):
    verify = (f"--config.file={path}", f"--verify.receivers={receivers}")
    return amtool("config", "routes", "test", *verify, *labels)


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ((*HARM, "namespace=sonoba", "model=bikes"), "sonoba/sonoba/reevaluate,people"),
        ((*HARM, "namespace=other", "model=bikes"), "people"),
        ((*HARM, "model=bikes"), "people"),
        (("severity=critical", "job=sonoba", "namespace=sonoba"), "people"),
    ],
    ids=["harm", "of another namespace", "without namespace", "of a server"],
)
def test_an_alert_of_harm_reaches_the_reevaluator_and_people(tree, tmp_path, labels, receivers):
    path = configured(tree("AlertmanagerConfig"), tmp_path)

    assert amtool("check-config", str(path)).returncode == 0
    ran = routed(path, receivers, *labels)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_route_of_another_namespace_is_found(tree, tmp_path):
    config = tree("AlertmanagerConfig")
    config["metadata"]["namespace"] = "default"

    labels = (*HARM, "namespace=sonoba")
    ran = routed(configured(config, tmp_path), "default/sonoba/reevaluate,people", *labels)

    assert ran.returncode == 1
