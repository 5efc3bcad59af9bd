"""The alert rules: what is committed is what is generated, and every alert does what it says."""

import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import grpc
import promql_parser
import pytest
import yaml
from prometheus_client.registry import Collector

from deploy.rules import gen
from monitoring import levels
from service import metrics
from service.publish_metrics import PublishCollector
from service.publish_watch import PublishTally
from service.reevaluation_tally import ReevaluationTally
from service.reevaluator_metrics import ReevaluatorCollector
from service.standing import Standing
from service.swap_metrics import SwapCollector, SwapTally
from service.worker_metrics import WorkerCollector

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "rules"
TESTS = sorted(RULES.glob("*.test.yaml"))
WITHOUT_NAMESPACE = {"SonobaMetricsAbsent", "SonobaMonitorAbsent"}  # absent() keeps no label
LABELS = {"severity", "action", "slo", "long", "short", "job"}

SERVED = {  # by the server itself
    *("grpc_server_handled_total", "grpc_server_handling_seconds_bucket"),
    *("grpc_server_handling_seconds_count", "sonoba_model_info", "sonoba_rejections_total"),
    *("up", "ALERTS"),
}
DRIFT = {
    *("sonoba_drift_prompts_total", "sonoba_drift_rows_total"),
    *("sonoba_drift_channel_prompts_total", "sonoba_drift_inflation_total"),
    *("sonoba_drift_inflation_sq_total", "sonoba_drift_clipped_prompts_total"),
    *("sonoba_drift_excess_error_total", "sonoba_drift_query_signal_total"),
    *("sonoba_drift_length_effect_total", "sonoba_drift_skipped_prompts_total"),
    *("sonoba_drift_gate", "sonoba_drift_info_score", "sonoba_drift_reference_info"),
    *("sonoba_drift_reference_value", "sonoba_drift_last_update_timestamp_seconds"),
}
REEVALUATED = {"sonoba_reevaluations_total", "sonoba_last_reevaluation_timestamp_seconds"}
SWAPPED = {"sonoba_swaps_total"}
PUBLISHED = {"sonoba_publish_last_success_timestamp_seconds"}
SUPERVISED = {"sonoba_workers", "sonoba_workers_alive"}
ACCESS = {"sonoba_certificate_expiry_timestamp_seconds", "sonoba_certificate_lifetime_seconds"}


FEW_COLLECTIONS = {"GOGC": "400", "GOMAXPROCS": "1"}  # of promtool's garbage, a third of its time


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: Debian package prometheus")
    command, environ = ["promtool", *arguments], os.environ | FEW_COLLECTIONS
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=200)


def parsed(text: str) -> list[dict]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


@functools.cache
def written() -> list[dict]:
    return parsed(gen.RULES.read_text(encoding="utf-8"))


def alerts() -> list[dict]:
    return [rule for rule in written() if "alert" in rule]


def nodes(expression: str) -> list[promql_parser.Expr]:
    seen: list[promql_parser.Expr] = []
    promql_parser.walk(promql_parser.parse(expression), pre_visit=lambda node: seen.append(node))
    return seen


def test_the_committed_rules_are_the_generated_ones():
    assert gen.RULES.read_text(encoding="utf-8") == gen.render()


def test_no_group_is_empty_and_the_trust_is_the_last_rule_of_the_alerts():
    groups = yaml.safe_load(gen.RULES.read_text(encoding="utf-8"))["groups"]

    assert [group["name"] for group in groups] == [
        *("sonoba-slo-recording", "sonoba-drift-recording", "sonoba-alerts")
    ]
    assert all(group["rules"] and group["interval"] == "30s" for group in groups)
    assert groups[2]["rules"][-1]["record"] == "model:sonoba_trust:state"


