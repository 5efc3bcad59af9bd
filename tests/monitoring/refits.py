"""The served models under the monitor: estimators as plain arrays, and refits without a row."""

import numpy as np

from model.ladder import Spectrum, climb
from model.prompt import Block, Examples
from service.seen import served as served_of

__all__ = ["drawn", "refitted", "refitted_at", "served_of", "without_each"]


def drawn(seed, B, M=16, d=4, Q=3, noise_sd=1.0, freedom=None, mean=0.0):
    """Return B prompts with standard normal tasks; rows and noise are Student's t of `freedom`."""
    rng = np.random.default_rng(seed)
    spread = np.linspace(1.0, 0.4, d)
    x = rng.normal(size=(B, M + Q, d))
    e = rng.normal(size=(B, M + Q))
    if freedom is not None:
        x = x / np.sqrt(rng.chisquare(freedom, size=(B, M + Q, 1)) / freedom)
        e = rng.standard_t(freedom, size=(B, M + Q))
    x = mean + x * spread
    y = (x @ rng.normal(size=(B, d, 1)))[..., 0] + noise_sd * e
    return Block(Examples(x[:, :M], y[:, :M]), x[:, M:])


def without_each(block):
    """Return every prompt without each of its rows, which is then the query, and its label."""
    x, y = block.context
    B, M, d = x.shape
    kept = np.array([[j for j in range(M) if j != i] for i in range(M)])  # (M, M-1)
    rest = Examples(x[:, kept].reshape(-1, M - 1, d), y[:, kept].reshape(-1, M - 1))
    return Block(rest, x.reshape(B * M, 1, d)), y


def refitted(model, block):
    """Return the errors (B, M) of the model's answers without each row, NaN where refused."""
    rest, y = without_each(block)
    return y - model.answer(rest).predictions.reshape(y.shape)


def refitted_at(model, estimator):
    """Return the errors (B, M) of a foundation model without each row, units and λ held.

    The ladder climbs again: what is certified of the rows that are left.
    """
    s = estimator.smoother
    ridge = 1.0 / estimator.task_covariance[:, 0, 0]  # (B,) λ
    errors = np.empty(s.labels.shape)
    for i in range(s.count):
        u, r = np.delete(s.rows, i, 1), np.delete(s.labels, i, 1)
        mean, label_mean = u.mean(1, keepdims=True), r.mean(1, keepdims=True)
        u, r = u - mean, r - label_mean
        g, vectors = np.linalg.eigh(u.mT @ u)
        lifted = g + ridge[:, None]
        still = np.zeros(len(g), int)
        spectrum = Spectrum(
            count=s.count - 1,
            gram=g,
            lifted=lifted,
            inverse=model._one_pass(lifted, ridge, still),
            products=((r[:, None] @ u) @ vectors)[:, 0],
            queries=(s.rows[:, [i]] - mean) @ vectors,
            label_power=(r * r).sum(1),
        )
        answers, _ = climb(spectrum, model.correction_bound)
        errors[:, i] = s.labels[:, i] - label_mean[:, 0] - answers[:, 0]
    return errors
