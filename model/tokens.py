"""The networks written token by token, as the paper draws them: the oracle of tests, never served.

arXiv 2306.09927v3, eq. (3.3): f(E) = E + W^PV E (Eᵀ W^KQ E)/ρ with the token matrix E of eq. (3.4).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def token_matrix(x: Array, y: Array, query: Array) -> Array:
    """Return E (d+1, M+1) of examples x (M, d), y (M,) and a query (d,) whose label slot is 0."""
    features = np.column_stack([x.T, query])  # (d, M+1)
    labels = np.append(y, 0.0)  # (M+1,)
    return np.vstack([features, labels])  # (d+1, M+1)


def layer(E: Array, W_PV: Array, W_KQ: Array, rho: float, keys: int) -> Array:
    """Return one linear self-attention layer's output (d+1, M+1); the first `keys` columns attend.

    With ρ = M and `keys` = M this is eq. (3.3) with the query masked as key and value, which
    changes nothing for the weights of Theorem 4.1 (the query's label is 0 and w21 is 0).
    """
    C = E[:, :keys]  # (d+1, keys)
    output: Array = E + W_PV @ C @ (C.T @ W_KQ @ E) / rho  # (d+1, M+1)
    return output


def paper_prediction(x: Array, y: Array, query: Array, A: Array) -> float:
    """Return the label slot of the query after one layer with w22 = 1 and W11 = Aᵀ (eq. (3.6))."""
    M, d = x.shape
    W_PV, W_KQ = np.zeros((d + 1, d + 1)), np.zeros((d + 1, d + 1))
    W_PV[-1, -1] = 1.0
    W_KQ[:d, :d] = A.T
    E = layer(token_matrix(x, y, query), W_PV, W_KQ, float(M), M)  # (d+1, M+1)
    return float(E[-1, -1])


def deep_prediction(
    u: Array, r: Array, query: Array, prior: Array, steps: Sequence[tuple[float, float]]
) -> float:
    """Return minus the query's label slot after the deep engine's layers (docs/model.md, 2).

    u (n, p) and r (n,) are example tokens, prior (k, p) the prior tokens with label 0; attention is
    divided by the Frobenius norm of the score matrix of all keys.
    """
    rows = np.vstack([u, prior])  # (n+k, p)
    labels = np.append(r, np.zeros(len(prior)))  # (n+k,)
    E = token_matrix(rows, labels, query)  # (p+1, n+k+1)
    p = rows.shape[1]
    rho = float(np.linalg.norm(rows @ rows.T))
    W_KQ = np.diag(np.append(np.ones(p), 0.0))  # (p+1, p+1)
    for a, b in steps:
        W_PV = np.diag(np.append(np.full(p, -b), -a))  # (p+1, p+1)
        E = layer(E, W_PV, W_KQ, rho, len(rows))  # (p+1, n+k+1)
    return -float(E[-1, -1])
