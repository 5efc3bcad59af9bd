"""What the ratios of a window say together: the cause, in one word and one sentence.

Covariates show in h and in the leave-one-out error, noise in the latter and in ridge, queries in h
alone (docs/monitoring.md, "Attribution"). Rows are read from the top, the first that fits is the
answer; what is not known (NaN) fits nothing.
"""

from enum import Enum
from typing import NamedTuple

RISEN = 1.25  # lower bounds of h and LOO, the effect of lengths, h over the best possible
MUCH_RISEN = 1.5  # ridge and label power, which carry no bound
SHRUNK = 1.0 / MUCH_RISEN
CLIPPED_SHARE_MAX = 0.05
FEW_GROUPS = 3
EXPLAINED_SHARE = 0.5  # of the rise of the error, from where the mean task is its cause
UNKNOWN = float("nan")


class Signature(Enum):
    """The cause of what a window shows; `sentence` says it to a reader."""

    QUIET = "nothing here hurts"
    BAD_ROWS = "a few sources send wild rows: set those prompts aside and look again"
    HEAVY_TAILS = "single rows lie far out, which the model was not made for"
    FEW_EXAMPLES = "prompts bring fewer examples, or less varied ones: no method could do better"
    COVARIATE = "the covariates moved to where this model answers badly"
    QUERY_ONLY = "queries lie further out than the examples that should explain them"
    RELATION = "labels follow the features in another way than they did: look for a wrong column"
    NOISE = "labels are noisier: retraining cannot help"
    TARGET_SCALE = "targets are on another scale; the relative error is what it was"
    SIGNAL_SHRANK = "labels vary less than they did, so the same error weighs more"

    @property
    def sentence(self) -> str:
        """What it means."""
        return self.value


class Ratios(NamedTuple):
    """A window over its reference, 1 is normal; NaN where it is not known."""

    h: float  # lower 95 % bound of the mean clipped ratio
    loo: float  # the same of the leave-one-out error
    ridge: float = UNKNOWN  # mean leave-one-out error of the exact ridge
    label_power: float = UNKNOWN
    length_effect: float = UNKNOWN  # mean h₀[bucket] ÷ h₀
    clipped_share: float = UNKNOWN  # share of prompts at the clip, no ratio
    clipped_groups: int | None = None  # of how many groups those are; None if few are known
    has_heavy_tails: bool = False  # `monitoring.attribution.kind` is tail
    best_error: float = UNKNOWN  # h over the best possible h, by the same of the reference
    explained: float = UNKNOWN  # error by moments and mean task alone, over the reference's


def signature(ratios: Ratios) -> Signature:
    """Return what the ratios mean.

    >>> signature(Ratios(h=1.0, loo=2.3, ridge=4.0, label_power=1.3)).name
    'NOISE'
    """
    is_harmful = ratios.h > RISEN or ratios.loo > RISEN
    if ratios.clipped_share > CLIPPED_SHARE_MAX and _are_few(ratios.clipped_groups):
        return Signature.BAD_ROWS
    if is_harmful and ratios.has_heavy_tails:
        return Signature.HEAVY_TAILS
    if ratios.length_effect > RISEN and (not is_harmful or ratios.best_error < RISEN):
        return Signature.FEW_EXAMPLES
    if ratios.h > RISEN:
        return _answers_worse(ratios)
    if ratios.loo > RISEN:
        return _labels_changed(ratios)
    return Signature.SIGNAL_SHRANK if ratios.label_power < SHRUNK else Signature.QUIET


def _are_few(groups: int | None) -> bool:
    return groups is not None and groups < FEW_GROUPS


def _answers_worse(ratios: Ratios) -> Signature:
    """Return the cause where h rose: the examples, or the queries alone."""
    if ratios.loo <= RISEN:
        return Signature.QUERY_ONLY
    return Signature.FEW_EXAMPLES if ratios.best_error < RISEN else Signature.COVARIATE


def _labels_changed(ratios: Ratios) -> Signature:
    """Return the cause where only the leave-one-out error rose; a flat ridge accuses the model.

    A prior that is wrong on average explains what noise cannot.
    """
    if ratios.explained - 1.0 > EXPLAINED_SHARE * (ratios.loo - 1.0):
        return Signature.RELATION
    risen = {Signature.NOISE: ratios.ridge, Signature.TARGET_SCALE: ratios.label_power}
    known = {name: ratio for name, ratio in risen.items() if ratio > MUCH_RISEN}
    return max(known, key=lambda name: known[name], default=Signature.COVARIATE)
