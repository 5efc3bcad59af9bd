"""The steps of pretraining: read, fit without the held-out groups, judge, fit with all, store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from model.features import Number
from model.manifest import Training
from model.profile_fit import FEWEST_GROUPS, Tick
from model.profile_support import held_out_folds
from model.store import Store
from monitoring.baseline import ROWS_PER_ALARM
from service import __version__
from service.admission import Admission, admit
from service.boosting import Boosting, fit_boosting, is_present
from service.held_out import LENGTHS, Cell, draw, judge, split
from service.history_reader import Roles, read_history
from service.history_sums import HistoryRead
from service.pretrain_draft import Told, draft, normal, reference_arrays
from service.profile_fit import Fitted, calibrated_profile, fit_profile
from service.reference_fit import watched_profile
from service.statistics_file import read_statistics

FEWEST_TOLD_APART = 3  # two to learn from and one to test on
UNTIL_THEN = "until then the foundation model serves, which needs no history"


class Refused(Exception):
    """A history or a profile that is not good enough, in one sentence."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the caller asks for."""

    name: str
    source: Path
    is_statistics: bool
    roles: Roles
    layer_count: int = 4
    seed: int = 0
    rows_per_alarm: int = ROWS_PER_ALARM


@dataclass(frozen=True, slots=True)
class Learnt:
    """A profile of the whole history, and what the same fit was worth on held-out groups."""

    fitted: Fitted
    cells: Sequence[Cell] = field(repr=False)
    admission: Admission


def read(plan: Plan) -> HistoryRead:
    """Read the rows or the sums; refuse a history of one group."""
    if plan.is_statistics:
        units, names = plan.roles.units, plan.roles.features or ()
        features = [Number(name=name, unit=units.get(name, "")) for name in names]
        found = read_statistics(plan.source, features, plan.seed)
    else:
        found = read_history(plan.source, plan.roles, plan.seed)
    if (count := len(found.history.groups)) < FEWEST_TOLD_APART:
        raise Refused(f"expected at least {FEWEST_TOLD_APART} groups, got {count}: {UNTIL_THEN}")
    return found


def learn(plan: Plan, found: HistoryRead, tick: Tick) -> Learnt:
    """Fit and judge on held-out groups, then fit all groups if that went well."""
    known, unseen = split(found.history, plan.seed)

    def ticks(stage: str) -> Tick:
        return lambda detail, share: tick(f"{stage}: {detail}", share)

    fitted = fit_profile(known, plan.seed, plan.layer_count, ticks("fitting part of the groups"))
    boosting: Boosting | None = None
    if is_present() and not found.is_simulated:  # drawn rows are linear: a tree has nothing to find
        tick("fitting pooled gradient boosting", 0.0)
        boosting = fit_boosting(known.groups, plan.seed)
    cells = []
    for i, length in enumerate(LENGTHS):
        tick(f"answering held-out prompts of {length} examples", (i + 1) / len(LENGTHS))
        if prompts := draw(unseen, length, plan.seed):
            cells.append(judge(prompts, fitted, boosting))
    admission = admit(cells, len(found.history.groups), plan.seed)
    if not admission.refusal:
        fitted = _whole(plan, found, ticks("fitting all groups"))
    return Learnt(fitted, cells, admission)


def _whole(plan: Plan, found: HistoryRead, tick: Tick) -> Fitted:
    """Fit all groups and calibrate the intervals; refuse few groups that show no gain."""
    fitted = fit_profile(found.history, plan.seed, plan.layer_count, tick)
    if not fitted.parameters.buckets:
        raise Refused(
            f"{len(found.history.groups)} groups do not show that history helps here; "
            f"from {FEWEST_GROUPS} on they need not: {UNTIL_THEN}"
        )
    if found.is_simulated:
        return fitted
    tick("intervals", 1.0)
    folds = held_out_folds(found.history, fitted.parameters, plan.seed)
    fitted = calibrated_profile(fitted, folds)
    tick("what is normal, for monitoring", 1.0)
    return watched_profile(fitted, folds, plan.seed, plan.rows_per_alarm)


def keep(
    plan: Plan, found: HistoryRead, learnt: Learnt, store: Path, seconds: float, created: datetime
) -> str:
    """Store the profile as a new version, put it in force and return it."""
    roles = plan.roles
    training = Training(
        source=plan.source.name,
        evidence="statistics" if plan.is_statistics else "rows",
        group=roles.group or "entity",
        order=roles.order or ("row" if roles.is_in_order else None),
        seed=plan.seed,
        row_count=found.row_count,
        used_row_count=found.used_row_count,
        group_count=len(found.history.groups),
        layer_count=plan.layer_count,
        seconds=round(seconds, 2),
        code_version=__version__,
        notices=found.notices,
    )
    unit = roles.units.get(roles.target, "")
    told = Told(plan.name, roles.target, unit, training, created)
    described = draft(told, found, learnt.fitted, learnt.cells, learnt.admission)
    arrays = {**learnt.fitted.arrays(), **reference_arrays(normal(found.sums))}
    return Store(store).save(described, arrays)
