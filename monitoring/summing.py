"""Makes evidence of a batch of prompts: one pass over it, then the sums of any stretch of it.

A prompt beyond all measure says nothing of a cause and would drown the others: one whose
covariates, queries or labels are more than `POWER_MAX` times as strong as the reference's counts in
the gate, where it is clipped, and nowhere else.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.evidence import Sizes, triangle, units
from monitoring.observation import Observations, label_gaps, row_means
from monitoring.reference import BUCKETS, Inflations, Reference
from monitoring.ridge_sums import RidgeFits, ridge_basis, ridge_fits
from monitoring.seen import Seen, Summary

Array = NDArray[np.float64]
Known = NDArray[np.bool_]
Places = slice | NDArray[np.intp]

POWER_MAX = 1e7  # of a prompt, over the reference's: another unit, 1000 times smaller, is measured
CONSTANT_MAX = 1e12  # how far a feature that never varied may go, its units
ROUNDING = 1e-12  # of those: no move


class Key(NamedTuple):
    """What prompts must share to be summed together."""

    length: float  # nominal
    coordinate_count: int  # p
    has_rows: bool


class Judged(NamedTuple):
    """B prompts of one shape and what is known of each."""

    seen: Seen
    observed: Observations  # none above a million times its own normal
    over: Inflations
    others: Array  # (B, 6) the ratios OTHERS, NaN where there is none
    excess: Array  # (B, D) by direction
    powers: Array  # (B,) z² of the prompt's whitened rows, 1 in the reference


class Batch:
    """B judged prompts, ready to be summed."""

    @np.errstate(all="ignore")  # what overflows is left out
    def __init__(self, reference: Reference, judged: Judged) -> None:
        served, normal = judged.seen.served, reference.normal
        self.count, self._served = len(served.gram), served
        self._covariates = judged.seen.covariates
        nearest = int(np.abs(np.log(served.count) - np.log(BUCKETS)).argmin())
        p, D = served.gram.shape[2], judged.excess.shape[1]
        self.key = Key(BUCKETS[nearest], p, served.rows is not None)
        self.sizes = Sizes(reference.feature_count, p, D)
        x = self._covariates
        self._centres = x.mean if isinstance(x, Summary) else _centres(x)  # (B, d)
        self._unit = units(normal.deviation, normal.mean)  # (d,)
        z = (self._centres - normal.mean) / self._unit  # (B, d)
        self._z = np.where((normal.deviation > 0.0) | (np.abs(z) > ROUNDING), z, 0.0)  # (B, d)
        self._means, self._gaps = row_means(served), label_gaps(served)  # (B, p), (B, p)
        self._residuals = _residuals(judged.seen)  # (B,)
        self._sane = self._measurable(reference, judged)  # (B,)
        self._fits = self._solved(reference)
        vectors = np.where(self._sane[:, None], self._vectors(judged), 0.0)  # (B, v)
        self._columns = np.hstack([_gate(judged, served.count), vectors])  # (B, g + v)

    def sums(self, start: int, stop: int) -> Array:
        """Return the packed sums (n,) of some prompts (`monitoring.evidence`)."""
        part = self._sane[start:stop]  # (b,)
        places: Places = slice(start, stop) if part.all() else start + np.flatnonzero(part)
        triangles = [a.ravel()[triangle(len(a))] for a in self._matrices(places)]
        return np.concatenate([self._columns[start:stop].sum(axis=0), *triangles])

    def sane_count(self, start: int, stop: int) -> int:
        """Return how many prompts of a stretch are not beyond all measure."""
        return int(self._sane[start:stop].sum())

    def _measurable(self, reference: Reference, judged: Judged) -> Known:
        """Return which prompts (B,) are not beyond all measure."""
        served, scene = self._served, reference.scene
        power = np.trace(scene.moments) / scene.prompt_count
        asked = np.trace(scene.query_moments) / scene.prompt_count
        labelled = reference.baselines.mean("label_power")
        rows = np.trace(served.gram, axis1=1, axis2=2) / served.count  # (B,)
        queries = (served.queries**2).sum(axis=2).mean(axis=1)  # (B,)
        sane = (judged.powers <= POWER_MAX) & (rows <= POWER_MAX * power)
        sane &= (queries <= POWER_MAX * asked) & ~(self._residuals > POWER_MAX * labelled)
        sane &= (self._gaps**2).sum(axis=1) <= POWER_MAX**2 * power * labelled
        constant = reference.normal.deviation == 0.0  # (d,)
        if constant.any():
            sane &= (self._farthest(constant) <= CONSTANT_MAX).all(axis=1)
        known: Known = sane
        return known

    def _farthest(self, chosen: Known) -> Array:
        """Return how far some features go from the reference's mean (B, k), their units."""
        x = self._covariates
        if isinstance(x, Summary):
            spread = np.sqrt(np.diagonal(x.scatter, axis1=1, axis2=2))[:, chosen]  # (B, k)
        else:
            spread = np.abs(x[:, :, chosen] - self._centres[:, None, chosen]).max(axis=1)  # (B, k)
        far: Array = np.abs(self._z[:, chosen]) + spread / self._unit[chosen]
        return far

    def _solved(self, reference: Reference) -> RidgeFits | None:
        """Return what labels say of tasks; None of sums, and where the prior is a prompt's own."""
        served = self._served
        if served.labels is None or served.task_covariance.ndim == 3:
            return None
        power = (served.labels * served.labels).mean(axis=1)  # (B,)
        grams = np.where(self._sane[:, None, None], served.gram, 0.0)  # (B, p, p) LAPACK's sake
        basis = ridge_basis(reference.scene, self.key.coordinate_count)  # (p, p)
        return ridge_fits(replace(served, gram=grams), power, basis)

    def _vectors(self, judged: Judged) -> Array:
        """Return the columns (B, v) of evidence.VECTORS."""
        served, fits = self._served, self._fits
        errors = np.column_stack([judged.observed.loo, judged.observed.ridge])  # (B, 2)
        known, inverse = ~np.isnan(errors), 1.0 / served.count  # (B, 2)
        T = served.task_covariance  # (p, p) or (B, p, p)
        return self._stacked(
            *(np.where(known, errors, 0.0), known),
            *(judged.observed.predicted - served.noise_variance, served.noise_variance),
            *(judged.observed.query_signal, np.trace(T, axis1=-2, axis2=-1) / T.shape[-1]),
            *(judged.excess, 1.0, inverse),
            *(self._means, served.queries.mean(axis=1), self._gaps * inverse),
            *(served.labels is not None, np.nan_to_num(self._residuals), self._spreads),
            *((1.0, inverse) if fits else (0.0, 0.0)),
            *(
                (fits.tasks, fits.residual_power, fits.freedom)
                if fits
                else (0.0 * self._means, 0, 0)
            ),
            self._z,
        )

    def _stacked(self, *columns: Array | float) -> Array:
        """Return columns (B, k), (B,) or one for all, side by side."""
        wide = [np.broadcast_to(one, self.count) if np.ndim(one) == 0 else one for one in columns]
        return np.column_stack(wide).astype(np.float64)

    @property
    def _spreads(self) -> bool:
        """Whether Σ‖u‖²uuᵀ is kept: of rows that one layer answered, whose best weights need it."""
        return self._served.rows is not None and not self._served.inverts

    def _matrices(self, places: Places) -> tuple[Array, ...]:
        """Return the sums evidence.MATRICES of some prompts."""
        served, M = self._served, self._served.count
        grams, queries = served.gram[places], served.queries[places]  # (b, p, p), (b, Q, p)
        return (
            grams.sum(axis=0) / M,
            _square(queries) / queries.shape[1],
            _square(grams) / M**2,  # GᵀG, G is symmetric
            _square(self._means[places]),
            self._spread(places),
            *self._tasks(places),
            _square(self._z[places]),
            self._scatters(places),
        )

    def _spread(self, places: Places) -> Array:
        """Return Σ (1/M)Σ‖u‖²uuᵀ (p, p) of some prompts."""
        rows, p = self._served.rows, self.key.coordinate_count
        if rows is None or not self._spreads:
            return np.zeros((p, p))
        u = rows[places]  # (b, M, p)
        lengths = np.sqrt(np.einsum("bmp,bmp->bm", u, u))  # (b, M)
        spread: Array = _square(u * lengths[..., None]) / self._served.count
        return spread

    def _tasks(self, places: Places) -> tuple[Array, Array, Array]:
        """Return ΣQ, ΣQQ and Σaaᵀ (p, p) of some prompts."""
        if self._fits is None:
            nothing = np.zeros((self.key.coordinate_count,) * 2)  # (p, p)
            return nothing, nothing, nothing
        Q = self._fits.shrinkage[places]  # (b, p, p), symmetric
        return Q.sum(axis=0), _square(Q), _square(self._fits.tasks[places])

    def _scatters(self, places: Places) -> Array:
        """Return Σ of (1/M)Σ(z - z̄)(z - z̄)ᵀ (d, d) of some prompts."""
        x = self._covariates
        if isinstance(x, Summary):
            scatter = x.scatter[places].sum(axis=0)  # (d, d)
        else:
            scatter = _square(x[places] - self._centres[places][:, None])  # (d, d)
        found: Array = scatter / self._served.count / np.outer(self._unit, self._unit)
        return found


