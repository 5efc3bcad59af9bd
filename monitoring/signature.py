"""What the ratios of a window say together: the cause, in one word and one sentence.

Covariates show in h and in the leave-one-out error, noise in the latter and in ridge, queries in h
alone (docs/monitoring.md, "Attribution"). Rows are read from the top, the first that fits is the
answer; what is not known (NaN) fits nothing.
"""

from enum import Enum
from typing import NamedTuple

from monitoring.limits import Limits

SHRUNK = 1.5  # times less power of the labels than normal
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
    tail_share: float = UNKNOWN  # of rows outside the radius that holds 99 % of the reference's
    typical: float = UNKNOWN  # mean of the prompts that are not at the clip
    has_short_prompts: bool = False  # `monitoring.attribution.kind` is context_length


def signature(ratios: Ratios, limits: Limits | None = None) -> Signature:
    """Return what the ratios mean.

    >>> signature(Ratios(h=1.0, loo=2.3, ridge=4.0, label_power=1.3)).name
    'NOISE'
    """
    at = limits or Limits()
    is_harmful = ratios.h > at.risen or ratios.loo > at.risen
    if ratios.clipped_share > at.clipped_share_max and _are_few(ratios, at):
        return Signature.BAD_ROWS
    if is_harmful and ratios.has_heavy_tails:
        return Signature.HEAVY_TAILS
    is_short = ratios.length_effect > at.length_effect_max
    if is_short and (not is_harmful or ratios.best_error < at.avoidable_min):
        return Signature.FEW_EXAMPLES
    if is_harmful and ratios.has_short_prompts:
        return Signature.FEW_EXAMPLES
    if ratios.h > at.risen:
        return _answers_worse(ratios, at)
    if ratios.loo > at.risen:
        return _labels_changed(ratios, at)
    return Signature.SIGNAL_SHRANK if ratios.label_power * SHRUNK < 1.0 else Signature.QUIET


def _are_few(ratios: Ratios, at: Limits) -> bool:
    """Return whether prompts at the clip come from few sources.

    Where sources are not known: whether all other prompts are as ever, which no shift would leave
    them and heavy tails are known by.
    """
    if ratios.clipped_groups is None:
        return ratios.typical < at.risen and not ratios.has_heavy_tails
    return ratios.clipped_groups < at.clipped_groups_min


def _answers_worse(ratios: Ratios, at: Limits) -> Signature:
    """Return the cause where h rose: the examples, or the queries alone."""
    if ratios.loo <= at.risen:
        return Signature.QUERY_ONLY
    return Signature.FEW_EXAMPLES if ratios.best_error < at.avoidable_min else Signature.COVARIATE


def _labels_changed(ratios: Ratios, at: Limits) -> Signature:
    """Return the cause where only the leave-one-out error rose; a flat ridge accuses the model.

    A prior that is wrong on average explains what noise cannot, and noise moves no covariate.
    """
    if ratios.explained - 1.0 > at.explained_share * (ratios.loo - 1.0):
        return Signature.RELATION
    risen = {Signature.NOISE: ratios.ridge, Signature.TARGET_SCALE: ratios.label_power}
    if ratios.tail_share > at.tail_share_max:
        del risen[Signature.NOISE]
    known = {name: ratio for name, ratio in risen.items() if ratio > at.much_risen}
    return max(known, key=lambda name: known[name], default=Signature.COVARIATE)
