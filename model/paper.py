"""The paper's single layer with its closed-form weights: ŷ = x_qᵀ A g, g = (1/M) Σ y_i x_i.

arXiv 2306.09927v3, Theorem 4.1: gradient flow converges to A = Γ⁻¹, Γ = (1+1/N)Λ + (tr Λ/N) I. With
label noise σ² and task variance τ², Γ = (1+1/M)Λ + (tr Λ + σ²/τ²)/M I, taken at the prompt's own
length M (derived in docs/model.md, section 1).
"""

import numpy as np
from numpy.typing import NDArray

from model.answer import Answer, Caution, Mode, Solver, Warned
from model.hygiene import constant_columns, far_queries
from model.moments import Moments
from model.prompt import Block, Examples
from model.refusal import Refusal
from model.standardise import CONSTANT_SD

Array = NDArray[np.float64]


def predict(A: Array, x: Array, y: Array, queries: Array) -> Array:
    """Return the layer's answers (B, Q) to queries (B, Q, d) from x (B, M, d), y (B, M).

    A is W11ᵀ w22 (d, d); equivalent to `model.tokens.paper_prediction` query by query.
    """
    M = x.shape[-2]
    g = (y[..., None, :] @ x) / M  # (B, 1, d) what the examples say
    keys = queries @ A  # (B, Q, d) where each query looks
    predictions: Array = (keys @ g.mT)[..., 0]  # (B, Q)
    return predictions


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
        self._eigenvalues, self._vectors = np.linalg.eigh(covariance)  # (d,), (d, d)
        self._noise_to_signal = noise_variance / task_variance
        self._centred = centred
        self._weights: dict[int, Array] = {}

    @property
    def feature_count(self) -> int:
        """d, the number of features the weights are made for."""
        return len(self._eigenvalues)

    def weights(self, length: int) -> Array:
        """Return A_M (d, d), the optimal weights for prompts of `length` examples."""
        A = self._weights.get(length)
        if A is None:
            lifted = self._eigenvalues.sum() + self._noise_to_signal
            gamma = (1 + 1 / length) * self._eigenvalues + lifted / length  # (d,)
            A = (self._vectors / gamma) @ self._vectors.T  # (d, d)
            if len(self._weights) < 256:  # callers choose lengths; the memory of them is bounded
                self._weights[length] = A
        return A

    def answer(self, block: Block) -> Answer:
        """Answer every prompt of the block; overflow refuses a prompt alone."""
        if isinstance(block.context, Moments):
            return self._from_moments(block, block.context)
        return self._from_rows(block, block.context)

    def _from_rows(self, block: Block, examples: Examples) -> Answer:
        x, y, queries = examples.x, examples.y, block.queries
        M = x.shape[1]
        if not self._centred:
            return self._checked(block, predict(self.weights(M), x, y, queries), [], [])
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            centre = x.mean(axis=1, keepdims=True)  # (B, 1, d)
            label_mean = y.mean(axis=1, keepdims=True)  # (B, 1)
            u = x - centre  # (B, M, d)
            v = queries - centre  # (B, Q, d)
            power = np.einsum("bmd,bmd->bd", u, u)  # (B, d)
            A = self.weights(M - 1) * (M / (M - 1))  # (d, d) the centred sums have M - 1 terms
            answers = label_mean + predict(A, u, y - label_mean, v)  # (B, Q)
            size = np.abs(centre[:, 0])  # (B, d)
        return self._judged(block, answers, v, power, size)

    def _from_moments(self, block: Block, moments: Moments) -> Answer:
        M = moments.count
        label_mean, mean = moments.label_mean[:, None], moments.mean[:, None]
        if not self._centred:
            g = (moments.products + M * moments.mean * label_mean) / M  # (B, d)
            answers = (block.queries @ self.weights(M) @ g[..., None])[..., 0]  # (B, Q)
            return self._checked(block, answers, _incomplete(moments), [])
        v = block.queries - mean  # (B, Q, d)
        g = moments.products / (M - 1)  # (B, d)
        answers = label_mean + (v @ self.weights(M - 1) @ g[..., None])[..., 0]  # (B, Q)
        if moments.scatter is None:
            return self._checked(block, answers, _incomplete(moments), [])
        power = np.diagonal(moments.scatter, axis1=1, axis2=2)  # (B, d)
        return self._judged(block, answers, v, power, np.abs(moments.mean))

    def _judged(self, block: Block, answers: Array, v: Array, power: Array, size: Array) -> Answer:
        """Warn and refuse by the distance v (B, Q, d) of the queries from the examples' mean.

        power (B, d) is the examples' centred power, size (B, d) how large their values are.
        """
        sd = np.sqrt(power / (block.example_count - 1))  # (B, d)
        constant = sd <= CONSTANT_SD * size  # (B, d)
        warned = list(constant_columns(block, constant)) if constant.any() else []
        sd = np.where(constant, np.inf, sd)  # (B, d)
        far, refused = far_queries(block, v / sd[:, None])
        return self._checked(block, answers, warned + far, refused)

    def _checked(
        self,
        block: Block,
        answers: Array,
        warned: list[Warned],
        refused: list[tuple[int, Refusal]],
    ) -> Answer:
        B = len(answers)
        if not np.isfinite(answers).all():
            gone = {prompt for prompt, _ in refused}
            refused = refused + [
                (int(prompt), overflow())
                for prompt in np.flatnonzero(~np.isfinite(answers).all(axis=1))
                if prompt not in gone
            ]
        modes = np.full(B, self.mode, np.uint8)
        for prompt, _ in refused:
            answers[prompt] = np.nan
            modes[prompt] = 0
        solvers = np.full(B, Solver.K1, np.uint8)
        return Answer(answers, modes, solvers, tuple(warned), tuple(refused))


def overflow() -> Refusal:
    """Return the refusal of a prompt whose answer leaves the range of float64."""
    sentence = "expected numbers whose answer fits a double, got an overflow"
    return Refusal("NUMERIC_OVERFLOW", "examples", sentence)


def _incomplete(moments: Moments) -> list[Warned]:
    if moments.scatter is not None:
        return []
    sentence = "second_moments is absent, so nothing can be said of this answer's error"
    caution = Caution.SUMMARY_INCOMPLETE
    return [Warned(0, caution, sentence, "summary.second_moments")]
