"""What can go wrong with a call, as types.

SonobaError             everything below: a sentence, a reason, a field, a request id
├── InvalidPrompt       the prompt at fault; `field` and `reason` say where and why
├── SchemaMismatch      other columns than the model's: `expected`, `got`
├── NotFound            no such model or version
├── Overloaded          too many calls, or too many of yours; `retry_after` seconds
├── DeadlineExceeded    no answer within the timeout
├── Unavailable         nobody answers, or the server is leaving; retried already
├── PermissionDenied    no credential, a wrong one, or one that does not allow this
└── ServerError         a bug on the other side; `request_id` finds it in the server's log
"""

from typing import Self


class SonobaError(Exception):
    """A call that gave no answer.

    `sentence` is for people, `reason` (`TOO_FEW_EXAMPLES`) for programs; `field` is the path in the
    request (`examples.labels`). Reason, field and request id are empty where nobody knows them.
    """

    def __init__(
        self, sentence: str, *, reason: str = "", field: str = "", request_id: str = ""
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.reason = reason
        self.field = field
        self.request_id = request_id


class InvalidPrompt(SonobaError):
    """A prompt that cannot be answered as it stands; found here or by the server."""

    @classmethod
    def at(cls, field: str, sentence: str, reason: str = "BAD_SHAPE") -> Self:
        """Return the error of a field found wrong before anything was sent."""
        return cls(f"{field}: {sentence}", reason=reason, field=field)


class SchemaMismatch(SonobaError):
    """Other features, columns or schema hash than the model's."""

    def __init__(
        self,
        sentence: str,
        *,
        expected: str = "",
        got: str = "",
        reason: str = "",
        field: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(sentence, reason=reason, field=field, request_id=request_id)
        self.expected = expected
        self.got = got


class NotFound(SonobaError):
    """A model or a version that the server does not have."""


class Overloaded(SonobaError):
    """More work than the server takes now; `retry_after` seconds from now it may, None: unknown."""

    def __init__(
        self,
        sentence: str,
        *,
        retry_after: float | None = None,
        reason: str = "",
        field: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(sentence, reason=reason, field=field, request_id=request_id)
        self.retry_after = retry_after


class DeadlineExceeded(SonobaError):
    """No answer within the timeout."""


class Unavailable(SonobaError):
    """No server, or one that is leaving; the SDK has retried as far as the deadline let it."""


class PermissionDenied(SonobaError):
    """No credential, a wrong one, or one that does not allow this call."""


class ServerError(SonobaError):
    """A bug on the other side, or an answer that contradicts its request."""
