"""The ledger: which evaluations there are and where each stands, in one SQLite file.

Every change and its line of the audit log are one transaction, so that neither is ever without the
other (docs/adr/0018). Times are written for people; order is by number, and how long ago something
was is reckoned by a clock that no jump moves (service/ledger_clock.py).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

from service.evaluation_record import Asked, Changes, Evaluation, Page, State, Trigger
from service.ledger_clock import Clock, now
from service.ledger_file import LedgerError

__all__ = ["Ledger", "LedgerError"]


class Ledger:
    """Evaluations and audit log of one store; any number of threads and processes may use it.

    Every method raises `LedgerError` with one sentence where the file cannot be used (disk full,
    read-only, locked, damaged), and then nothing is half-written.
    """

    def __init__(self, path: Path, clock: Clock = now, busy_seconds: float = 10.0) -> None:
        """Open the file, by name `<store>/audit.sqlite`; it is made with its folder."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        raise NotImplementedError

    def ask(
        self,
        model: str,
        trigger: Trigger,
        key: str = "",
        actor: str = "",
        reason: str = "",
        started_seconds_ago: float = 0.0,
        labels: Mapping[str, str] | None = None,
    ) -> Asked:
        """Ask for an evaluation; one key makes one, and an empty key is always another.

        While one of the model is unfinished, whoever asks is given that one, and its key is
        remembered as a key of it.
        """
        raise NotImplementedError

    def move(
        self,
        evaluation_id: str,
        expected: State,
        new: State,
        *,
        actor: str = "reevaluator",
        is_automatic: bool = False,
        detail: Mapping[str, object] | None = None,
        **changes: Unpack[Changes],
    ) -> bool:
        """Move an evaluation if it stands where expected; False, and nothing, if it does not.

        `is_automatic`: this move changes what is in force and no person asked for it, so it counts
        for cool-down and the most actions a day. `detail` goes to the audit log only: the inputs
        of the decision. `new` may be `expected`: then only fields change.
        """
        raise NotImplementedError

    def record(
        self,
        actor: str,
        action: str,
        model: str = "",
        detail: Mapping[str, object] | None = None,
        evaluation_id: str = "",
        changes_force: bool = False,
    ) -> int:
        """Append one line to the audit log and return its number; for reads and people's acts.

        `changes_force`: a person put another version in force; the cool-down begins anew.
        """
        raise NotImplementedError

    def get(self, evaluation_id: str) -> Evaluation | None:
        """Return one evaluation."""
        raise NotImplementedError

    def unfinished(self) -> list[Evaluation]:
        """Return what a re-evaluator has to go on with, the oldest first."""
        raise NotImplementedError

    def list(self, model: str = "", size: int = 100, token: str = "") -> Page:
        """Return a page of evaluations; a token that is none raises `LedgerError`."""
        raise NotImplementedError

    def actions_since(self, model: str, seconds: float) -> int:
        """Return how often a version was changed automatically within some seconds."""
        raise NotImplementedError

    def seconds_since_action(self, model: str) -> float:
        """Return for how long nobody, program or person, has changed what is in force; else inf."""
        raise NotImplementedError
