"""What a prompt tells of the error of its answers: h without labels, leave-one-out with them.

A served answer is affine in the labels, ŷ = vᵀm + cᵀ(r - Um) with c = U Pᵀv, so for labels
r = Uw + ε, w ~ N(m, T), ε ~ N(0, σ²), its expected squared error given the covariates is

    h = σ² (1 + centred/M) + uᵀTu + σ² kᵀGk,   k = Pᵀv,   u = v - Gk,

whatever their law. All errors are in working units² (docs/monitoring.md, "h and leave-one-out"). A
prompt whose numbers overflow has NaN or infinity, and changes no other.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEANING = 0.5  # leverage above which deleting a row changes what layers make of the others
ROWS_FEW = 2.5  # a coordinate: below, most prompts have a row that leans
NOISE_FLOOR = 1e-12  # of the signal's trace: an exact solve without noise stays regular
SMALLEST_NOISE = 1e-300  # where there is no signal either


@dataclass(frozen=True, slots=True)
class Served:
    """B prompts of one shape as the served model saw them, in its working coordinates."""

    count: int  # M
    centred: bool  # means came from the prompt's own rows
    inverse: Array  # (B, p, p) P
    gram: Array  # (B, p, p) G = UᵀU
    products: Array  # (B, p) Uᵀr
    queries: Array  # (B, Q, p) v
    prior_mean: Array  # (p,) m
    noise_variance: float  # σ², working units²
    task_covariance: Array  # (p, p) T, or (B, p, p) where it is the prompt's own
    inverts: bool  # P approximates (G + σ²T⁻¹)⁻¹; else it is one layer's A over its terms
    rows: Array | None = None  # (B, M, p) U, absent for a summary
    labels: Array | None = None  # (B, M) r, absent for a summary

    def take(self, prompts: NDArray[np.intp]) -> "Served":
        """Return the chosen prompts."""
        T = self.task_covariance  # (p, p) or (B, p, p)
        return replace(
            self,
            inverse=self.inverse[prompts],
            gram=self.gram[prompts],
            products=self.products[prompts],
            queries=self.queries[prompts],
            task_covariance=T[prompts] if T.ndim == 3 else T,
            rows=None if self.rows is None else self.rows[prompts],
            labels=None if self.labels is None else self.labels[prompts],
        )


@np.errstate(all="ignore")
def predicted_error(served: Served) -> Array:
    """Return h (B, Q): the expected squared error of each answer, its label's noise included."""
    keys, looks, missed = _looks(served)  # (B, Q, p) each
    task = ((missed @ served.task_covariance) * missed).sum(axis=2)  # (B, Q)
    sampling = (keys * looks).sum(axis=2)  # (B, Q) kᵀGk
    error: Array = task + served.noise_variance * (1.0 + _mean_share(served) + sampling)  # (B, Q)
    return error


@np.errstate(all="ignore")
def excess_by_direction(served: Served, basis: Array) -> Array:
    """Return the mean over queries of (b_jᵀT^½u)² (B, p), for the columns b_j of basis (p, p).

    Of an orthonormal basis the parts sum to the mean uᵀTu; with σ² and `sampling_error`, to h.
    """
    _, _, missed = _looks(served)  # (B, Q, p)
    along = missed @ (_root(served.task_covariance) @ basis)  # (B, Q, p)
    parts: Array = (along * along).mean(axis=1)  # (B, p)
    return parts


@np.errstate(all="ignore")
def sampling_error(served: Served) -> Array:
    """Return the mean over queries of σ²‖c‖² (B,): what the labels' noise adds to an answer."""
    keys, looks, _ = _looks(served)  # (B, Q, p) each
    share = (keys * looks).sum(axis=2).mean(axis=1) + _mean_share(served)  # (B,)
    error: Array = served.noise_variance * share  # (B,)
    return error


