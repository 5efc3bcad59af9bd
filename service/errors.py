"""One table from reasons to status codes, and the rich status a caller gets with a refusal."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from model.refusal import Refusal
from service.call import Call
from service.call_log import CallLog
from service.tally import MethodTally
from service.trace_context import trace_id_of

STATUS = {
    "MALFORMED_REQUEST": grpc.StatusCode.INVALID_ARGUMENT,
    "BAD_SHAPE": grpc.StatusCode.INVALID_ARGUMENT,
    "LIMIT_EXCEEDED": grpc.StatusCode.INVALID_ARGUMENT,
    "UNKNOWN_ENCODING": grpc.StatusCode.INVALID_ARGUMENT,
    "BAD_REQUEST_ID": grpc.StatusCode.INVALID_ARGUMENT,
    "BAD_PAGE": grpc.StatusCode.INVALID_ARGUMENT,
    "NOT_FINITE": grpc.StatusCode.INVALID_ARGUMENT,
    "NUMERIC_OVERFLOW": grpc.StatusCode.INVALID_ARGUMENT,
    "TOO_FEW_EXAMPLES": grpc.StatusCode.INVALID_ARGUMENT,
    "BAD_SUMMARY": grpc.StatusCode.INVALID_ARGUMENT,
    "BAD_LEVEL": grpc.StatusCode.INVALID_ARGUMENT,
    "OUT_OF_RANGE_FEATURE": grpc.StatusCode.INVALID_ARGUMENT,
    "BAD_TENANT": grpc.StatusCode.INVALID_ARGUMENT,
    "BAD_ARGUMENT": grpc.StatusCode.INVALID_ARGUMENT,
    "UNAUTHENTICATED": grpc.StatusCode.UNAUTHENTICATED,
    "PERMISSION_DENIED": grpc.StatusCode.PERMISSION_DENIED,
    "SCHEMA_MISMATCH": grpc.StatusCode.FAILED_PRECONDITION,
    "FALLBACK_FORBIDDEN": grpc.StatusCode.FAILED_PRECONDITION,
    "UNSUPPORTED_OPTION": grpc.StatusCode.UNIMPLEMENTED,
    "MODEL_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "VERSION_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "EVALUATION_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "CONFLICT": grpc.StatusCode.ABORTED,
    "COOL_DOWN": grpc.StatusCode.FAILED_PRECONDITION,
    "NOT_APPROVED": grpc.StatusCode.FAILED_PRECONDITION,
    "VERSION_REFUSED": grpc.StatusCode.FAILED_PRECONDITION,
    "IN_FORCE": grpc.StatusCode.FAILED_PRECONDITION,
    "STANDING_BY": grpc.StatusCode.UNAVAILABLE,
    "STORE_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "OVERLOADED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "QUOTA_EXCEEDED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "EXPIRED": grpc.StatusCode.DEADLINE_EXCEEDED,
    "DRAINING": grpc.StatusCode.UNAVAILABLE,
    "INTERNAL": grpc.StatusCode.INTERNAL,
}
FOUND = {
    "MODEL_NOT_FOUND": "model",
    "VERSION_NOT_FOUND": "model version",
    "EVALUATION_NOT_FOUND": "evaluation",
}
"""What was looked for, by reason."""
RETRY_SECONDS = {"OVERLOADED": 0.1, "DRAINING": 0.05, "QUOTA_EXCEEDED": 1.0}
PUSHBACK = "grpc-retry-pushback-ms"  # what gRPC's own retries wait by

Handler = Callable[[bytes, Call], bytes]
Behaviour = Callable[[bytes, grpc.ServicerContext], bytes]
Admit = Callable[[grpc.ServicerContext, Call], None]
"""Is shown a call before its handler: may refuse it, and may say whose it is."""


@dataclass(frozen=True)
class Ending(grpc.Status):
    """What a call ends with, in the form that the transport takes."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


def code_of(refusal: Refusal) -> int:
    """Return the google.rpc.Code number of a refusal."""
    number: int = STATUS[refusal.reason].value[0]
    return number


