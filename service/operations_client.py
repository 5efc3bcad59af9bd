"""What `sonoba evaluate` and `sonoba models … --address` ask of a re-evaluator over gRPC."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple


class OperationsError(Exception):
    """A call that was refused or not answered, in one sentence; `reason` is its stable word."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Version(NamedTuple):
    """One stored version, as a re-evaluator lists it."""

    version: str
    kind: str
    created: datetime
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

    def versions(self, model: str) -> Versions:
        """Return the stored versions of a model."""
        raise NotImplementedError

    def promote(self, model: str, version: str, etag: str, reason: str, force: bool) -> Change:
        """Put a version in force; `force` also where the business rules would not."""
        raise NotImplementedError

    def roll_back(self, model: str, etag: str, reason: str) -> Change:
        """Put the version before in force again."""
        raise NotImplementedError

    def evaluate(self, model: str, trigger: str, reason: str, key: str = "") -> str:
        """Ask for an evaluation ("operator" or "schedule"); return its id."""
        raise NotImplementedError

    def evaluation(self, evaluation: str) -> Told:
        """Return one evaluation, finished or not."""
        raise NotImplementedError


@contextmanager
def operations(address: str, token_file: Path) -> Iterator[OperationsClient]:
    """Open a client of the re-evaluator at host:port for the length of a `with`."""
    raise NotImplementedError
    yield OperationsClient()
