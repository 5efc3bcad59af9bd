"""What operators ask of the re-evaluator over gRPC: `sonoba.v1.Operations`.

Every call has brought the operators' token (service/admin_port.py). One that stands by answers what
only reads, and takes requests for evaluations; it changes nothing.
"""

import math
from collections.abc import Callable
from datetime import UTC

from model.refusal import Refusal
from model.store_pointer import Pointer
from model.version_folder import StoreError
from service import codec
from service.call import Call
from service.drift_report import drift
from service.errors import Handler
from service.evaluation_record import Evaluation, Trigger
from service.findings import Findings
from service.ledger import LedgerError
from service.lifecycle_parts import Parts
from service.operator_changes import Wish, promote_for, roll_back_for
from sonoba.v1 import operations_pb2 as pb

SERVICE = "sonoba.v1.Operations"
REASON_CHARACTERS_MAX = 256
PAGE_SIZE_MAX = 100
WINDOW_SECONDS, WINDOW_SECONDS_MAX = 3600.0, 7 * 86_400.0
TRIGGERS = {
    pb.EVALUATION_TRIGGER_UNSPECIFIED: Trigger.OPERATOR,
    pb.EVALUATION_TRIGGER_ALERT: Trigger.ALERT,
    pb.EVALUATION_TRIGGER_SCHEDULE: Trigger.SCHEDULE,
    pb.EVALUATION_TRIGGER_OPERATOR: Trigger.OPERATOR,
}
TOLD = {trigger: number for number, trigger in TRIGGERS.items() if number}


class Operations:
    """Answers the calls of operators."""

    def __init__(
        self, parts: Parts, wake: Callable[[], None], is_leading: Callable[[], bool]
    ) -> None:
        """Take what to work with, whom to wake when there is work, and who acts."""
        self._parts, self._wake, self._is_leading = parts, wake, is_leading

    def handlers(self) -> dict[str, Handler]:
        """Return the methods by name."""
        methods = {
            "GetDriftReport": self.get_drift_report,
            "EvaluateModel": self.evaluate_model,
            "GetEvaluation": self.get_evaluation,
            "ListEvaluations": self.list_evaluations,
            "ListModelVersions": self.list_model_versions,
            "PromoteModelVersion": self.promote_model_version,
            "RollbackModel": self.rollback_model,
        }
        return {name: _told_of_faults(method) for name, method in methods.items()}

    def get_drift_report(self, wire: bytes, call: Call) -> bytes:
        """Return how the prompts of all replicas stand against the reference, now."""
        request = codec.parse(pb.GetDriftReportRequest, wire)
        seconds = request.window_seconds or WINDOW_SECONDS
        if not 0.0 < seconds <= WINDOW_SECONDS_MAX:
            sentence = f"expected 0 to {WINDOW_SECONDS_MAX:g}, got {seconds:g}"
            raise Refusal("BAD_ARGUMENT", "window_seconds", sentence)
        found = drift(self._parts, self._known(request.model), seconds)
        return _drift_message(found).SerializeToString()

    def evaluate_model(self, wire: bytes, call: Call) -> bytes:
        """Ask for a re-evaluation; the same key gives the same one."""
        request = codec.parse(pb.EvaluateModelRequest, wire)
        model, key = self._known(request.model), _short(request.idempotency_key, "idempotency_key")
        if request.trigger not in TRIGGERS:
            sentence = f"expected a trigger, got {request.trigger}"
            raise Refusal("BAD_ARGUMENT", "trigger", sentence)
        asked = self._parts.ledger.ask(
            model,
            TRIGGERS[request.trigger],
            f"operator {key}" if key else "",
            _actor(call),
            _short(request.reason, "reason"),
        )
        self._wake()
        return pb.EvaluateModelResponse(evaluation_id=asked.evaluation_id).SerializeToString()

    def get_evaluation(self, wire: bytes, call: Call) -> bytes:
        """Return one evaluation with its report; the read is written down, for names are in it."""
        request = codec.parse(pb.GetEvaluationRequest, wire)
        found = self._parts.ledger.get(request.evaluation_id)
        if found is None:
            sentence = f"expected the id of an evaluation, got {request.evaluation_id[:64]!r}"
            raise Refusal("EVALUATION_NOT_FOUND", "evaluation_id", sentence)
        message = _evaluation(found)
        if report := self._parts.records.report(found.id):
            self._parts.ledger.record(_actor(call), "report.read", found.model, None, found.id)
            message.report_json = report
        return pb.GetEvaluationResponse(evaluation=message).SerializeToString()

    def list_evaluations(self, wire: bytes, call: Call) -> bytes:
        """Return a page of evaluations, the newest first."""
        request = codec.parse(pb.ListEvaluationsRequest, wire)
        model = self._known(request.model) if request.model else ""
        if not 0 <= request.page_size <= PAGE_SIZE_MAX:
            sentence = f"expected 1 to {PAGE_SIZE_MAX}, got {request.page_size}"
            raise Refusal("BAD_PAGE", "page_size", sentence)
        token = request.page_token
        if token and not (token.isascii() and token.isdecimal() and len(token) < 19):
            sentence = f"expected one that a page gave, got {token[:64]!r}"
            raise Refusal("BAD_PAGE", "page_token", sentence)
        page = self._parts.ledger.list(model, request.page_size, token)
        return pb.ListEvaluationsResponse(
            evaluations=map(_evaluation, page.evaluations), next_page_token=page.next_token
        ).SerializeToString()

    def list_model_versions(self, wire: bytes, call: Call) -> bytes:
        """Return the stored versions of a model, the newest first."""
        request = codec.parse(pb.ListModelVersionsRequest, wire)
        model = self._known(request.model)
        pointer = self._parts.in_force.pointer(model)
        stored = reversed(self._parts.store.versions(model))
        return pb.ListModelVersionsResponse(
            versions=[self._version(model, version, pointer) for version in stored],
            etag="" if pointer is None else pointer.etag,
        ).SerializeToString()

    def promote_model_version(self, wire: bytes, call: Call) -> bytes:
        """Put a stored version in force."""
        request = codec.parse(pb.PromoteModelVersionRequest, wire)
        wish = self._wish(request.model, request.etag, request.reason, call)
        wish = wish._replace(version=request.version, is_forced=request.force)
        pointer = promote_for(self._parts, wish)
        self._wake()
        return pb.PromoteModelVersionResponse(**_told(pointer)).SerializeToString()

    def rollback_model(self, wire: bytes, call: Call) -> bytes:
        """Put the version before in force again."""
        request = codec.parse(pb.RollbackModelRequest, wire)
        pointer = roll_back_for(
            self._parts, self._wish(request.model, request.etag, request.reason, call)
        )
        self._wake()
        return pb.RollbackModelResponse(**_told(pointer)).SerializeToString()

    def _wish(self, model: str, etag: str, reason: str, call: Call) -> Wish:
        """Return what an operator wants; refuse it where this process stands by."""
        if not self._is_leading():
            sentence = "this re-evaluator stands by: ask the one that acts"
            raise Refusal("STANDING_BY", "", sentence)
        if not reason.strip():
            raise Refusal("BAD_ARGUMENT", "reason", "expected a sentence, got none")
        return Wish(self._known(model), etag, _short(reason, "reason"), _actor(call))

    def _known(self, model: str) -> str:
        names = self._parts.in_force.names()
        if model not in names:
            sentence = f"expected one of {', '.join(names)}, got {model[:64]!r}"
            raise Refusal("MODEL_NOT_FOUND", "model", sentence)
        return model

    def _version(self, model: str, version: str, pointer: Pointer | None) -> pb.ModelVersion:
        message = pb.ModelVersion(version=version)
        if pointer is not None:
            roles = ("candidate", "previous", "current")  # the last that fits is told
            places = {getattr(pointer, "version" if r == "current" else r): r for r in roles}
            message.role = places.get(version, "")
        try:
            manifest = self._parts.store.load(model, version).manifest
        except StoreError as error:
            message.fault = str(error)
            return message
        message.kind = manifest.kind
        message.create_time.FromDatetime(manifest.created.astimezone(UTC).replace(tzinfo=None))
        message.parent = "" if manifest.origin is None else manifest.origin.parent
        return message