@pytest.mark.parametrize("flags", [[], ["--fast"]], ids=["production", "fast"])
def test_promtool_accepts_the_rules(tmp_path, flags):
    gen.main([*flags, str(tmp_path / "out.yaml")])

    ran = promtool("check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / "out.yaml"))

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", TESTS, ids=[path.name.split(".")[1] for path in TESTS])
def test_promtool_sees_every_alert_do_what_it_says(path):
    ran = promtool("test", "rules", str(path))

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
def test_promtool_finds_a_wrong_line(tmp_path):
    wrong = gen.render().replace("sonoba_drift_gate:max > 2\n", "sonoba_drift_gate:max > 4.5\n")
    (tmp_path / gen.RULES.name).write_text(wrong)
    harm = yaml.safe_load((RULES / "sonoba.harm.test.yaml").read_text(encoding="utf-8"))
    harm["tests"] = harm["tests"][:1]  # its first case is of that line
    (tmp_path / "harm.yaml").write_text(yaml.safe_dump(harm))

    ran = promtool("test", "rules", str(tmp_path / "harm.yaml"))

    assert ran.returncode == 1
    assert "SonobaErrorInflationCritical" in ran.stderr + ran.stdout


@functools.cache
def cases_of_promtool() -> list[dict]:
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in TESTS]
    return [case for file in files for case in file["tests"]]


def states_expected(alert: str) -> list[list[bool]]:
    """Return by case, in the order of time, whether an alert is expected to fire."""
    cases = []
    for case in cases_of_promtool():
        asked = [one for one in case["promql_expr_test"] if names(one["expr"], alert)]
        expected = [
            (seconds(one["eval_time"]), bool(one["exp_samples"]))
            for one in asked
            if not one["exp_samples"] or "firing" in f"{one['expr']}{one['exp_samples']}"
        ]
        expected += [
            (seconds(one["eval_time"]), bool(one["exp_alerts"]))
            for one in case.get("alert_rule_test", [])
            if one["alertname"] == alert
        ]
        cases.append([fires for _, fires in sorted(expected)])
    return cases


def names(expression: str, alert: str) -> bool:
    matchers = re.findall(r'alertname(=~?)"([^"]+)"', expression)
    return any(re.fullmatch(value, alert) for _, value in matchers)


def seconds(duration: str) -> int:
    factors = {"h": 3600, "m": 60, "s": 1}
    return sum(int(n) * factors[unit] for n, unit in re.findall(r"(\d+)([hms])", duration))


@pytest.mark.parametrize("alert", sorted({rule["alert"] for rule in alerts()}))
def test_every_alert_is_seen_silent_firing_and_resolved(alert):
    cases = states_expected(alert)

    assert any(fires for case in cases for fires in case), "never seen to fire"
    assert any(not fires for case in cases for fires in case), "never seen silent"
    assert any(True in case and not case[-1] for case in cases), "never seen to end"


def test_the_lines_of_the_gate_are_those_of_the_service():
    text = gen.RULES.read_text(encoding="utf-8")

    assert f"model:sonoba_drift_gate:max > {levels.CRITICAL:g}\n" in text
    assert f"model:sonoba_drift_gate:max > {levels.MAJOR:g}\n" in text
    assert f"model:sonoba_drift_gate:max > {levels.LEAVE:g}\n" in text
    assert f"increase5m >= {levels.WINDOW_PROMPTS}\n" in text
    assert f"rows:increase5m >= {levels.WINDOW_ROWS_MIN}\n" in text


def test_wide_models_need_more_rows():
    assert "rows:increase5m >= 3200\n" in gen.render(feature_count=64)


def test_the_pace_of_a_test_changes_windows_and_waits_and_nothing_else():
    slow, fast = written(), parsed(gen.render(gen.fast(hold="7s", keep="9s")))

    def of_no_pace(rule: dict) -> dict:
        shown = {key: value for key, value in rule.items() if key not in ("for", "keep_firing_for")}
        return shown | {"expr": re.sub(r"\[\w+\]", "[]", rule["expr"])}

    assert [of_no_pace(rule) for rule in fast] == [of_no_pace(rule) for rule in slow]
    assert {rule.get("for", "7s") for rule in fast} == {"7s"}
    assert {rule.get("keep_firing_for", "9s") for rule in fast} == {"9s"}


def test_the_rules_in_use_are_not_replaced_by_fast_ones(capsys):
    with pytest.raises(SystemExit):
        gen.main(["--fast"])

    assert "expected OUT with --fast" in capsys.readouterr().err


def exported(collector: Collector) -> set[str]:
    return {sample.name for family in collector.collect() for sample in family.samples}


