"""The coordinates a profile works in: four ways to centre and scale a prompt (docs/model.md, 6).

`intercept` measures from the history's means and learns an intercept; the others take the prompt's
own means out. All end in the same sums, from rows or from a summary: `Centred`.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from model.em import TaskSums, task_sums
from model.history import Prompts
from model.moments import Moments
from model.prompt import Block, Examples

Array = NDArray[np.float64]

INTERCEPT = "intercept"  # history's means and scales; p = d + 1
CENTRED = "centred"  # the prompt's means, history's scales; p = d
LABEL_SCALED = "label-scaled"  # and the prompt's own label scale, held by the history's
SCALED = "scaled"  # and the prompt's own scale of every feature likewise
ALL = (INTERCEPT, CENTRED, LABEL_SCALED, SCALED)

PRIOR_ROWS = 4.0  # how many rows of a prompt the history's scale counts for
CONSTANT_SHARE = 1e-9  # of a column's largest size; a smaller deviation is rounding


@dataclass(frozen=True, slots=True)
class Units:
    """Means and scales of a history's prompts of one length."""

    feature_mean: Array  # (d,) μ
    feature_scale: Array  # (d,) s, 1 where constant
    label_mean: float  # m_y
    label_scale: float  # s_y
    feature_variance: Array  # (d,) of a typical prompt, units of s²
    label_variance: float  # of a typical prompt, natural