@np.errstate(all="ignore")
def query_signal(served: Served) -> Array:
    """Return the mean over queries of vᵀTv (B,): what of their labels the tasks explain."""
    v = served.queries  # (B, Q, p)
    signal: Array = ((v @ served.task_covariance) * v).sum(axis=2).mean(axis=1)  # (B,)
    return signal


@np.errstate(all="ignore")
def label_power(served: Served) -> Array:
    """Return mean r² (B,), about the prompt's mean where centred; NaN without labels."""
    if served.labels is None:
        return np.full(len(served.gram), np.nan)
    power: Array = (served.labels * served.labels).mean(axis=1)  # (B,)
    return power


class Exact(NamedTuple):
    """The exact inverse that the prior asks for."""

    inverse: Array  # (B, p, p) (G + σ²T⁻¹)⁻¹
    noise: Array  # (B,) σ², held above NOISE_FLOOR


def exact_of(served: Served) -> Exact | None:
    """Return the exact inverse where many prompts will need it, else None: it costs most of all.

    Leverages are p/M on average, and rows above `LEANING` need it where P inverts.
    """
    few = served.count < ROWS_FEW * served.gram.shape[1]
    return _exact(served) if few and served.inverts and served.rows is not None else None


@np.errstate(all="ignore")
def best_error(served: Served, exact: Exact | None = None) -> Array:
    """Return h_B (B,), mean over queries of σ² (1 + centred/M + vᵀ(G + σ²T⁻¹)⁻¹v).

    No method that knows the prior errs less; of a centred prompt, none that takes its means out.
    exact saves a solve, as it does below.
    """
    least = served.noise_variance * (1.0 + _mean_share(served))
    if exact is not None:
        reach = ((served.queries @ exact.inverse) * served.queries).sum(axis=2)  # (B, Q)
        shared: Array = least + exact.noise * reach.mean(axis=1)  # (B,)
        return shared
    root, lifted, noise = _lifted(served)  # (p, p) or (B, p, p), (B, p, p), (B,)
    signals = root @ served.queries.mT  # (B, p, Q) T^½v
    solved = np.linalg.solve(lifted, signals)  # (B, p, Q)
    leverage = (signals * solved).sum(axis=1).mean(axis=1)  # (B,)
    error: Array = least + noise * leverage  # (B,)
    return error


@np.errstate(all="ignore")
def leave_one_out(served: Served, exact: Exact | None = None) -> Array:
    """Return the mean squared leave-one-out error of the served model (B,); NaN without rows.

    Choices stay: weights and λ. Where P inverts, rows of large leverage are left out of the exact
    solve, for without them the layers would have made another P of the rest.
    """
    if served.rows is None or served.labels is None:
        return np.full(len(served.gram), np.nan)
    if not served.inverts:
        return _mean_square(_layer_errors(served, served.rows, served.labels))
    errors, leverage = _errors(served, served.inverse)  # (B, M), (B, M)
    leaning = leverage > LEANING  # (B, M)
    prompts = np.flatnonzero(leaning.any(axis=1))
    if len(prompts):
        part = served.take(prompts)
        solved = _exact(part).inverse if exact is None else exact.inverse[prompts]  # (n, p, p)
        others, _ = _errors(part, solved)  # (n, M)
        errors[prompts] = np.where(leaning[prompts], others, errors[prompts])
    return _mean_square(errors)


@np.errstate(all="ignore")
def ridge_leave_one_out(served: Served) -> Array:
    """Return the mean squared leave-one-out error of (G + σ²T⁻¹)⁻¹ (B,); NaN without rows."""
    if served.rows is None:
        return np.full(len(served.gram), np.nan)
    errors, _ = _errors(served, _exact(served).inverse)  # (B, M)
    return _mean_square(errors)


def _mean_share(served: Served) -> float:
    """Return what the noise of the prompt's label mean adds, in σ²."""
    return served.centred / served.count


def _mean_square(errors: Array) -> Array:
    mean: Array = (errors * errors).mean(axis=1)  # (B,)
    return mean


