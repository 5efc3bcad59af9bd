"""How often the layers run: once, twice, four times, then an exact solve (docs/model.md, 3).

Running the layers again on what they left of the labels gives the residual r(s)ᵏ after k passes, so
the passes share one spectrum: P_k = (1 - r^k) / t on the eigenvalues t of A = G + λI.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.answer import Solver

Array = NDArray[np.float64]

PASSES = ((1, Solver.K1), (2, Solver.K2), (4, Solver.K4))


@dataclass(frozen=True, slots=True)
class Spectrum:
    """B prompts in the eigenbasis of their Gram matrix G (standardised units)."""

    count: int  # M
    gram: Array  # (B, d) eigenvalues g of G
    lifted: Array  # (B, d) t = g + λ
    inverse: Array  # (B, d) what one pass makes of 1/t
    products: Array  # (B, d) b = Uᵀr
    queries: Array  # (B, Q, d)
    label_power: Array  # (B,) rᵀr

    def take(self, prompts: NDArray[np.intp]) -> "Spectrum":
        """Return the chosen prompts."""
        return Spectrum(
            self.count,
            self.gram[prompts],
            self.lifted[prompts],
            self.inverse[prompts],
            self.products[prompts],
            self.queries[prompts],
            self.label_power[prompts],
        )


def climb(spectrum: Spectrum, bound: float) -> tuple[Array, bytearray]:
    """Return the answers (B, Q) and the solver (B,) that first met the certificate.

    A pass is accepted when the next one would move no answer of the prompt by more than `bound` of
    its predictive standard deviation; when four passes are not, the exact solve answers.
    """
    answers, accepted = _pass(spectrum, 1, bound)  # (B, Q), (B,)
    solvers = bytearray([Solver.K1]) * len(answers)  # (B,)
    pending = np.flatnonzero(~accepted)
    for passes, solver in PASSES[1:]:
        if not len(pending):
            return answers, solvers
        again, accepted = _pass(spectrum.take(pending), passes, bound)
        answers[pending] = again  # (B, Q) an answer not accepted yet is overwritten below
        for prompt in pending:
            solvers[prompt] = solver
        pending = pending[~accepted]
    rest = spectrum.take(pending)
    weights = rest.products / rest.lifted  # (B, d)
    answers[pending] = (rest.queries @ weights[..., None])[..., 0]
    for prompt in pending:
        solvers[prompt] = Solver.EXACT
    return answers, solvers


def _pass(spectrum: Spectrum, passes: int, bound: float) -> tuple[Array, NDArray[np.bool_]]:
    """Return the answers (B, Q) after some passes, and whether each prompt's are certified (B,)."""
    inverse = spectrum.inverse  # (B, d)
    residual = 1.0 - spectrum.lifted * inverse  # (B, d) r, the share of the labels left over
    if passes > 1:
        residual = residual**passes  # (B, d)
        inverse = (1.0 - residual) / spectrum.lifted  # (B, d)
    weights = inverse * spectrum.products  # (B, d)
    next_weights = weights * residual  # (B, d) what the next pass would add
    columns = np.stack([weights, next_weights], axis=-1)  # (B, d, 2)
    moved = spectrum.queries @ columns  # (B, Q, 2)
    deviation = predictive_deviation(spectrum, inverse)  # (B, Q)
    accepted: NDArray[np.bool_] = np.all(np.abs(moved[..., 1]) <= bound * deviation, axis=1)
    return moved[..., 0], accepted


def predictive_deviation(spectrum: Spectrum, inverse: Array) -> Array:
    """Return σ_p √(1 + h̄_q) (B, Q), σ_p² = RSS/(M - df), for P with eigenvalues inverse (B, d)."""
    M, b = spectrum.count, spectrum.products
    used = spectrum.gram * inverse  # (B, d)
    df = 1.0 + used.sum(axis=1)  # (B,)
    explained = (inverse * (2.0 - used) * b * b).sum(axis=1)  # (B,)
    rss = np.maximum(spectrum.label_power - explained, 0.0)  # (B,)
    variance = rss / np.maximum(M - df, 1.0)  # (B,)
    leverage = (spectrum.queries**2 @ inverse[..., None])[..., 0] + 1.0 / M  # (B, Q)
    deviation: Array = np.sqrt(variance[:, None] * (1.0 + leverage))  # (B, Q)
    return deviation
