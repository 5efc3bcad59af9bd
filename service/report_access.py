"""Who may read reports: HTTP Basic, the name of the reader and the operators' token.

Mounted by the re-evaluator's HTTP port under /reports; every read of a report is audited.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

PREFIX = "/reports"
REFUSAL_SECONDS = 1.0  # a wrong password waits this long, right ones never

Record = Callable[[str, str, str, Mapping[str, object]], object]
"""`Ledger.record(actor, action, model, details)`."""


class ReportAccess:
    """A WSGI application: the list, one report as page or JSON, a model's latest."""

    def __init__(
        self,
        folder: Path,
        is_password: Callable[[str], bool],
        record: Record,
        *,
        refusal_seconds: float = REFUSAL_SECONDS,
    ) -> None:
        """Take the folder of reports, a constant-time check of the token, and the audit log."""
        raise NotImplementedError

    def __call__(self, asked: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer /reports, /reports/<id>, /reports/<id>.json and /reports/latest?model=M."""
        raise NotImplementedError
