"""The sums of a monitor as what a model is recalibrated from: one window a length."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from model.window import Window
from monitoring.evidence import Evidence, units
from monitoring.reference import Reference
from monitoring.ridge_sums import ridge_scale

Array = NDArray[np.float64]


def windows_of(parts: Iterable[Evidence], reference: Reference) -> list[Window]:
    """Return the window of every length whose labels were seen."""
    return [_window(part, reference) for part in parts if part.ridge.prompt_count > 0.0]


def _window(part: Evidence, reference: Reference) -> Window:
    ridge, scene, normal = part.ridge, part.scene, reference.normal
    n, seen = scene.prompt_count, ridge.prompt_count
    unit = units(normal.deviation, normal.mean)  # (d,)
    means = part.z_means / n  # (d,)
    between = part.z_mean_squares / n - np.outer(means, means)  # (d, d)
    square = np.outer(unit, unit)  # (d, d)
    return Window(
        length=seen / ridge.inverse_lengths,
        prompt_count=seen,
        row_count=part.rows,
        scale=ridge_scale(reference.scene, len(scene.means)),
        shrinkage=ridge.shrinkage / seen,
        shrinkage_squares=ridge.shrinkage_squares / seen,
        tasks=ridge.tasks / seen,
        task_squares=ridge.task_squares / seen,
        residual_power=ridge.residual_power / seen,
        freedom=ridge.freedom / seen,
        label_power=part.residual_power / max(part.residual_prompts, 1.0),
        mean=scene.means / n,
        mean_squares=part.mean_squares / n,
        moments=scene.moments / n,
        squares=scene.squares / n,
        spread=part.spread / max(part.spread_prompts, 1.0),
        feature_mean=normal.mean + unit * means,
        feature_between=between * square,
        feature_within=part.z_scatters / n * square,
    )
