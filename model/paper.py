"""The paper's single layer with its closed-form weights: ŷ = x_qᵀ A g, g = (1/M) Σ y_i x_i.

arXiv 2306.09927v3, Theorem 4.1: gradient flow converges to A = Γ⁻¹, Γ = (1+1/N)Λ + (tr Λ/N) I. A is
taken at the prompt's own length M, of a normal law or of recorded prompts (model/paper_weights.py).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from model.alone import Alone, Together
from model.answer import Answer, Caution, Mode, Solver, Warned, settled
from model.estimator import Estimator
from model.explain import Smoother, paper_smoother
from model.hygiene import EXTRAPOLATION_SD, constant_columns, far_queries
from model.intervals import paper_intervals
from model.moments import Moments
from model.paper_weights import EmpiricalSums, Law
from model.prompt import Block
from model.refusal import Refusal
from model.standardise import CONSTANT_SD
from model.support import Supported, Wanted, supported

Array = NDArray[np.float64]

Weights: TypeAlias = Law | EmpiricalSums

NEAR_SD = 100.0  # of a mean from 0: within, sums that are not centred lose 4 of 16 digits
LENGTHS_KEPT = 256  # callers choose lengths, so the memory of them is bounded
LONGEST_KEPT = 4096  # examples, of which an array or two are kept


def predict(A: Array, x: Array, y: Array, queries: Array) -> Array:
    """Return the layer's answers (B, Q) to queries (B, Q, d) from x (B, M, d), y (B, M).

    A is W11ᵀ w22 (d, d); equivalent to `model.tokens.paper_prediction` query by query.
    """
    M = x.shape[-2]
    g = (y[..., None, :] @ x) / M  # (B, 1, d) what the examples say
    keys = queries @ A  # (B, Q, d) where each query looks
    predictions: Array = (keys @ g.mT)[..., 0]  # (B, Q)
    return predictions


class _Length(NamedTuple):
    """What prompts of one length share."""

    scaled: Array  # (d, d) Aᵀ over the number of terms in g: Aᵀ stands right of a row g
    average: Array  # (M,) 1/M
    reach: Array  # (M,) of Σ (x - x̄)²: a squared distance beyond which a query is far
    offset: Array  # (d,) of a squared mean: what the sum of squares is too large by, and a little

    def one(self, x: Array, y: Array, queries: Array) -> tuple[Array, Solver] | None:
        """Return the answer () to one query (1, d), as `many` does and cheaper than as a matrix."""
        scaled, average, reach, offset = self
        mean, label_mean = average.dot(x), average.dot(y)  # (d,), ()
        v = queries[0] - mean  # (d,)
        answer = v.dot((y - label_mean).dot(x).dot(scaled)) + label_mean
        mean *= mean
        mean *= offset
        v *= v
        v += mean
        inside = v < reach.dot(x * x)  # (d,) NaN is not
        return None if 0 in inside.tobytes() or not math.isfinite(answer) else (answer, Solver.K1)

    def many(self, x: Array, y: Array, queries: Array) -> tuple[Array, Solver] | None:
        """Return the answers (Q,) to a single prompt of which there is nothing to say.

        Equivalent to `PaperModel._from_rows` in as few array operations as there are, each of which
        costs more than its arithmetic: nothing is centred but the labels, and one comparison
        settles that every query lies well inside the examples' spread and that every mean is near
        0 beside it.
        """
        scaled, average, reach, offset = self
        mean, label_mean = average.dot(x), average.dot(y)  # (d,), ()
        v = queries - mean  # (Q, d)
        answers = v.dot((y - label_mean).dot(x).dot(scaled)) + label_mean  # (Q,)
        inside = v * v + offset * (mean * mean) < reach.dot(x * x)  # (Q, d) NaN is not
        if 0 in inside.tobytes() or not math.isfinite(answers.dot(answers)):
            return None
        return answers, Solver.K1


class PaperModel:
    """One linear self-attention layer for features of a known law.

    covariance (d, d) is Λ, noise_variance σ², task_variance τ². A `centred` model subtracts each
    prompt's means and counts M - 1 examples; the other is the paper's formula to the letter and is
    right only where features and labels have mean 0.
    """

    mode = Mode.PAPER
    example_count_min = 6  # below, the layer is worse than answering nothing

    def __init__(
        self,
        covariance: Array,
        noise_variance: float = 0.0,
        task_variance: float = 1.0,
        centred: bool = True,
    ) -> None:
        self._set(Law(covariance, noise_variance, task_variance), centred)

    @classmethod
    def of(cls, weights: Weights, centred: bool = True) -> Self:
        """Return the layer with weights of a law, or of sums over recorded prompts."""
        made = cls.__new__(cls)
        made._set(weights, centred)
        return made

    @classmethod
    def from_sums(
        cls,
        mean: Array,
        products: Array,
        fourth: Array,
        noise_variance: float = 0.0,
        task_variance: float = 1.0,
        centred: bool = True,
    ) -> Self:
        """Return the layer whose weights are the best for the law of recorded prompts.

        mean E[S], products Ū and fourth F̄ (d, d) as `model.paper_weights.EmpiricalSums` has them;
        of a `centred` model S = Σ u uᵀ/(M-1) over rows less their mean. ValueError of sums that
        give no weights.
        """
        sums = EmpiricalSums(mean, products, fourth, noise_variance, task_variance)
        return cls.of(sums, centred)

    def _set(self, weights: Weights, centred: bool) -> None:
        self.parameters, self.centred = weights, centred
        self._noise_to_signal = weights.noise_variance / weights.task_variance
        self._lengths: dict[int, _Length] = {}

    @property
    def feature_count(self) -> int:
        """d, the number of features the weights are made for."""
        return self.parameters.feature_count

    def weights(self, length: int) -> Array:
        """Return A_M (d, d), the optimal weights for prompts of `length` examples."""
        return self.parameters.weights(length)

    def _for(self, count: int) -> "_Length":
        """Return what every prompt of `count` examples shares."""
        known = self._lengths.get(count)
        if known is None:
            average = np.full(count, 1.0 / count)  # (M,)
            scaled = self._scaled(count)
            farthest = EXTRAPOLATION_SD**2 / (count - 1)
            reach = np.full(count, farthest)  # (M,)
            offset = np.full(len(scaled), farthest * count * (1.0 + NEAR_SD**-2))  # (d,)
            known = _Length(scaled, average, reach, offset)
            if len(self._lengths) < LENGTHS_KEPT and count <= LONGEST_KEPT:
                self._lengths[count] = known
        return known

    def _scaled(self, count: int) -> Array:
        """Return Aᵀ (d, d) over the number of terms in g; the mean takes one."""
        terms = count - self.centred
        return np.ascontiguousarray(self.weights(terms).T) / terms

    def answer(self, block: Block) -> Answer:
        """Answer every prompt of the block; overflow refuses a prompt alone."""
        if isinstance(block.context, Moments):
            return self._from_moments(block, block.context)
        x, y = block.context
        if not self.centred:
            A = self._for(x.shape[1]).scaled.T * x.shape[1]  # (d, d)
            return _checked(block, predict(A, x, y, block.queries))
        if len(x) == 1:
            length = self._for(x.shape[1])
            solve = length.one if block.queries.shape[1] == 1 else length.many
            found = solve(x[0], y[0], block.queries[0])
            if found is not None:
                predictions = np.reshape(found[0], (1, -1))  # (1, Q)
                return Answer(predictions, bytearray((Mode.PAPER,)), bytearray((found[1],)))
        return self._from_rows(block, x, y)

    def alone(self, example_count: int, query_count: int) -> Alone | None:
        """Return what answers single prompts of a length (`model.alone`); None of the literal."""
        if not self.centred:
            return None
        length = self._for(example_count)
        return length.one if query_count == 1 else length.many

    def together(self, example_count: int, query_count: int) -> Together | None:
        """Return None: one prompt takes as few operations as there are already."""
        return None

    def notes(self, example_count: int) -> Sequence[Warned]:
        """Return what is to be said of every answer to prompts of a length: nothing."""
        return ()

    def support(self, block: Block, wanted: Wanted) -> Supported:
        """Answer as `answer` does, and give what is wanted beside.

        A summary without second moments has nothing beside its answer, which warns of that.
        """
        answer = self.answer(block)
        if isinstance(block.context, Moments) and block.context.scatter is None:
            return Supported(answer)
        smoother, intervals = self._smoother(block), None
        if wanted.levels:
            intervals = paper_intervals(smoother, self._noise_to_signal, wanted.levels)
        return supported(answer, block, smoother, intervals, wanted, inverts=False)

    def estimator(self, block: Block) -> Estimator:
        """Return the layer as an estimator, T = τ²I; a summary must hold its second moments."""
        T = self.parameters.task_variance * np.eye(self.feature_count)  # (d, d)
        return Estimator(self._smoother(block), self.parameters.noise_variance, T, inverts=False)

    def _smoother(self, block: Block) -> Smoother:
        terms = block.example_count - self.centred
        return paper_smoother(block, self.weights(terms), self.centred)

    def _from_rows(self, block: Block, x: Array, y: Array) -> Answer:
        scaled, average, _, _ = self._for(x.shape[1])
        labels = y[:, None]  # (B, 1, M)
        centre, label_mean = average @ x, labels @ average  # (B, d), (B, 1)
        u, v = x - centre[:, None], block.queries - centre[:, None]  # (B, M, d), (B, Q, d)
        g = (labels - label_mean[..., None]) @ u  # (B, 1, d)
        slopes = g[:, 0] @ scaled  # (B, d)
        answers = label_mean + (slopes[:, None] @ v.mT)[:, 0]  # (B, Q)
        variance = np.einsum("bmd,bmd->bd", u, u)[:, None] * (1.0 / x.shape[1])  # (B, 1, d)
        return _judged(block, answers, v, variance, centre[:, None])

    def _from_moments(self, block: Block, moments: Moments) -> Answer:
        M, mean, label_mean = moments.count, moments.mean, moments.label_mean[:, None]
        scaled = self._scaled(M)  # (d, d); a summary may tell of 2^53 examples
        if not self.centred:
            g = moments.products + M * mean * label_mean  # (B, d)
            return _checked(
                block, (g[:, None] @ scaled @ block.queries.mT)[:, 0], _incomplete(moments)
            )
        v = block.queries - mean[:, None]  # (B, Q, d)
        answers = label_mean + (moments.products[:, None] @ scaled @ v.mT)[:, 0]  # (B, Q)
        if moments.scatter is None:
            return _checked(block, answers, _incomplete(moments))
        variance = np.diagonal(moments.scatter, axis1=1, axis2=2)[:, None] / M  # (B, 1, d)
        return _judged(block, answers, v, variance, mean[:, None])


def _judged(block: Block, answers: Array, v: Array, variance: Array, mean: Array) -> Answer:
    """Warn and refuse by the distance v (B, Q, d) of the queries from the examples' mean (B, 1, d).

    variance (B, 1, d) is the examples', with divisor M.
    """
    spread = variance - CONSTANT_SD**2 * (mean * mean)  # (B, 1, d)
    unbiased = block.example_count / (block.example_count - 1)
    if np.logical_and.reduce(v * v < EXTRAPOLATION_SD**2 * unbiased * spread, axis=None):
        return _checked(block, answers)
    constant = spread <= 0.0  # (B, 1, d)
    warned = list(constant_columns(block, constant[:, 0]))
    sd = np.where(constant, np.inf, np.sqrt(variance * unbiased))  # (B, 1, d)
    far, refused = far_queries(block, v / sd)
    return _checked(block, answers, warned + far, refused)


def _is_finite(answers: Array) -> bool:
    """Return whether the squares of answers (Q,) are finite, and so the answers."""
    return math.isfinite(answers.dot(answers))


def _checked(
    block: Block,
    answers: Array,
    warned: Sequence[Warned] = (),
    refused: Sequence[tuple[int, Refusal]] = (),
) -> Answer:
    """Return the answer, with what overflows refused."""
    B = len(block.queries)
    modes, solvers = bytearray([Mode.PAPER]) * B, bytearray([Solver.K1]) * B
    return settled(answers, modes, solvers, warned, refused)


def _incomplete(moments: Moments) -> list[Warned]:
    if moments.scatter is not None:
        return []
    sentence = "second_moments is absent, so nothing can be said of this answer's error"
    caution = Caution.SUMMARY_INCOMPLETE
    return [Warned(0, caution, sentence, "summary.second_moments")]
