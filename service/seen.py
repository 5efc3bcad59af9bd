"""Answered prompts as a monitor takes them: batches of one shape, in the monitor's own terms."""

from collections.abc import Iterator

import numpy as np

from model.estimator import Estimating, Estimator
from model.moments import Moments
from model.prompt import Block, Examples
from monitoring.harm import Served
from monitoring.watch import Seen, Summary

BATCH_PROMPTS = 256
BATCH_NUMBERS = 2**20


@np.errstate(all="ignore")  # what is not finite is found in the numbers
def seen(model: Estimating, block: Block) -> Seen | None:
    """Return a block as the monitor takes it; None of sums without second moments."""
    return None if is_bare(block) else seen_by(model.estimator(block), block)


def is_bare(block: Block) -> bool:
    """Return whether a block came as sums without second moments: nobody can watch it."""
    return isinstance(block.context, Moments) and block.context.scatter is None


def seen_by(estimator: Estimator, block: Block) -> Seen:
    """Return a block, not a bare one, as the monitor takes it from what answered it."""
    context = block.context
    if isinstance(context, Moments):
        assert context.scatter is not None  # the caller's own check precedes
        return Seen(served(estimator), Summary(context.mean, context.scatter))
    return Seen(served(estimator), context.x)


def served(estimator: Estimator) -> Served:
    """Return a model's estimator in the monitor's own terms."""
    made = estimator.smoother
    return Served(
        count=made.count,
        centred=made.centred,
        inverse=made.inverse,
        gram=made.gram,
        products=made.products,
        queries=made.queries,
        prior_mean=made.prior_mean,
        noise_variance=estimator.noise_variance,
        task_covariance=estimator.task_covariance,
        inverts=estimator.inverts,
        rows=made.rows,
        labels=made.labels,
    )


def singles(block: Block) -> Iterator[Block]:
    """Yield the prompts of a block of rows one by one, as views."""
    assert isinstance(block.context, Examples)  # sums come alone
    x, y, queries = block.context.x, block.context.y, block.queries
    for row in range(len(queries)):
        one = slice(row, row + 1)
        yield Block(Examples(x[one], y[one]), queries[one])


def by_shape(blocks: list[Block]) -> Iterator[Block]:
    """Yield the prompts in batches of one shape, each in the order they came."""
    shapes: dict[tuple[str, int, tuple[int, ...]], list[Block]] = {}
    for block in blocks:
        shapes.setdefault((_kind(block), block.example_count, block.queries.shape[1:]), []).append(
            block
        )
    for alike in shapes.values():
        size = max(1, min(BATCH_PROMPTS, BATCH_NUMBERS // number_count(alike[0])))
        for start in range(0, len(alike), size):
            yield _stacked(alike[start : start + size])


def _kind(block: Block) -> str:
    """Return what a block's context is: sums without second moments are of their own kind."""
    if not isinstance(block.context, Moments):
        return "rows"
    return "sums" if is_bare(block) else "moments"


def _stacked(blocks: list[Block]) -> Block:
    """Return single prompts of one shape as one block."""
    queries = np.concatenate([block.queries for block in blocks])  # (B, Q, d)
    if isinstance(blocks[0].context, Moments):
        return Block(_stacked_moments([block.context for block in blocks]), queries)
    rows = [block.context for block in blocks if isinstance(block.context, Examples)]
    x = np.concatenate([one.x for one in rows])  # (B, M, d)
    return Block(Examples(x, np.concatenate([one.y for one in rows])), queries)


def _stacked_moments(contexts: list[Examples | Moments]) -> Moments:
    parts = [one for one in contexts if isinstance(one, Moments)]
    scatters = [one.scatter for one in parts if one.scatter is not None]
    return Moments(
        parts[0].count,
        np.concatenate([one.mean for one in parts]),
        np.concatenate([one.label_mean for one in parts]),
        np.concatenate(scatters) if len(scatters) == len(parts) else None,
        np.concatenate([one.products for one in parts]),
        np.concatenate([one.label_scatter for one in parts]),
    )


def number_count(block: Block) -> int:
    """Return how many numbers a block holds."""
    context = block.context
    size = context.products.size if isinstance(context, Moments) else context.x.size
    if isinstance(context, Moments) and context.scatter is not None:
        size = context.scatter.size
    return size + block.queries.size
