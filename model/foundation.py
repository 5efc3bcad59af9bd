"""The history-free model: any number of features, any length, weights shipped with the project.

Each prompt is centred and scaled by itself, given d prior tokens √λ·I, and run through the layers
of `model/layers.py` (docs/model.md, section 3). λ is chosen per prompt by leave-one-out over a
short grid, which needs the spectrum of the Gram matrix; the layers are polynomials in that matrix,
so they are evaluated on the same spectrum. Equal to `model.tokens.deep_prediction` to rounding.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.answer import Answer, Caution, Mode, Solver, Warned, settled
from model.estimator import Estimator
from model.explain import Smoother, corrections, foundation_smoother, stage_inverse
from model.hygiene import constant_columns, far_queries
from model.intervals import uncalibrated
from model.ladder import Spectrum, climb, predictive_deviation
from model.layers import Steps, inverse_polynomial
from model.moments import Moments
from model.prompt import Block
from model.refusal import Refusal
from model.standardise import Standardised, standardise
from model.support import Supported, Wanted, supported

Array = NDArray[np.float64]

LAMBDA_GRID = (0.001, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
LEVERAGE_CLIP = 0.98  # an example that explains itself says nothing of the error
SMALLEST_LOSS = 1e-300  # of a perfect fit, so that its logarithm is finite


class _Solved(NamedTuple):
    """An answer, and what it was made of."""

    answer: Answer
    prompts: Standardised
    spectrum: Spectrum
    vectors: Array  # (B, d, d) the spectrum's basis
    chosen: Array  # (B,) λ


@dataclass(frozen=True, slots=True)
class FoundationModel:
    """The layers' steps (a_l, b_l), the grid of λ, the certificate's bound, and d or 0 for any."""

    steps: Steps
    lambda_grid: tuple[float, ...] = LAMBDA_GRID
    correction_bound: float = 0.05
    feature_count: int = 0

    mode = Mode.FOUNDATION
    is_alike_in_blocks = True  # a block's answers are, bit for bit, those to each of its prompts
    example_count_min = 4

    def answer(self, block: Block) -> Answer:
        """Answer every prompt of the block; a prompt that cannot be answered is refused alone."""
        return self._solve(block).answer

    def support(self, block: Block, wanted: Wanted) -> Supported:
        """Answer as `answer` does, and give what is wanted beside."""
        solved = self._solve(block)
        smoother = _smoother(block, solved)
        intervals = uncalibrated(smoother, wanted.levels) if wanted.levels else None
        return supported(
            solved.answer,
            block,
            smoother,
            intervals,
            wanted,
            certificate=_certificate(solved, smoother),
        )

    def estimator(self, block: Block) -> Estimator:
        """Return the layers as an estimator in each prompt's standard deviations: σ² = 1, T = I/λ.

        λ is the one chosen for the prompt. What was answered by the mean has P = 0: its T and h
        mean nothing.
        """
        solved = self._solve(block)
        T = np.eye(block.queries.shape[2]) / solved.chosen[:, None, None]  # (B, d, d)
        return Estimator(_smoother(block, solved), 1.0, T, inverts=True)

    def exact(self, block: Block) -> Array:
        """Return the exact ridge (B, Q) at the chosen λ: the shadow baseline of the layers."""
        solved = self._solve(block)
        weights = solved.spectrum.products / solved.spectrum.lifted  # (B, d)
        return solved.prompts.natural((solved.spectrum.queries @ weights[..., None])[..., 0])

    def _solve(self, block: Block) -> _Solved:
        if isinstance(block.context, Moments) and block.context.scatter is None:
            sentence = "expected the second moments (only a paper model answers without), got none"
            raise Refusal("BAD_SUMMARY", "summary.second_moments", sentence)
        prompts = standardise(block)
        spectrum, full_rank, vectors, chosen = self._spectrum(prompts)
        answers, solvers = climb(spectrum, self.correction_bound)
        answers = prompts.natural(answers)  # (B, Q)
        warned, refused = _judge(block, prompts, full_rank)
        modes = bytearray([Mode.FOUNDATION]) * len(answers)
        for prompt in np.flatnonzero(prompts.label_constant | prompts.constant.all(axis=1)):
            modes[prompt], solvers[prompt] = Mode.MEAN, Solver.NONE
        answer = settled(answers, modes, solvers, warned, refused)
        return _Solved(answer, prompts, spectrum, vectors, chosen)

    def _spectrum(self, prompts: Standardised) -> tuple[Spectrum, NDArray[np.bool_], Array, Array]:
        """Return the prompts in their eigenbasis with λ chosen, which have full rank, the basis, λ.

        Ranks are (B,), the basis is (B, d, d), λ is (B,).
        """
        values, vectors = _eigen(prompts.gram)  # (B, d), (B, d, d)
        g = np.maximum(values, 0.0)  # (B, d)
        b = (prompts.products[:, None] @ vectors)[:, 0]  # (B, d)
        alive = np.maximum((~prompts.constant).sum(axis=1), 1)  # (B,) columns that vary
        grid = np.array(self.lambda_grid)  # (K,)
        solved = 1.0 / (g[:, None] + grid[:, None])  # (B, K, d) ridge, for every λ
        if prompts.rows is None or prompts.labels is None:
            loss = _cross_validated(prompts, g, b, solved)  # (B, K)
        else:
            loss = _leave_one_out(prompts.rows @ vectors, prompts.labels, b, solved)  # (B, K)
        chosen = grid[_penalised(grid, loss, prompts.count, alive).argmin(axis=1)]  # (B,)
        lifted = g + chosen[:, None]  # (B, d) t = g + λ
        spectrum = Spectrum(
            count=prompts.count,
            gram=g,
            lifted=lifted,
            inverse=self._one_pass(lifted, chosen, g.shape[1] - alive),
            products=b,
            queries=prompts.queries @ vectors,
            label_power=prompts.label_power,
        )
        rank = (g > 1e-10 * g[:, -1:]).sum(axis=1)  # (B,)
        return spectrum, rank >= np.minimum(alive, prompts.count - 1), vectors, chosen

    def _one_pass(self, lifted: Array, chosen: Array, still: NDArray[np.intp]) -> Array:
        """Return what one pass of the layers makes of 1/t (B, d).

        The prior tokens of the `still` columns that do not vary are left out of ‖A‖_F, so that such
        a column changes nothing.
        """
        rho = np.sqrt((lifted * lifted).sum(axis=1) - still * chosen**2)[:, None]  # (B, 1) ‖A‖_F
        inverse: Array = inverse_polynomial(lifted / rho, self.steps) / rho  # (B, d)
        return inverse


def _smoother(block: Block, solved: _Solved) -> Smoother:
    _, prompts, spectrum, vectors, _ = solved
    return foundation_smoother(block, prompts, spectrum, vectors, solved.answer.solvers)


def _certificate(solved: _Solved, smoother: Smoother) -> Array:
    """Return what one more pass would add to each answer (B, Q), in predictive deviations."""
    spectrum, vectors = solved.spectrum, solved.vectors
    lifted = (vectors * spectrum.lifted[:, None]) @ vectors.mT  # (B, d, d) G + λI
    reached = stage_inverse(spectrum, solved.answer.solvers)  # (B, d)
    return corrections(smoother, lifted, predictive_deviation(spectrum, reached))


def _penalised(grid: Array, loss: Array, count: int, alive: NDArray[np.intp]) -> Array:
    """Return (M/2) ln(loss) + ln(λ/d)² (B, K): a short prompt alone cannot tell λ well."""
    penalty = np.log(grid / alive[:, None]) ** 2  # (B, K)
    score: Array = 0.5 * count * np.log(np.maximum(loss, SMALLEST_LOSS)) + penalty
    return score


def _eigen(gram: Array) -> tuple[Array, Array]:
    """Return eigenvalues (B, d) and eigenvectors (B, d, d) of gram (B, d, d).

    A prompt that is not finite gets NaN, so that its answers are none; LAPACK itself would fail.
    """
    if math.isfinite(np.add.reduce(gram, axis=None)):
        values, vectors = np.linalg.eigh(gram)
        return values, vectors
    finite = np.isfinite(gram).reshape(len(gram), -1).min(axis=1)  # (B,)
    values, vectors = np.linalg.eigh(np.where(finite[:, None, None], gram, 0.0))
    return np.where(finite[:, None], values, np.nan), vectors


def _leave_one_out(rows: Array, labels: Array, b: Array, inverse: Array) -> Array:
    """Return the mean squared leave-one-out error (B, K) of ridge for every λ.

    rows (B, M, d) are the examples in the eigenbasis; fitted without example i, ridge errs there by
    (r_i - f_i)/(1 - h_i). Of the layers' own first pass that would be the error of a residual that
    later passes remove: on noiseless labels it hides which λ is best.
    """
    columns = inverse.mT  # (B, d, K)
    rest = (rows * rows) @ columns  # (B, M, K), in place from here: the largest arrays there are
    np.subtract(1.0 - 1.0 / rows.shape[1], rest, out=rest)  # (B, M, K) 1 - h_i
    np.maximum(rest, 1.0 - LEVERAGE_CLIP, out=rest)  # (B, M, K)
    error = rows @ (columns * b[..., None])  # (B, M, K)
    np.subtract(labels[..., None], error, out=error)  # (B, M, K)
    error /= rest  # (B, M, K)
    loss: Array = np.einsum("bmk,bmk->bk", error, error) / rows.shape[1]  # (B, K)
    return loss


def _cross_validated(prompts: Standardised, g: Array, b: Array, inverse: Array) -> Array:
    """Return the generalised cross-validation error (B, K): leave-one-out without the rows."""
    M = prompts.count
    used = g[:, None] * inverse  # (B, K, d)
    explained = (inverse * (2.0 - used) * (b * b)[:, None]).sum(axis=2)  # (B, K)
    rss = np.maximum(prompts.label_power[:, None] - explained, 0.0)  # (B, K)
    free = np.maximum(1.0 - (1.0 + used.sum(axis=2)) / M, 1.0 - LEVERAGE_CLIP)  # (B, K)
    loss: Array = rss / M / free**2
    return loss


def _judge(
    block: Block, prompts: Standardised, full_rank: NDArray[np.bool_]
) -> tuple[list[Warned], list[tuple[int, Refusal]]]:
    """Return the cautions and refusals of a block."""
    warned: list[Warned] = []
    if prompts.label_constant.any():
        sentence = "the label is the same in every example, and that label is the answer"
        for prompt in np.flatnonzero(prompts.label_constant):
            warned.append(Warned(int(prompt), Caution.CONSTANT_TARGET, sentence, "examples.labels"))
    if prompts.constant.any():
        warned += constant_columns(block, prompts.constant)
    M, d = prompts.count, prompts.queries.shape[2]
    if d + 2 > M:
        sentence = f"{M} examples for {d} features: the answer leans on shrinkage"
        for row in range(len(prompts.queries)):
            warned.append(Warned(row, Caution.FEW_EXAMPLES, sentence, "examples"))
    if not full_rank.all():
        sentence = "some features are linear combinations of others, so they share their weight"
        for prompt in np.flatnonzero(~full_rank):
            caution = Caution.RANK_DEFICIENT
            warned.append(Warned(int(prompt), caution, sentence, "examples.features"))
    far, refused = far_queries(block, prompts.queries)
    return warned + far, refused
