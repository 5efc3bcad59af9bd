"""What one model's monitor knows at one moment: plain numbers for metrics, page and reports.

NaN stands for a number that is not known yet.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

CHANNELS = ("h", "loo")
INFO_CHANNELS = ("mean", "mean_max", "covariance", "diagonal", "covariance_max", "tail", "glr")


class Level(NamedTuple):
    """One channel of the gate over the last prompts of this process; 1 is normal."""

    gate: float  # lower 95 % bound of the mean clipped ratio, NaN until warm
    clipped_mean: float  # mean of the clipped ratio
    mean: float  # mean ratio as it is, which one wild prompt can lift
    prompt_count: int  # prompts of the window that have this channel


class FeatureMove(NamedTuple):
    """How one feature of recent prompts compares with the reference, natural units."""

    place: int  # zero-based column of the model
    score: float  # standardised distance of the window's mean, signed, reference deviations
    mean: float
    deviation: float
    reference_mean: float
    reference_deviation: float
    harm_share: float  # of the excess error, 0 to 1; NaN where it cannot be told


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The monitor of one model now."""

    model: str
    version: str
    reference: str  # 8 hex digits, empty while there is none
    is_warming: bool  # no reference yet, or too few prompts for the gate
    prompt_count: int  # admitted since start
    row_count: int
    levels: dict[str, Level] = field(default_factory=dict)  # by channel
    loo_ratio: float = float("nan")  # LOO of the served model ÷ reference, window
    ridge_ratio: float = float("nan")  # LOO of the exact ridge ÷ reference, window
    label_power_ratio: float = float("nan")  # mean y² ÷ reference, window
    length_effect: float = float("nan")  # mean h₀[bucket] ÷ h₀: what the mix of lengths does
    clipped_share: float = float("nan")
    info_score: float = float("nan")  # COMBO ÷ threshold, 1 is the alarm line
    info_channels: dict[str, float] = field(default_factory=dict)
    direction_shares: tuple[float, ...] = ()  # of the excess error, by direction, sum 1
    features: tuple[FeatureMove, ...] = ()  # most harmful or most moved first
    kind: str = ""  # mean, scale, correlation, context_length, query, task, tail; or empty
    signature: str = ""  # what the ratios say together (monitoring.signature); empty until warm
    skipped: dict[str, int] = field(default_factory=dict)  # prompts left out, by reason
    queue_prompts: int = 0
    last_update_seconds: float = 0.0  # Unix time

    @property
    def gate(self) -> float:
        """The larger of the two lower bounds; NaN until warm."""
        known = [level.gate for level in self.levels.values() if level.gate == level.gate]
        return max(known) if known else float("nan")