def _told_of_faults(method: Handler) -> Handler:
    """Return a method whose store and ledger say in a sentence why they cannot be used."""

    def handler(wire: bytes, call: Call) -> bytes:
        try:
            return method(wire, call)
        except (StoreError, LedgerError) as error:
            raise Refusal("STORE_UNAVAILABLE", "", str(error)) from None

    handler.__name__ = method.__name__
    return handler


def _evaluation(found: Evaluation) -> pb.Evaluation:
    message = pb.Evaluation(
        evaluation_id=found.id,
        model=found.model,
        state=found.state.value,
        verdict=found.verdict,
        reason=found.reason,
        sentence=found.sentence_en or found.fault,
        action=found.action,
        rule=found.rule,
        trigger=TOLD[found.trigger],
        model_version=found.model_version,
        candidate_version=found.candidate_version,
        report_url=found.report_url,
    )
    message.create_time.FromMilliseconds(round(found.created_seconds * 1000))
    message.update_time.FromMilliseconds(round(found.updated_seconds * 1000))
    return message


def _drift_message(findings: Findings) -> pb.GetDriftReportResponse:
    message = pb.GetDriftReportResponse(
        reference=findings.reference,
        model_version=findings.model_version,
        prompt_count=findings.window.prompt_count,
        row_count=findings.window.row_count,
        ratios={name: _number(value) for name, value in findings.ratios.items()},
        signature=findings.signature,
        shift_kind=findings.shift_kind,
        regret=_number(findings.regret),
        missing_replicas=findings.window.missing_replicas,
    )
    for channel, level in findings.levels.items():
        message.levels.add(channel=channel, lower_bound=level.lower, mean=level.mean,
                           prompt_count=level.prompt_count)  # fmt: skip
    for one in findings.features:
        message.contributions.add(
            name=one.name,
            share=_number(one.share),
            **{n: getattr(one, n) for n in ("window_mean", "window_deviation")},
            **{n: getattr(one, n) for n in ("reference_mean", "reference_deviation")},
        )
    return message


def _told(pointer: Pointer) -> dict[str, str]:
    return {
        "version": pointer.version,
        "previous_version": pointer.previous,
        "etag": pointer.etag,
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _actor(call: Call) -> str:
    return f"operator ({call.caller})"


def _short(text: str, field: str) -> str:
    """Return a caller's text; refuse one that a line of a log cannot hold."""
    if len(text) > REASON_CHARACTERS_MAX or not text.isprintable():
        most = REASON_CHARACTERS_MAX
        sentence = f"expected at most {most} printable characters, got {len(text)}"
        raise Refusal("BAD_ARGUMENT", field, sentence)
    return text