@dataclass(frozen=True, slots=True)
class Centred:
    """B prompts about their own means, in working units z and r; deviations are z - z̄, r - r̄."""

    count: int  # M
    scatter: Array  # (B, d, d) Σ (z - z̄)(z - z̄)ᵀ
    products: Array  # (B, d) Σ (z - z̄)(r - r̄)
    label_power: Array  # (B,) Σ (r - r̄)²
    queries: Array  # (B, Q, d) z_q - z̄
    mean: Array  # (B, d) z̄; 0 but in `intercept`
    label_mean: Array  # (B,) r̄; 0 but in `intercept`
    feature_origin: Array  # (B, d) natural: the x that z = 0 stands for
    feature_unit: Array  # (B, d)
    label_origin: Array  # (B,) natural: the y that r = 0 stands for
    label_unit: Array  # (B,) natural size of r = 1
    rows: Array | None = None  # (B, M, d) z - z̄, absent for a summary
    labels: Array | None = None  # (B, M) r - r̄, absent for a summary

    def take(self, prompts: NDArray[np.intp]) -> "Centred":
        """Return the chosen prompts."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: part[prompts] for name, part in parts.items() if hasattr(part, "shape")}
        return replace(self, **arrays)


def units_of(prompts: Prompts) -> Units:
    """Return the scales of historical prompts; a feature that never varies has scale 1."""
    x, y = prompts.x, prompts.y  # (P, M, d), (P, M)
    mean, deviation = x.mean(axis=(0, 1)), x.std(axis=(0, 1))  # (d,), (d,)
    still = deviation <= CONSTANT_SHARE * np.abs(x).max(axis=(0, 1))  # (d,)
    scale = np.where(still, 1.0, deviation)  # (d,)
    label_scale = float(y.std())
    if label_scale <= CONSTANT_SHARE * float(np.abs(y).max()):
        label_scale = 1.0
    variances = (x / scale).var(axis=1)  # (P, d)
    label_variances = (y / label_scale).var(axis=1)  # (P,)
    typical = np.maximum(np.median(variances, axis=0), 1e-3 * variances.mean(axis=0))  # (d,)
    label_typical = max(float(np.median(label_variances)), 1e-6 * float(label_variances.mean()))
    return Units(
        mean,
        scale,
        float(y.mean()),
        label_scale,
        np.where(typical > 0.0, typical, 1.0),
        (label_typical or 1.0) * label_scale**2,
    )


def centre(block: Block, units: Units, coordinates: str) -> Centred:
    """Return a block in working coordinates; not finite where a prompt overflows."""
    made = _about_means(block, units)
    if coordinates != INTERCEPT:
        return _rescaled(made, units, coordinates)
    here = (made.feature_origin - units.feature_mean) / units.feature_scale  # (B, d)
    return replace(
        made,
        mean=here,
        label_mean=(made.label_origin - units.label_mean) / units.label_scale,
        feature_origin=np.broadcast_to(units.feature_mean, here.shape),
        label_origin=np.full(len(here), units.label_mean),
    )


def _about_means(block: Block, units: Units) -> Centred:
    """Return a block about each prompt's means, in the history's scales."""
    s, label_s, context = units.feature_scale, units.label_scale, block.context
    if not isinstance(context, Moments):
        return _rows_about_means(context, block.queries, units)
    assert context.scatter is not None  # the model's own check precedes
    return Centred(
        count=context.count,
        scatter=context.scatter / s / s[:, None],
        products=context.products / s / label_s,
        label_power=context.label_scatter / label_s**2,
        queries=(block.queries - context.mean[:, None]) / s,
        mean=np.zeros_like(context.mean),
        label_mean=np.zeros_like(context.label_mean),
        feature_origin=context.mean,
        feature_unit=np.broadcast_to(s, context.mean.shape),
        label_origin=context.label_mean,
        label_unit=np.full(len(context.mean), label_s),
    )


def _rows_about_means(examples: Examples, queries: Array, units: Units) -> Centred:
    s, label_s, (x, y) = units.feature_scale, units.label_scale, examples
    mean, label_mean = x.mean(axis=1), y.mean(axis=1)  # (B, d), (B,)
    u = (x - mean[:, None]) / s  # (B, M, d)
    r = (y - label_mean[:, None]) / label_s  # (B, M)
    return Centred(
        count=x.shape[1],
        scatter=u.mT @ u,
        products=(r[:, None] @ u)[:, 0],
        label_power=(r * r).sum(axis=1),
        queries=(queries - mean[:, None]) / s,
        mean=np.zeros_like(mean),
        label_mean=np.zeros_like(label_mean),
        feature_origin=mean,
        feature_unit=np.broadcast_to(s, mean.shape),
        label_origin=label_mean,
        label_unit=np.full(len(mean), label_s),
        rows=u,
        labels=r,
    )


def _rescaled(made: Centred, units: Units, coordinates: str) -> Centred:
    """Return centred prompts divided by scales of their own, as far as the coordinates ask."""
    power = np.diagonal(made.scatter, axis1=1, axis2=2)  # (B, d)
    t, label_t = own_scales(units, coordinates, power, made.label_power, made.count)
    across = t[:, :, None] * t[:, None]  # (B, d, d)
    return replace(
        made,
        scatter=made.scatter / across,
        products=made.products / t / label_t[:, None],
        label_power=made.label_power / label_t**2,
        queries=made.queries / t[:, None],
        label_unit=made.label_unit * label_t,
        feature_unit=made.feature_unit * t,
        rows=None if made.rows is None else made.rows / t[:, None],
        labels=None if made.labels is None else made.labels / label_t[:, None],
    )


def own_scales(
    units: Units, coordinates: str, power: Array, label_power: Array, count: Array | int
) -> tuple[Array, Array]:
    """Return each prompt's scale of the features (B, d) and of the label (B,), in the history's.

    power (B, d) and label_power (B,) are centred sums of squares of `count` rows, in units of the
    history's scales; the typical variance counts for PRIOR_ROWS rows more.
    """
    total = np.asarray(count) + PRIOR_ROWS  # () or (B,)
    typical = units.label_variance / units.label_scale**2
    label_t = np.full(len(label_power), np.sqrt(typical))  # (B,)
    if coordinates != CENTRED:
        label_t = np.sqrt((label_power + PRIOR_ROWS * typical) / total)  # (B,)
    t = np.ones_like(power)  # (B, d)
    if coordinates == SCALED:
        t = np.sqrt((power + PRIOR_ROWS * units.feature_variance) / total[..., None])  # (B, d)
    return t, label_t


def working_sums(prompts: Prompts, units: Units, coordinates: str) -> TaskSums:
    """Return the sums of historical prompts, queries included, that the prior is learnt from."""
    x = np.concatenate([prompts.x, prompts.queries], axis=1)  # (P, n, d)
    y = np.concatenate([prompts.y, prompts.targets], axis=1)  # (P, n)
    weight = np.concatenate([np.ones_like(prompts.y), prompts.weight], axis=1)  # (P, n)
    z = (x - units.feature_mean) / units.feature_scale  # (P, n, d)
    r = (y - units.label_mean) / units.label_scale  # (P, n)
    if coordinates == INTERCEPT:
        ones = np.ones((*y.shape, 1))  # (P, n, 1)
        return task_sums(np.concatenate([ones, z], axis=2), r, weight)
    counts = weight.sum(axis=1)  # (P,)
    share = weight / counts[:, None]  # (P, n)
    z = z - share[:, None] @ z  # (P, n, d)
    r = r - (share * r).sum(axis=1, keepdims=True)  # (P, n)
    power = (weight[..., None] * z * z).sum(axis=1)  # (P, d)
    label_power = (weight * r * r).sum(axis=1)  # (P,)
    t, label_t = own_scales(units, coordinates, power, label_power, counts)
    return task_sums(z / t[:, None], r / label_t[:, None], weight)
