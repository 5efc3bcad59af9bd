"""Windows of prompts by the formulas, prompt by prompt, as `model.window` describes them."""

import numpy as np

from model.window import Window


def window(model, block, basis):
    """Return what a block's prompts say; basis (p, p) is W."""
    made = model.estimator(block).smoother
    told = [one(made, place, basis) for place in range(len(block.queries))]
    means = [np.mean([part[k] for part in told], axis=0) for k in range(len(told[0]))]
    x = block.context.x
    middle = x.mean(axis=1)
    within = np.mean([np.cov(rows.T, bias=True) for rows in x], axis=0)
    features = middle.mean(axis=0), np.cov(middle.T, bias=True), within
    return Window(
        made.count,
        len(told),
        x.shape[0] * x.shape[1],
        basis,
        *means,
        *(np.atleast_2d(part) if part.ndim != 1 else part for part in features),
    )


def one(made, place, W):
    """Return the fields of one prompt from `shrinkage` on."""
    U, r, m, M = made.rows[place], made.labels[place], made.prior_mean, made.count
    left = r - U @ m
    Q = np.linalg.inv(W.T @ U.T @ U @ W / M + np.eye(len(W)))
    a = Q @ W.T @ U.T @ left / M
    residual = np.mean((left - U @ W @ a) ** 2)
    hat = U @ W @ Q @ W.T @ U.T / M
    off = np.eye(M) - hat - made.centred * np.full((M, M), 1.0 / M)
    mean, G = U.mean(axis=0), U.T @ U / M
    spread = np.mean([(u @ u) * np.outer(u, u) for u in U], axis=0)
    return (
        *(Q, Q @ Q, a, np.outer(a, a), residual, np.sum(off * off) / M, np.mean(left**2)),
        *(mean, np.outer(mean, mean), G, G @ G, spread),
    )
