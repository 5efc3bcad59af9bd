"""Training as one would run it: prompts drawn at random, token matrices, Adam on every weight.

From the initialisation of arXiv 2306.09927v3, Assumption 3.3, as `model.pretrain.flow`, but with
samples in place of expectations. It ends near the same weights, not at them: the noise of the
batches leaves the two w21 at a percent or so, which is why an export sets them to 0.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from model.flow import start
from model.pretrain.flow import Weights, initial, one_thread, population_loss, product
from model.theory import limit, scale_bound

Array = NDArray[np.float64]

BATCH = 256
QUERIES = 16  # of every prompt: more of its task is seen at the price of one context
LEARNING_RATE = 0.03
EVERY = 20  # steps between two looks at the exact loss


@dataclass(frozen=True, slots=True)
class Trained:
    """Weights after training and, at `steps`, their exact loss over that of the closed form."""

    W_PV: Array  # (d+1, d+1)
    W_KQ: Array  # (d+1, d+1)
    A: Array  # (d, d) w22 W11ᵀ, with w21 set to 0
    steps: Array  # (k,)
    ratios: Array  # (k,)


@one_thread()
def train(covariances: Array, N: int, steps: int, seed: int = 0, device: str = "cpu") -> Trained:
    """Train on prompts of N examples, each with one of the covariances (n, d, d) and its own task.

    The same seed, device and versions give the same weights.
    """
    generator = torch.Generator(device).manual_seed(seed)
    laws = torch.as_tensor(covariances, device=device)  # (n, d, d)
    roots = torch.linalg.cholesky(laws)  # (n, d, d)
    scale = math.sqrt(0.5) * scale_bound(covariances.mean(axis=0), N)
    weights = initial(start(np.random.default_rng(seed), laws.shape[-1], scale), device)
    best = _best(covariances, N, device)
    optimiser = torch.optim.Adam(list(weights))
    looks: list[tuple[int, float]] = [(0, _exact(weights, laws, N) / best)]
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / steps)) / 2
        optimiser.zero_grad()
        _batch_loss(weights, roots, N, generator).backward()
        optimiser.step()
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            looks.append((step + 1, _exact(weights, laws, N) / best))
    return _exported(weights, looks)


def _batch_loss(
    weights: Weights, roots: torch.Tensor, N: int, generator: torch.Generator
) -> torch.Tensor:
    """Return the mean of ½(ŷ - ⟨w, x_q⟩)² over a batch of fresh prompts; roots (n, d, d)."""
    d, device = roots.shape[-1], roots.device
    which = torch.randint(len(roots), (BATCH,), generator=generator, device=device)  # (B,)
    like = {"generator": generator, "dtype": roots.dtype, "device": device}
    rows = torch.randn(BATCH, N + QUERIES, d, **like) @ roots[which].mT  # (B, N+Q, d)
    w = torch.randn(BATCH, d, 1, **like)  # (B, d, 1)
    labels = rows @ w  # (B, N+Q, 1)
    known = torch.cat([labels[:, :N], torch.zeros_like(labels[:, N:])], dim=1)  # (B, N+Q, 1)
    E = torch.cat([rows, known], dim=2).mT  # (B, d+1, N+Q)
    C = E[..., :N]  # (B, d+1, N) a query is no key
    scores = C.mT @ weights.W_KQ @ E[..., N:]  # (B, N, Q)
    answers = (weights.W_PV[-1:] @ C @ scores)[:, 0] / N  # (B, Q)
    return (answers - labels[:, N:, 0]).square().mean() / 2


def _exact(weights: Weights, laws: torch.Tensor, N: int) -> float:
    with torch.no_grad():
        return float(population_loss(weights, laws, N))


def _best(covariances: Array, N: int, device: str) -> float:
    """Return the loss of the closed form, which no weights of one layer can beat."""
    laws = torch.as_tensor(covariances, device=device)  # (n, d, d)
    return _exact(initial(limit(covariances, N), device), laws, N)


def _exported(weights: Weights, looks: list[tuple[int, float]]) -> Trained:
    W_PV, W_KQ = (matrix.detach().clone() for matrix in weights)
    served = Weights(W_PV.clone(), W_KQ.clone())
    served.W_PV[-1, :-1] = 0.0
    served.W_KQ[-1, :-1] = 0.0
    A = product(served).cpu().numpy()  # (d, d)
    steps, ratios = np.array(looks).T  # (k,), (k,)
    return Trained(W_PV.cpu().numpy(), W_KQ.cpu().numpy(), A, steps, ratios)