def internal(request_id: str) -> Refusal:
    """Return what a caller learns of a bug: that there was one, and the id to ask about it."""
    return Refusal("INTERNAL", "", f"internal error, request {request_id}")


def status_of(refusal: Refusal, request_id: str, trace_id: str = "") -> status_pb2.Status:
    """Return google.rpc.Status with ErrorInfo and the detail that belongs to the reason."""
    ids = {"request_id": request_id} | ({"trace_id": trace_id} if trace_id else {})
    info = error_details_pb2.ErrorInfo(reason=refusal.reason, domain="sonoba", metadata=ids)
    status = status_pb2.Status(code=code_of(refusal), message=str(refusal))
    for detail in (info, *_details(refusal)):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def ending(refusal: Refusal, request_id: str, trace_id: str = "") -> grpc.Status:
    """Return what a call ends with (`abort_with_status`): its status, and when to come again."""
    status = rpc_status.to_status(status_of(refusal, request_id, trace_id))
    milliseconds = _retry_milliseconds(refusal)
    if milliseconds is None:
        return status
    pushback = (PUSHBACK, str(milliseconds))
    return Ending(status.code, status.details, (*status.trailing_metadata, pushback))


def _retry_milliseconds(refusal: Refusal) -> int | None:
    seconds = refusal.retry_seconds
    if seconds is None:
        seconds = RETRY_SECONDS.get(refusal.reason)
    return None if seconds is None else math.ceil(seconds * 1000)


def _details(refusal: Refusal) -> list[Message]:
    code = STATUS[refusal.reason]
    details: list[Message] = []
    if refusal.reason == "QUOTA_EXCEEDED":
        quota = error_details_pb2.QuotaFailure()
        quota.violations.add(subject=refusal.field, description=refusal.sentence)
        details.append(quota)
    if (milliseconds := _retry_milliseconds(refusal)) is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(milliseconds)
        return [*details, retry]
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        failure = error_details_pb2.PreconditionFailure()
        failure.violations.add(
            type=refusal.reason, subject=refusal.field, description=refusal.sentence
        )
        return [failure]
    if code is grpc.StatusCode.NOT_FOUND:
        of = FOUND[refusal.reason], refusal.sentence
        details.append(error_details_pb2.ResourceInfo(resource_type=of[0], description=of[1]))
    if refusal.field:
        request = error_details_pb2.BadRequest()
        request.field_violations.add(field=refusal.field, description=refusal.sentence)
        details.append(request)
    return details


def answered(
    handler: Handler,
    default_deadline_seconds: float,
    count: Callable[[str], None],
    admit: Admit | None = None,
    told: CallLog | None = None,
    tally: MethodTally | None = None,
) -> Behaviour:
    """Answer a refusal with its status and sentence, and a bug with nothing but the fact.

    `count` is told the reason of every refusal; `admit` comes before the request is read.
    `told` logs what went wrong and what took long, `tally` counts calls.
    """
    told, tally = told or CallLog(handler.__name__), tally or MethodTally("unary", "", "")
    enter, answer, least_seconds = tally.enter, tally.answer, told.least_seconds
    now, longest = time.monotonic, default_deadline_seconds

    def behaviour(wire: bytes, context: grpc.ServicerContext) -> bytes:
        enter()
        seconds = context.time_remaining()
        call = Call(seconds if seconds < longest else longest)
        try:
            call.check_deadline()
            if admit is not None:
                admit(context, call)
            response = handler(wire, call)
            if (taken := now() - call.begun) >= least_seconds:
                told.answered(call, wire, context, taken)
            answer(taken)
            return response
        except Exception as error:
            failed = error if isinstance(error, Refusal) else internal(call.request_id)
            told.refused(call, wire, context, failed.reason, STATUS[failed.reason].name)
        count(failed.reason)
        tally.end(STATUS[failed.reason], now() - call.begun, 0)
        context.abort_with_status(ending(failed, call.request_id, trace_id_of(context)))
        raise AssertionError("abort_with_status raises")

    return behaviour
