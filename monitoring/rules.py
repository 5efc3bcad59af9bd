"""What an owner wants of re-evaluations, each rule a number with its unit or who decides.

The defaults are those of docs/governance.md; a file changes them (service/business_rules.py), and
`sonoba rules show` says each in a sentence.
"""

from dataclasses import dataclass
from typing import Literal

from monitoring.levels import CRITICAL, LEAVE
from monitoring.verdict import Limits

Who = Literal["auto", "approve"]


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one model."""

    minimum_prompts: int = 256
    gather_seconds_max: float = 3600.0  # to wait for them
    minimum_gain: float = 0.05  # share of the served error, surely saved
    propose_below_minimum_gain: bool = True
    tenant_loss_max: float = 0.05  # share by which one tenant's error may rise
    shadow_prompts: int = 200
    shadow_looks: int = 4  # at shadow_prompts and after every doubling
    shadow_seconds_max: float = 86_400.0
    watch_prompts: int = 1000
    watch_prompts_min: int = 100
    watch_seconds_max: float = 86_400.0
    rollback_margin: float = 0.05  # share above the shadow's upper bound
    error_risen: float = 1.25  # over normal, from where a verdict sees harm
    power_risen: float = 1.5  # the same of label power and ridge error, which carry no bound
    opportunity_gain: float = 0.20  # from where a version without harm is recalibrated
    minimum_regret: float = 1.25  # excess error over the least possible
    error_enter: float = CRITICAL  # over normal
    error_leave: float = LEAVE
    calm_seconds: float = 1800.0
    cool_down_seconds: float = 21_600.0
    actions_per_day_max: int = 3
    recalibrate: Who = "auto"
    repretrain: Who = "approve"
    change_kind: Who = "approve"
    roll_back: Who = "auto"

    def limits(self) -> Limits:
        """Return what a verdict needs of them."""
        return Limits(
            prompts_min=self.minimum_prompts,
            risen=self.error_risen,
            much_risen=self.power_risen,
            gain_min=self.minimum_gain,
            opportunity_gain_min=self.opportunity_gain,
            regret_min=self.minimum_regret,
        )