def test_what_the_rules_read_of_versions_and_evaluations_is_exported_from_the_start():
    swaps = SwapTally()
    swaps.admit("bikes")
    tally = ReevaluationTally()
    reevaluator = ReevaluatorCollector(tally, lambda: ["bikes"], lambda _: 0.0, lambda: True)

    assert exported(SwapCollector(swaps)) >= SWAPPED
    assert exported(WorkerCollector(lambda: [Standing(0)])) >= SUPERVISED
    assert exported(reevaluator) >= REEVALUATED
    assert exported(PublishCollector(PublishTally())) >= PUBLISHED


def test_failed_evaluations_are_counted_as_the_rules_read_them():
    tally = ReevaluationTally()
    tally.failed("bikes", "")
    reevaluator = ReevaluatorCollector(tally, lambda: ["bikes"], lambda _: 0.0, lambda: True)
    failed = [
        sample.value
        for family in reevaluator.collect()
        for sample in family.samples
        if sample.name == "sonoba_reevaluations_total" and sample.labels["outcome"] == "error"
    ]

    assert sum(failed) == 1
    assert 'sonoba_reevaluations_total{outcome="error"}' in gen.RULES.read_text(encoding="utf-8")


def test_every_metric_is_recorded_or_exported():
    recorded = {rule["record"] for rule in written() if "record" in rule}
    used = {
        node.name
        for rule in written()
        for node in nodes(rule["expr"])
        if isinstance(node, promql_parser.VectorSelector)
    }
    used |= {
        node.vector_selector.name
        for rule in written()
        for node in nodes(rule["expr"])
        if isinstance(node, promql_parser.MatrixSelector)
    }

    asked = SERVED | DRIFT | SWAPPED | REEVALUATED | ACCESS | SUPERVISED | PUBLISHED
    assert used - recorded == asked


def test_every_grouping_keeps_the_namespace():
    for rule in written():
        groupings = re.findall(r"\b(?:by|on|without|ignoring) \(([^)]*)\)", rule["expr"])

        assert all("namespace" in grouping.split(", ") for grouping in groupings), rule
        assert "without" not in rule["expr"] and "ignoring" not in rule["expr"]
        for node in nodes(rule["expr"]):  # no aggregation without a grouping
            if isinstance(node, promql_parser.AggregateExpr):
                assert "namespace" in node.modifier.labels, rule


def test_only_the_absent_alerts_lose_their_namespace():
    losing = {rule["alert"] for rule in alerts() if rule["expr"].startswith("absent")}

    assert losing == WITHOUT_NAMESPACE


def test_faults_are_codes_as_the_server_writes_them():
    served = {metrics._code_name(code) for code in grpc.StatusCode}
    faults = set(re.findall(r'grpc_code=~"([^"]+)"', gen.render()))

    assert len(faults) == 1
    assert set(faults.pop().split("|")) < served


def test_alerts_say_how_bad_what_to_read_and_where_to_look():
    panels = set(json.loads((DEPLOY / "panels.json").read_text(encoding="utf-8")).values())
    for rule in alerts():
        said = rule["annotations"]
        linked = re.fullmatch(
            r"/d/sonoba\?(?:var-model=\{\{ \$labels\.model \}\}&)?viewPanel=(\d+)",
            said["dashboard_url"],
        )

        assert set(rule["labels"]) <= LABELS
        assert rule["labels"]["severity"] in ("critical", "major", "warning", "info")
        assert re.search(r"\{\{ \$value \| humanize\w* \}\}", said["summary"])
        assert said["summary"].endswith(".") and len(said["description"]) > 40
        assert said["runbook_url"] == f"deploy/runbooks/{rule['alert']}.md"
        assert linked and int(linked[1]) in panels
        of_a_model = "$labels.model" in said["dashboard_url"]
        report = "/reports/latest?model={{ $labels.model }}" if of_a_model else None
        assert said.get("report_url") == report


def test_links_begin_where_the_operator_says():
    text = gen.render(
        runbooks="https://wiki.example.com/r/",
        dashboards="https://g.example.com",
        reports="https://sonoba.example.com/",
    )
    said = next(rule for rule in parsed(text) if rule.get("alert") == "SonobaShortContexts")

    runbook = said["annotations"]["runbook_url"]
    assert runbook == "https://wiki.example.com/r/SonobaShortContexts.md"
    assert said["annotations"]["dashboard_url"].startswith("https://g.example.com/d/sonoba?")
    report = said["annotations"]["report_url"]
    assert report == "https://sonoba.example.com/reports/latest?model={{ $labels.model }}"
