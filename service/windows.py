"""The sums of a monitor as what a model is recalibrated from: one window a length."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from model.estimator import Estimating
from model.prompt import Block
from model.window import Window
from monitoring.evidence import OTHERS, Evidence, units, unpacked
from monitoring.observation import observe
from monitoring.reference import Inflations, Reference
from monitoring.ridge_sums import ridge_basis
from monitoring.seen import Seen
from monitoring.summing import Batch, Judged
from monitoring.watch import DIRECTIONS_MAX
from service.seen import seen

Array = NDArray[np.float64]


def windows_of(parts: Iterable[Evidence], reference: Reference) -> list[Window]:
    """Return the window of every length whose labels were seen."""
    return [_window(part, reference) for part in parts if part.ridge.prompt_count > 0.0]


def _window(part: Evidence, reference: Reference) -> Window:
    ridge, scene = part.ridge, part.scene
    n, seen = scene.prompt_count, ridge.prompt_count
    mean, between, within = _features(part, reference)  # (d,), (d, d), (d, d)
    return Window(
        length=seen / ridge.inverse_lengths,
        prompt_count=seen,
        row_count=part.rows,
        basis=ridge_basis(reference.scene, len(scene.means)),
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
        feature_mean=mean,
        feature_between=between,
        feature_within=within,
    )


def _features(part: Evidence, reference: Reference) -> tuple[Array, Array, Array]:
    """Return mean (d,), covariance between prompts and within them (d, d), natural units."""
    n, normal = part.scene.prompt_count, reference.normal
    unit = units(normal.deviation, normal.mean)  # (d,)
    means, square = part.z_means / n, np.outer(unit, unit)  # (d,), (d, d)
    between = part.z_mean_squares / n - np.outer(means, means)  # (d, d)
    return normal.mean + unit * means, between * square, part.z_scatters / n * square


def evidence_of(
    model: Estimating, blocks: Iterable[Block], reference: Reference
) -> tuple[Evidence, ...]:
    """Return the sums of prompts that a model answers itself, as its monitor would make them.

    What the gate is read from is not in them.
    """
    found: dict[tuple[float, int], Evidence] = {}
    for block in blocks:
        looked = seen(model, block)
        if looked is None:
            continue
        part = _evidence(looked, reference)
        key = part.length, len(part.scene.means)
        found[key] = found[key].joined(part) if key in found else part
    return tuple(found[key] for key in sorted(found))


def _evidence(looked: Seen, reference: Reference) -> Evidence:
    B = len(looked.served.gram)
    unknown = np.full((B, 2), np.nan)  # (B, 2)
    over = Inflations(unknown, unknown, np.zeros((B, 2)))
    directions = np.zeros((B, min(reference.basis.shape[1], DIRECTIONS_MAX)))  # (B, D)
    others = np.full((B, len(OTHERS)), np.nan)  # (B, 6)
    numbers = observe(looked.served)
    batch = Batch(reference, Judged(looked, numbers, over, others, directions, np.ones(B)))
    return unpacked(batch.key.length, batch.sizes, batch.sums(0, B))
