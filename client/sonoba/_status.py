"""From a status to a typed error: that of a whole call, or that of one prompt of many."""

import re

import grpc

from sonoba import errors
from sonoba._details import Details, read
from sonoba.v1 import predictor_pb2 as pb

ERRORS: dict[int, type[errors.SonobaError]] = {
    1: errors.Unavailable,  # CANCELLED, by the server: the caller's own ends in CancelledError
    3: errors.InvalidPrompt,
    4: errors.DeadlineExceeded,
    5: errors.NotFound,
    7: errors.PermissionDenied,
    8: errors.Overloaded,
    9: errors.InvalidPrompt,  # FAILED_PRECONDITION, for instance FALLBACK_FORBIDDEN
    14: errors.Unavailable,
    16: errors.PermissionDenied,
}
TOO_LARGE = "message larger than max"  # gRPC's own refusal, on either side; waiting does not help
SEND_FAILED = "Internal error from Core"  # grpc.aio's word for a message to a call that has ended


def call_error(failure: grpc.RpcError) -> errors.SonobaError:
    """Return the typed error of a failed call."""
    details = read(failure.trailing_metadata() or ())  # type: ignore[arg-type]  # pairs, in truth
    return _error(failure.code().value[0], failure.details() or "", details)


def prompt_error(error: pb.PromptError, request_id: str = "") -> errors.SonobaError:
    """Return the typed error of one prompt among others."""
    details = Details(reason=error.reason, field=error.field, request_id=request_id)
    return _error(error.code, error.message, details)


def _error(code: int, sentence: str, details: Details) -> errors.SonobaError:
    known = {"field": details.field, "request_id": details.request_id}
    if code == 8 and TOO_LARGE in sentence:
        return errors.InvalidPrompt(sentence, reason="LIMIT_EXCEEDED", **known)
    if code == 13 and sentence == SEND_FAILED:
        return errors.Unavailable(sentence)
    if details.reason == "SCHEMA_MISMATCH":
        found = re.search("expected (.*), got (.*)", sentence, re.DOTALL)
        expected, got = found.groups() if found else ("", "")
        reason = details.reason
        return errors.SchemaMismatch(sentence, expected=expected, got=got, reason=reason, **known)
    kind = ERRORS.get(code, errors.ServerError)
    if kind is errors.Overloaded:
        after = details.retry_after
        return errors.Overloaded(sentence, retry_after=after, reason=details.reason, **known)
    return kind(sentence, reason=details.reason, **known)
