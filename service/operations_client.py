"""What `sonoba evaluate` and `sonoba models … --address` ask of a re-evaluator over gRPC."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from service.channels import opened
from service.tokens import bearer
from sonoba import Tls
from sonoba.v1 import operations_pb2 as pb

SERVICE = "sonoba.v1.Operations"
SECONDS = 10.0  # a call may take; an evaluation is asked for here, not waited for
TRIGGERS = {
    "alert": pb.EVALUATION_TRIGGER_ALERT,
    "schedule": pb.EVALUATION_TRIGGER_SCHEDULE,
    "operator": pb.EVALUATION_TRIGGER_OPERATOR,
}
Answer = TypeVar("Answer", bound=Message)


class OperationsError(Exception):
    """A call that was refused or not answered, in one sentence; `reason` is its stable word."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Version(NamedTuple):
    """One stored version, as a re-evaluator lists it."""

    version: str
    kind: str
    created: datetime | None  # UTC; None where the version cannot be read
    role: str  # "current", "previous", "candidate" or empty
    parent: str
    fault: str


class Versions(NamedTuple):
    """The versions of a model, the newest first, and what a change must bring."""

    versions: tuple[Version, ...]
    etag: str


class Change(NamedTuple):
    """What a promotion or a rollback put in force."""

    version: str
    previous_version: str
    etag: str


class Told(NamedTuple):
    """One evaluation as a re-evaluator tells it."""

    evaluation: str
    model: str
    state: str
    verdict: str
    reason: str
    sentence: str
    action: str
    rule: str
    model_version: str
    candidate_version: str
    report_url: str


class OperationsClient:
    """Calls `sonoba.v1.Operations` with the operators' token; each method may raise the above."""

    def __init__(self, channel: grpc.Channel, address: str, token_file: Path) -> None:
        self._channel, self._address, self._token_file = channel, address, token_file

    def versions(self, model: str) -> Versions:
        """Return the stored versions of a model."""
        request = pb.ListModelVersionsRequest(model=model)
        told = self._call("ListModelVersions", request, pb.ListModelVersionsResponse)
        return Versions(tuple(map(_version, told.versions)), told.etag)

    def promote(
        self, model: str, version: str, etag: str, reason: str, force: bool = False
    ) -> Change:
        """Put a version in force; `force` also where the business rules would not."""
        request = pb.PromoteModelVersionRequest(
            model=model, version=version, etag=etag, reason=reason, force=force
        )
        told = self._call("PromoteModelVersion", request, pb.PromoteModelVersionResponse)
        return Change(told.version, told.previous_version, told.etag)

    def roll_back(self, model: str, etag: str, reason: str) -> Change:
        """Put the version before in force again."""
        request = pb.RollbackModelRequest(model=model, etag=etag, reason=reason)
        told = self._call("RollbackModel", request, pb.RollbackModelResponse)
        return Change(told.version, told.previous_version, told.etag)

    def evaluate(self, model: str, trigger: str, reason: str, key: str = "") -> str:
        """Ask for an evaluation ("operator" or "schedule"); return its id."""
        request = pb.EvaluateModelRequest(
            model=model, trigger=TRIGGERS[trigger], reason=reason, idempotency_key=key
        )
        return self._call("EvaluateModel", request, pb.EvaluateModelResponse).evaluation_id

    def evaluation(self, evaluation: str) -> Told:
        """Return one evaluation, finished or not; the audit log keeps that its report was read."""
        request = pb.GetEvaluationRequest(evaluation_id=evaluation)
        return _told(self._call("GetEvaluation", request, pb.GetEvaluationResponse).evaluation)

    def latest(self, model: str) -> tuple[Told, ...]:
        """Return a model's newest evaluations, the newest first, without their reports."""
        request = pb.ListEvaluationsRequest(model=model)
        response = self._call("ListEvaluations", request, pb.ListEvaluationsResponse)
        return tuple(map(_told, response.evaluations))

    def _call(self, name: str, request: Message, answer: type[Answer]) -> Answer:
        try:
            metadata = bearer(self._token_file)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise OperationsError("TOKEN", f"{self._token_file}: {reason}") from None
        method: grpc.UnaryUnaryMultiCallable[Message, Answer] = self._channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        try:
            return method(request, timeout=SECONDS, metadata=metadata)
        except grpc.RpcError as error:
            raise _refused(error, self._address) from None


@contextmanager
def operations(
    address: str, token_file: Path, tls: Tls | None = None
) -> Iterator[OperationsClient]:
    """Open a client of the re-evaluator at host:port for the length of a `with`."""
    with opened(address, tls) as channel:
        yield OperationsClient(channel, address, token_file)


def _refused(error: Any, address: str) -> OperationsError:
    """Return what a call that failed says, or that nobody answered it."""
    status = rpc_status.from_call(error)
    if status is None:
        code = error.code().name
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return OperationsError(code, f"no re-evaluator answers at {address}")
        return OperationsError(code, f"{address}: {error.details()}")
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
    return OperationsError(info.reason or error.code().name, status.message)


def _version(told: pb.ModelVersion) -> Version:
    created = told.create_time.ToDatetime(UTC) if told.create_time != Timestamp() else None
    return Version(told.version, told.kind, created, told.role, told.parent, told.fault)


def _told(told: pb.Evaluation) -> Told:
    return Told(
        told.evaluation_id,
        *(told.model, told.state, told.verdict, told.reason, told.sentence),
        *(told.action, told.rule, told.model_version, told.candidate_version),
        told.report_url,
    )