def _looks(served: Served) -> tuple[Array, Array, Array]:
    """Return k = Pᵀv, Gk and u = v - Gk, each (B, Q, p)."""
    keys = served.queries @ served.inverse  # (B, Q, p)
    looks = keys @ served.gram  # (B, Q, p)
    return keys, looks, served.queries - looks


def _errors(served: Served, inverse: Array) -> tuple[Array, Array]:
    """Return e = (r - Uŵ)/(1 - l) and l (B, M) of an inverse (B, p, p); the rows must be there."""
    assert served.rows is not None and served.labels is not None  # the callers' own check precedes
    u, m = served.rows, served.prior_mean  # (B, M, p), (p,)
    left = served.products - served.gram @ m  # (B, p) Uᵀ(r - Um)
    w = m + (inverse @ left[..., None])[..., 0]  # (B, p)
    leverage = np.einsum("bmp,bmp->bm", u @ inverse, u) + _mean_share(served)  # (B, M)
    errors = (served.labels - (u @ w[..., None])[..., 0]) / (1.0 - leverage)  # (B, M)
    return errors, leverage


def _layer_errors(served: Served, u: Array, r: Array) -> Array:
    """Return e (B, M) of one layer: its weights stay, means and divisor follow the rows left."""
    terms = served.count - served.centred  # what P = A/terms is divided by
    if terms < 2:
        return np.full(r.shape, np.nan)
    c = served.count / (served.count - 1) if served.centred else 1.0  # the mean moves away
    seen = u @ served.inverse  # (B, M, p)
    fit = (seen @ served.products[..., None])[..., 0]  # (B, M) f
    own = c * np.einsum("bmp,bmp->bm", seen, u)  # (B, M) c a
    errors: Array = c * (r - terms / (terms - 1) * (fit - own * r))  # (B, M)
    return errors


@np.errstate(all="ignore")
def _exact(served: Served) -> Exact:
    """Return (G + σ²T⁻¹)⁻¹ as T^½(T^½GT^½ + σ²I)⁻¹T^½, so that T may be singular.

    A prompt that overflows gets NaN.
    """
    root, lifted, noise = _lifted(served)
    solved = np.linalg.inv(lifted)  # (B, p, p)
    solved[np.isnan(noise)] = np.nan
    return Exact(root @ solved @ root, noise)


def _lifted(served: Served) -> tuple[Array, Array, Array]:
    """Return T^½ (p, p) or (B, p, p), T^½GT^½ + σ²I (B, p, p) and that σ² (B,).

    σ² is NaN where a prompt overflows, and its matrix I: LAPACK would fail the whole batch.
    """
    root = _root(served.task_covariance)  # (p, p) or (B, p, p)
    signal = root @ served.gram @ root  # (B, p, p)
    trace = np.einsum("bii->b", signal)  # (B,)
    noise = np.maximum(np.maximum(served.noise_variance, SMALLEST_NOISE), NOISE_FLOOR * trace)
    eye = np.eye(signal.shape[1])  # (p, p)
    lifted = signal + noise[:, None, None] * eye  # (B, p, p)
    finite = np.isfinite(lifted).all(axis=(1, 2))  # (B,)
    return root, np.where(finite[:, None, None], lifted, eye), np.where(finite, noise, np.nan)


def _root(covariance: Array) -> Array:
    """Return the symmetric T^½ (..., p, p) of T (..., p, p), which may be singular."""
    diagonal = np.diagonal(covariance, axis1=-2, axis2=-1)  # (..., p)
    eye = np.eye(covariance.shape[-1])  # (p, p)
    scaled: Array = eye * np.sqrt(diagonal)[..., None]  # (..., p, p)
    if np.array_equal(covariance, eye * diagonal[..., None]):
        return scaled
    values, vectors = np.linalg.eigh(covariance)  # (..., p), (..., p, p)
    root = np.sqrt(np.maximum(values, 0.0))[..., None, :]  # (..., 1, p)
    return np.asarray((vectors * root) @ vectors.mT, np.float64)
