"""Every business rule as a file may write it: its range, its unit, and what it means.

The sentences are those of `sonoba rules show` and the comments of deploy/business-rules.yaml, the
defaults those of `monitoring.rules.Rules`, field by field.
"""

import re
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from monitoring.rules import Rules, Who

DEFAULT: Final = Rules()
UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
YEAR_SECONDS: Final = 365 * 86_400.0


def seconds_of(value: object) -> object:
    """Return the seconds of "6h", "90s" or "7d"; anything else as it is."""
    found = DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(found[1]) * UNITS[found[2]] if found else value


def duration_of(seconds: float) -> str:
    """Return some seconds as a file writes them, in the largest unit that leaves no fraction.

    >>> duration_of(21600.0), duration_of(90.0), duration_of(0.0)
    ('6h', '90s', '0s')
    """
    whole = (unit for unit, size in reversed(UNITS.items()) if seconds and seconds % size == 0.0)
    unit = next(whole, "s")
    return f"{seconds / UNITS[unit]:g}{unit}"


Count = Annotated[int, Field(ge=1, le=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(ge=1, le=100)]
Seconds = Annotated[float, BeforeValidator(seconds_of), Field(ge=0, le=YEAR_SECONDS)]
Flag = Annotated[bool, Field(strict=True)]


class RuleValues(BaseModel):
    """The rules of one model, or the defaults of a file; what is left out is inherited."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    minimum_prompts: Annotated[int, Field(ge=20, le=1_000_000)] = DEFAULT.minimum_prompts
    """Prompts below which nothing is concluded."""
    gather_seconds_max: Seconds = DEFAULT.gather_seconds_max
    """Time to wait for them, and for servers that do not answer; then there is no verdict."""
    minimum_gain: Share = DEFAULT.minimum_gain
    """Share of the error that a new version must surely save before it is put in force."""
    propose_below_minimum_gain: Flag = DEFAULT.propose_below_minimum_gain
    """Whether a smaller but sure gain is proposed to a person; else it is turned down."""
    tenant_loss_max: Share = DEFAULT.tenant_loss_max
    """Share by which the error of a tenant, of 30 kept prompts or more, may rise."""
    shadow_prompts: Annotated[int, Field(ge=20, le=1_000_000)] = DEFAULT.shadow_prompts
    """Live prompts that a new version answers beside the old one before the first look."""
    shadow_looks: Annotated[int, Field(ge=1, le=8)] = DEFAULT.shadow_looks
    """Looks at most: at that many prompts and after every doubling; more need a larger gain."""
    shadow_seconds_max: Seconds = DEFAULT.shadow_seconds_max
    """Time after which a trial ends with the prompts it has."""
    watch_prompts: Count = DEFAULT.watch_prompts
    """Prompts for which a new version can be taken back automatically."""
    watch_prompts_min: Annotated[int, Field(ge=20, le=1_000_000)] = DEFAULT.watch_prompts_min
    """Prompts before its live error is compared with its trial."""
    watch_seconds_max: Seconds = DEFAULT.watch_seconds_max
    """Time after which it is no longer watched for that."""
    rollback_margin: Annotated[float, Field(ge=0, le=10)] = DEFAULT.rollback_margin
    """Share by which its live error may surely lie above the upper bound of its trial."""
    error_risen: Ratio = DEFAULT.error_risen
    """Error over normal from where a verdict sees harm."""
    power_risen: Ratio = DEFAULT.power_risen
    """The same of label power and of ridge regression, by which noise and scale are told."""
    opportunity_gain: Share = DEFAULT.opportunity_gain
    """Share of the error to be saved for which a version is recalibrated though nothing hurts."""
    minimum_regret: Ratio = DEFAULT.minimum_regret
    """Excess error over the least possible for which that is worth while."""
    error_enter: Ratio = DEFAULT.error_enter
    """Error over its own normal at which a new version is taken back."""
    error_leave: Ratio = DEFAULT.error_leave
    """Error over normal below which the harm of an alert is over, after `calm_seconds` there."""
    calm_seconds: Seconds = DEFAULT.calm_seconds
    """Time that the error must have stayed below `error_leave`; then nothing is changed."""
    cool_down_seconds: Seconds = DEFAULT.cool_down_seconds
    """Time after a change of what is in force in which no automatic one follows."""
    actions_per_day_max: Annotated[int, Field(ge=0, le=1000)] = DEFAULT.actions_per_day_max
    """Automatic changes within 24 hours; beyond them only a person acts, with 0 always."""
    recalibrate: Who = DEFAULT.recalibrate
    """Who puts a recalibrated version in force: auto, or approve (a person)."""
    repretrain: Who = DEFAULT.repretrain
    """Who puts a re-pretrained version in force."""
    change_kind: Who = DEFAULT.change_kind
    """Who lets another kind of model answer, such as foundation for a profile."""
    roll_back: Who = DEFAULT.roll_back
    """Who takes a version back that breaks its bounds."""
