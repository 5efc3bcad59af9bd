"""The gate over the prompts of all workers: sums over windows of the same reference add up.

A window of n prompts with mean m of the clipped ratio and lower bound l = m - 1.645 s/√n has
s² = n ((m - l)/1.645)²; with it Σ u² = n (s² + m²), and of k workers the sums are those of one.
Each worker's own window may be too short to be sure of what all windows together show.
"""

import math
from collections.abc import Iterable, Sequence

from monitoring.levels import Z95
from monitoring.snapshot import Level, Snapshot
from service.status_numbers import Section

UNKNOWN = float("nan")


def joint_snapshots(reports: Iterable[Section]) -> list[Snapshot]:
    """Return one snapshot for every model, version and reference that several reports share.

    Models that learnt their own reference in each process have nothing to add up.
    """
    found: dict[tuple[str, str, str], list[Section]] = {}
    for report in reports:
        for model in report["models"]:
            if model["reference"] and model["levels"]:
                key = (model["model"], model["version"], model["reference"])
                found.setdefault(key, []).append(model)
    return [_joint(models) for models in found.values() if len(models) > 1]


def _joint(models: Sequence[Section]) -> Snapshot:
    channels = sorted({channel for model in models for channel in model["levels"]})
    levels = {
        channel: joint_level([m["levels"][channel] for m in models if channel in m["levels"]])
        for channel in channels
    }
    return Snapshot(
        model=models[0]["model"],
        version=models[0]["version"],
        reference=models[0]["reference"],
        is_warming=False,
        prompt_count=sum(model["prompts"] for model in models),
        row_count=0,  # nobody asks
        levels=levels,
        last_update_seconds=max(model["last_update"] or 0 for model in models),
    )


def joint_level(windows: Sequence[Section]) -> Level:
    """Return the level of several windows as one.

    >>> one = {"mean": 2.0, "lower": 1.8355, "prompts": 100}
    >>> round(joint_level([one, one]).gate, 4)
    1.8837
    """
    n = sum(window["prompts"] for window in windows)
    mean = sum(window["prompts"] * window["mean"] for window in windows) / n
    square = sum(window["prompts"] * _square(window) for window in windows) / n
    lower = mean - Z95 * math.sqrt(max(square - mean * mean, 0.0) / n)
    return Level(lower, mean, UNKNOWN, n)


def _square(window: Section) -> float:
    """Return the mean of u² over one window."""
    error = (window["mean"] - window["lower"]) / Z95  # s/√n
    return float(window["prompts"] * error * error + window["mean"] ** 2)
