"""Population gradient descent on every weight of the layer, from the paper's initialisation.

arXiv 2306.09927v3, section 5: the loss is ½E(ŷ - ⟨w, x_q⟩)² over tasks w ~ N(0, I) and examples
x ~ N(0, Λ). `population_loss` is that expectation in closed form for any W^PV and W^KQ, derived
below, and torch differentiates it: nothing here assumes which entries move, or where to.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model.flow import CLOSE, MOST_STEPS, step_size
from model.theory import Factors, limit

Array = NDArray[np.float64]


class Weights(NamedTuple):
    """The matrices of one layer, f(E) = E + W^PV C CᵀW^KQ E / N over the examples C."""

    W_PV: torch.Tensor  # (d+1, d+1)
    W_KQ: torch.Tensor  # (d+1, d+1)


class Flowed(NamedTuple):
    """Where a descent ended: ‖A - A*‖_F ÷ ‖A*‖_F before every step and at the end."""

    weights: Weights
    distances: Array  # (steps + 1,)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: on matrices this small, two spend their time waiting."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def initial(factors: Factors, device: str = "cpu") -> Weights:
    """Return Assumption 3.3 as full matrices: W^PV = diag(0, u), W^KQ = diag(U, 0)."""
    d = len(factors.U)
    W_PV = torch.zeros(d + 1, d + 1, dtype=torch.float64, device=device)  # (d+1, d+1)
    W_KQ = torch.zeros_like(W_PV)  # (d+1, d+1)
    W_PV[-1, -1] = factors.u
    W_KQ[:d, :d] = torch.as_tensor(factors.U, device=device)
    return Weights(W_PV.requires_grad_(), W_KQ.requires_grad_())


def product(weights: Weights) -> torch.Tensor:
    """Return A (d, d), what the layer does to g: w22 W11ᵀ and what leaks through the two w21."""
    v, u = weights.W_PV[-1, :-1], weights.W_PV[-1, -1]  # (d,), ()
    W11, k = weights.W_KQ[:-1, :-1], weights.W_KQ[-1, :-1]  # (d, d), (d,)
    return u * W11.mT + torch.outer(k, v)  # (d, d)


def population_loss(weights: Weights, covariances: torch.Tensor, N: int) -> torch.Tensor:
    """Return ½E(ŷ - ⟨w, x_q⟩)² of any weights, mean over covariances (n, d, d).

    ŷ is odd in w through A g, and even through v'S W11 x_q + u (w'Sw) k'x_q; the odd and the even
    part are uncorrelated. The query is no key (`model.tokens.layer`).
    """
    d, eye = covariances.shape[-1], torch.eye(covariances.shape[-1], device=covariances.device)
    A, square = product(weights), covariances @ covariances  # (d, d), (n, d, d)
    trace = covariances.diagonal(dim1=1, dim2=2).sum(1)  # (n,)
    G = (1 + 1 / N) * square + trace[:, None, None] / N * covariances  # (n, d, d) E ggᵀ
    missed = A @ G @ A.mT - 2 * A @ covariances + eye.to(G)  # (n, d, d)
    odd = (covariances * missed.mT).sum((1, 2))  # (n,)

    v, u = weights.W_PV[-1, :d], weights.W_PV[-1, d]  # (d,), ()
    W11, k = weights.W_KQ[:d, :d], weights.W_KQ[d, :d]  # (d, d), (d,)
    B = W11 @ covariances @ W11.mT  # (n, d, d)
    reached = covariances @ v  # (n, d)
    power = (B * covariances).sum((1, 2))  # (n,)
    even = (1 + 1 / N) * (reached * (B @ reached[..., None])[..., 0]).sum(1)  # (n,)
    even = even + power / N * (reached @ v)
    mixed = trace[:, None] * reached + 2 / N * (square @ v)  # (n, d) E tr(S) S v
    even = even + 2 * u * (mixed * (W11 @ covariances @ k)).sum(1)
    spread = square.diagonal(dim1=1, dim2=2).sum(1)  # (n,) tr Λ²
    fourth = (2 + 4 / N) * spread + (1 + 2 / N) * trace**2  # (n,) E (w'Sw)²
    even = even + u**2 * fourth * (covariances @ k @ k)
    return (odd + even).mean() / 2


@one_thread()
def descend(
    start: Factors,
    covariances: Array,
    N: int,
    rate: float | None = None,
    most_steps: int = MOST_STEPS,
    device: str = "cpu",
) -> Flowed:
    """Descend the loss with all 2(d+1)² weights free until A is close to the closed form.

    covariances (n, d, d): one of Theorem 4.1 or a sample of random diagonal ones of Theorem 4.5.
    rate is the length of a step, by default `model.flow.step_size`.
    """
    rate = step_size(covariances, N) if rate is None else rate
    end = limit(covariances, N)
    target = torch.as_tensor(end.u * end.U.T, device=device)  # (d, d)
    laws = torch.as_tensor(covariances, device=device)  # (n, d, d)
    weights = initial(start, device)
    distances = [_distance(weights, target)]
    while len(distances) <= most_steps and distances[-1] >= CLOSE:
        slopes = torch.autograd.grad(population_loss(weights, laws, N), weights)
        with torch.no_grad():
            for matrix, slope in zip(weights, slopes, strict=True):
                matrix -= rate * slope
        distances.append(_distance(weights, target))
    return Flowed(weights, np.array(distances))


def _distance(weights: Weights, target: torch.Tensor) -> float:
    with torch.no_grad():
        return float((product(weights) - target).norm() / target.norm())


def largest_other(weights: Weights) -> float:
    """Return the largest size of an entry that Theorem 4.1 says stays 0."""
    d = len(weights.W_PV) - 1
    sizes = torch.stack([weights.W_PV.abs(), weights.W_KQ.abs()])  # (2, d+1, d+1)
    moving = torch.zeros_like(sizes)  # (2, d+1, d+1)
    moving[0, d, d] = 1.0
    moving[1, :d, :d] = 1.0
    return float(((1.0 - moving) * sizes).detach().max())
