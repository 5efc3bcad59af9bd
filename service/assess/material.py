"""What every step of an assessment looks at: a profile fitted without the groups it is judged on.

Calibrated and watched like one that serves, from the groups it learnt from alone, so that nothing
of a held-out group is in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.history import History, Prompts
from model.profile import ProfileModel
from model.profile_fit import Tick
from model.profile_support import held_out_folds
from service.boosting import Boosting, fit_boosting, is_present
from service.held_out import LENGTHS, Cell, draw, judge, split
from service.history_sums import HistoryRead
from service.profile_fit import Fitted, calibrated_profile, fit_profile
from service.reference_fit import watched_profile

LAYERS = 4


@dataclass(frozen=True, slots=True)
class Material:
    """A history in two parts, and what was learnt from the first."""

    found: HistoryRead
    known: History
    unseen: History
    fitted: Fitted  # its `reference` is None where `unwatched` says why
    model: ProfileModel  # of the same parameters, as it would serve
    boosting: Boosting | None
    prompts: Mapping[int, Prompts]  # held out, by number of examples
    cells: Sequence[Cell]  # their errors, the fewest examples first
    seed: int

    @property
    def length(self) -> int:
        """The number of examples that most is said of: the largest that most groups can give."""
        groups = len(self.unseen.groups)
        usual = [M for M in self.prompts if 2 * len(self.unseen.long_enough(M)) >= groups]
        return max(usual, default=min(self.prompts))


def prepare(found: HistoryRead, seed: int, tick: Tick) -> Material:
    """Split, fit, calibrate and judge; `tick` is told the stage and its share."""
    known, unseen = split(found.history, seed)
    fitted = fit_profile(known, seed, LAYERS, tick)
    if fitted.parameters.buckets:
        tick("intervals and what is normal", 1.0)
        folds = held_out_folds(known, fitted.parameters, seed)
        fitted = watched_profile(calibrated_profile(fitted, folds), folds, seed)
    tick("pooled gradient boosting", 1.0)
    boosting = fit_boosting(known.groups, seed) if is_present() else None
    drawn = {M: prompts for M in LENGTHS if (prompts := draw(unseen, M, seed))}
    cells = [judge(prompts, fitted, boosting) for prompts in drawn.values()]
    return Material(found, known, unseen, fitted, fitted.served(), boosting, drawn, cells, seed)
