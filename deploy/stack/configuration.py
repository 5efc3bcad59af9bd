"""The shipped configuration of Prometheus and Alertmanager, with other addresses in it.

    python -m deploy.stack.configuration    deploy/alerting/compose/*.yml, for deploy/compose.yaml

There is one text of each, deploy/alerting/*.yml; what is written from it is never edited.
"""

import re
from collections.abc import Mapping
from pathlib import Path

ALERTING = Path(__file__).resolve().parents[1] / "alerting"
RULES = ALERTING.parent / "rules/sonoba.rules.yaml"
COMPOSE = ALERTING / "compose"

SCRAPED_AT, REEVALUATOR_AT, ALERTED_AT = "127.0.0.1:9464", "127.0.0.1:9465", "127.0.0.1:9093"
HOOK_AT, RULES_AT, EVERY = "http://127.0.0.1:8085/", "../rules/sonoba.rules.yaml", "interval: 15s"


def prometheus(
    server: str, reevaluator: str, alertmanager: str, rules: str, every: str = "15s"
) -> str:
    """Return Prometheus's configuration; addresses are host:port, `rules` is a path."""
    found = {SCRAPED_AT: server, REEVALUATOR_AT: reevaluator, ALERTED_AT: alertmanager}
    found |= {RULES_AT: rules, EVERY: f"interval: {every}", "timeout: 10s": f"timeout: {every}"}
    if every == "15s":
        del found["timeout: 10s"]
    return replaced((ALERTING / "prometheus.yml").read_text(encoding="utf-8"), found)


def alertmanager(hook: str) -> str:
    """Return Alertmanager's configuration; `hook` is where the re-evaluator is, a URL."""
    text = (ALERTING / "alertmanager.yml").read_text(encoding="utf-8")
    return replaced(text, {HOOK_AT: hook})


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """Return a text with each key replaced, in one pass; each must stand in it exactly once."""
    for old in changes:
        if (count := _body(text).count(old)) != 1:
            raise ValueError(f"expected {old} once in the shipped configuration, got it {count} ×")
    pattern = re.compile("|".join(map(re.escape, changes)))
    return pattern.sub(lambda found: changes[found[0]], _body(text))


def _body(text: str) -> str:
    """Return a text without the remarks above it: they tell how the shipped file is started."""
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith("#"):
        del lines[0]
    return "".join(lines)


def compose() -> dict[Path, str]:
    """Return what deploy/compose.yaml mounts, by file: containers are reached by their names."""
    remark = "# Written by `python -m deploy.stack.configuration` from ../{}; edit that.\n"
    asked = prometheus("sonoba:9464", "reevaluator:9464", "alertmanager:9093", "sonoba.rules.yaml")
    told = alertmanager("http://reevaluator:8085/")
    texts = {"prometheus.yml": asked, "alertmanager.yml": told}
    return {COMPOSE / name: remark.format(name) + text for name, text in texts.items()}


def main() -> None:
    """Write what deploy/compose.yaml mounts."""
    for path, text in compose().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
