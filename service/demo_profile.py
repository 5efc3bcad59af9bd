"""The demo's profile: the earliest weeks, pretrained and stored by the steps of `sonoba pretrain`.

The weeks that are replayed are not in the file it learns from.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from model.profile_fit import Tick
from service.boosting import Boosting, fit_boosting, is_present
from service.held_out import PROFILE
from service.history_reader import Roles
from service.pretrain_run import Plan, Refused, keep, learn, read
from service.replay import FOUNDATION, GROUP, HOURS, LABEL

NAME = "bikes"


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A stored profile, and boosting of the same rows where scikit-learn is installed."""

    store: Path
    boosting: Boosting | None = field(repr=False)

    def flags(self) -> tuple[str, ...]:
        """Return what makes `sonoba serve` answer with the profile."""
        return "--store", str(self.store), "--default-model", NAME, "--page-names", "1"

    def models(self) -> dict[str, str]:
        """Return what is asked, as it is called in the report, and its name on the server."""
        return {PROFILE: NAME, FOUNDATION: FOUNDATION}


def pretrain(out: Path, first_replayed: int, tick: Tick) -> Pretrained:
    """Write the weeks before `first_replayed` to history.csv, learn from it, and fill the store.

    Raises `Refused` with the reason where the profile is not admitted.
    """
    started = time.monotonic()
    tick("reading the history", 0.0)
    history = out / "history.csv"
    write_history(history, first_replayed)
    plan = Plan(NAME, history, False, Roles(group=GROUP, target=LABEL))
    found = read(plan)
    learnt = learn(plan, found, tick)
    if learnt.admission.refusal:
        raise Refused(f"the profile is not stored: {learnt.admission.refusal}")
    keep(plan, found, learnt, out / "store", time.monotonic() - started, datetime.now(UTC))
    tick("fitting pooled gradient boosting to the history", 1.0)
    boosting = fit_boosting(found.history.groups, plan.seed) if is_present() else None
    return Pretrained(out / "store", boosting)


def write_history(path: Path, first_replayed: int) -> None:
    """Write the shipped rows of the weeks before `first_replayed`, unchanged."""
    header, *rows = HOURS.read_text(encoding="utf-8").splitlines(keepends=True)
    place = header.split(",").index(GROUP)
    early = [row for row in rows if int(row.split(",")[place]) < first_replayed]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join([header, *early]), encoding="utf-8")