def _gate(judged: Judged, count: int) -> Array:
    """Return the columns (B, g) of evidence.GATE."""
    over, others = judged.over, judged.others
    known, there = ~np.isnan(over.clipped), np.isfinite(others)  # (B, 2), (B, 6)
    u = np.where(known, over.clipped, 0.0)  # (B, 2)
    one = np.ones(len(u))  # (B,)
    ratios = np.where(known, over.ratios, 0.0)  # (B, 2)
    rest = np.where(there, others, 0.0), there
    return np.column_stack([one, count * one, known, u, u * u, ratios, over.at_clip, *rest])


def _centres(x: Array) -> Array:
    """Return the means (B, d) of the rows x (B, M, d)."""
    average = np.full(x.shape[1], 1.0 / x.shape[1])  # (M,)
    return average @ x


def _residuals(seen: Seen) -> Array:
    """Return |r - Um|²/M (B,), NaN where no labels are seen."""
    served = seen.served
    if served.rows is None or served.labels is None:
        return np.full(len(served.gram), np.nan)
    left = served.labels - served.rows @ served.prior_mean  # (B, M)
    power: Array = (left * left).mean(axis=1)  # (B,)
    return power


def _square(vectors: Array) -> Array:
    """Return Σvvᵀ (n, n) of vectors (..., n)."""
    flat = vectors.reshape(-1, vectors.shape[-1])  # (k, n)
    square: Array = flat.T @ flat
    return square
