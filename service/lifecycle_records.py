"""What is told of an evaluation: its report, and the line that servers show of the last one.

A report is a function of the ledger's row and of the findings, which only the report keeps: names
of features stand in no other place. So it can be written again at any time.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.last_evaluation import LastEvaluation
from model.store import Store
from model.version_folder import StoreError
from monitoring.policy import Decision, Rules
from service.business_rules import BusinessRules
from service.evaluation_record import Evaluation, State, Trigger
from service.findings import Findings
from service.report import (
    AfterTold,
    AlertTold,
    DecisionTold,
    Report,
    ReportError,
    ShadowTold,
    Step,
    VersionsTold,
    prune,
    read,
    read_file,
    write,
)

log = logging.getLogger("sonoba")

SENTENCE_CHARACTERS = 2000  # as model.last_evaluation allows


def decision_entry(decision: Decision, now_seconds: float) -> dict[str, object]:
    """Return a decision as `progress` keeps it; `Records` puts it into the report."""
    sentence = {"en": decision.sentence_en, "ja": decision.sentence_ja}
    return {
        "action": str(decision.action),
        "rule": decision.rule,
        "sentence": sentence,
        "time": _utc(now_seconds).isoformat(),
    }


@dataclass(frozen=True, slots=True)
class Records:
    """Writes reports into a folder, and into the store what servers show."""

    store: Store
    folder: Path
    rules: BusinessRules
    public_url: str = ""
    keep_days: float = 90.0
    keep_count: int = 500

    def url(self, evaluation_id: str) -> str:
        """Return where people read a report; empty where no address is configured."""
        return f"{self.public_url.rstrip('/')}/reports/{evaluation_id}" if self.public_url else ""

    def findings(self, evaluation_id: str) -> Findings | None:
        """Return what an evaluation found, as its report keeps it; None where there is none."""
        try:
            return read(self.folder, evaluation_id).findings
        except ReportError:
            return None

    def report(self, evaluation_id: str) -> str:
        """Return a report as JSON; empty where there is none."""
        try:
            return read_file(self.folder, evaluation_id, "json").decode()
        except (ReportError, UnicodeDecodeError):
            return ""

    def keep(self, evaluation: Evaluation, findings: Findings | None = None) -> None:
        """Write the report of an evaluation as it stands; `OSError` where that is not possible."""
        findings = findings or self.findings(evaluation.id)
        rules = self.rules.for_model(evaluation.model)
        write(report_of(evaluation, findings, rules), self.folder)

    def is_behind(self, evaluation: Evaluation) -> bool:
        """Return whether the report does not tell where an evaluation stands, or is not there."""
        try:
            return read(self.folder, evaluation.id).state != evaluation.state.value
        except ReportError:
            return True

    def tell(self, evaluation: Evaluation) -> None:
        """Write the report, and tell the servers what was concluded; a fault is only logged."""
        try:
            self.keep(evaluation)
        except OSError as error:
            log.warning("evaluation %s: no report: %s", evaluation.id, error.strerror or error)
        if not evaluation.verdict:
            return
        try:
            last = LastEvaluation(
                evaluation_id=evaluation.id,
                time_seconds=evaluation.updated_seconds,
                verdict=evaluation.verdict,
                reason=evaluation.reason,
                action=evaluation.action,
                sentence={
                    "en": evaluation.sentence_en[:SENTENCE_CHARACTERS],
                    "ja": evaluation.sentence_ja[:SENTENCE_CHARACTERS],
                },
                report_url=evaluation.report_url,
            )
            self.store.tell(evaluation.model, last)
        except (StoreError, ValueError) as error:
            log.warning("evaluation %s: servers were not told: %s", evaluation.id, error)

    def prune(self) -> None:
        """Delete the reports that are older, or more, than are kept; a fault is only logged."""
        try:
            gone = prune(self.folder, self.keep_days, self.keep_count)
        except OSError as error:
            log.warning("old reports stay: %s", error.strerror or error)
            return
        if gone:
            log.info("deleted %d old reports", len(gone))


def report_of(evaluation: Evaluation, findings: Findings | None, rules: Rules) -> Report:
    """Return the report of an evaluation as it stands."""
    known: Mapping[str, Any] = evaluation.progress
    updated = _utc(evaluation.updated_seconds)
    is_ended = evaluation.state.is_finished
    return Report(
        evaluation=evaluation.id,
        model=evaluation.model,
        trigger=_TRIGGERS[evaluation.trigger],
        alerts=_alerts(evaluation.labels),
        asked=_utc(evaluation.created_seconds),
        judged=known.get("judged"),
        ended=updated if is_ended else None,
        state=evaluation.state.value,
        history=tuple(_steps(evaluation)),
        findings=findings,
        decisions=tuple(DecisionTold(**one) for one in known.get("decisions", ())),
        rules={name: _shown(value) for name, value in asdict(rules).items()},
        shadow=ShadowTold(**known["shadow"]) if known.get("shadow") else None,
        after=AfterTold(**known["after"]) if known.get("after") else None,
        versions=VersionsTold(
            served=evaluation.model_version,
            candidate=evaluation.candidate_version,
            in_force=str(known.get("in_force", "")) if is_ended else "",
        ),
        failure=evaluation.fault or None,
    )


def _steps(evaluation: Evaluation) -> list[Step]:
    """Return every state with its time; the ledger's own state is the last one, come what may."""
    steps = [Step(state=State.ASKED.value, time=_utc(evaluation.created_seconds))]
    steps += [Step(**one) for one in evaluation.progress.get("history", ())]  # type: ignore[attr-defined]
    if steps[-1].state != evaluation.state.value:
        steps.append(Step(state=evaluation.state.value, time=_utc(evaluation.updated_seconds)))
    return steps


def _alerts(labels: Mapping[str, str]) -> tuple[AlertTold, ...]:
    if "alertname" not in labels:
        return ()
    return (AlertTold(alertname=labels["alertname"], severity=labels.get("severity", "")),)


def _shown(value: object) -> str | int | float | bool | None:
    return value if isinstance(value, str | int | float | bool) else str(value)


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


_TRIGGERS: dict[Trigger, Any] = {one: one.value.lower() for one in Trigger}
