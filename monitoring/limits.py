"""The lines that signatures and verdicts are drawn by; over normal where nothing else is said."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The thresholds of docs/reevaluation.md, "The order of decisions"; settings may change them.

    A gain is the share of the served leave-one-out error that a candidate saves.
    """

    prompts_min: int = 256
    """Prompts below which nothing is judged."""
    risen: float = 1.25
    """Lower bounds of h and leave-one-out error, from where there is harm."""
    much_risen: float = 1.5
    """Ridge and power of the labels, which carry no bound."""
    length_effect_max: float = 1.25
    """What lengths alone may do to the error."""
    clipped_share_max: float = 0.05
    """Prompts at the clip."""
    clipped_groups_min: int = 3
    """Sources of such prompts, below which those are bad rows and no shift."""
    tail_share_max: float = 0.03
    """Rows outside the radius that holds 99 % of the reference's, below which labels are noisy."""
    explained_share: float = 0.5
    """Of the rise of the error: explained by the mean task, or repaired by a candidate."""
    query_excess: float = 1.5
    """Mean h over mean leave-one-out error, from where only queries moved."""
    avoidable_min: float = 1.25
    """h over the best possible h, below which no method could do better."""
    gain_min: float = 0.05
    """Of a recalibration, its lower 95 % bound."""
    opportunity_gain_min: float = 0.20
    """Of one where there is no harm, as it is most likely."""
    regret_min: float = 1.25
    """Excess error over the least that any prior or weights reach, where sums alone tell a gain."""
    relative_error_max: float = 1.25
    """Error of the recalibrated model, also over the labels' power, from where more is wrong."""
    watch_max: float = 1.5
    """Lower bounds, up to which an error that nothing repairs is only watched."""
