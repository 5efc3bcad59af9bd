"""Models on the same kept prompts: leave-one-out errors, paired prompt by prompt, natural units.

u = min(LOO/normal, 20) with one normal for all, the served reference's at the prompt's length. A
`foundation` chooses λ by the examples themselves, so it is asked again without each of them; of the
others the formula is exact (docs/monitoring.md, "h and leave-one-out").
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.checkpoint import Model
from model.estimator import Estimating
from model.foundation import FoundationModel
from model.prompt import Block, Examples
from monitoring.harm import leave_one_out, ridge_leave_one_out
from monitoring.observation import observe
from monitoring.paired import Bounds, Paired
from monitoring.reference import Reference
from service.seen import by_shape, served

Array = NDArray[np.float64]

MOST = 0.8  # of the clipped prompts
ROWS_ASKED = 16  # of a prompt, where a model is asked again without them
RIDGE: Final = "ridge"  # the exact solve with the served prior: what the layers approach


class Compared(NamedTuple):
    """One way of answering beside the served one."""

    error: Bounds  # over normal
    gain: Bounds  # share of the served error that it saves
    prompt_count: int


def own_prompts(model: Model, blocks: Sequence[Block]) -> list[int]:
    """Return the places of prompts (B = 1 each) of rows that a model answers itself."""
    return [
        place
        for place, block in enumerate(blocks)
        if isinstance(block.context, Examples) and model.answer(block).modes[0] == model.mode
    ]


def clipped(model: Estimating, blocks: Sequence[Block], reference: Reference) -> NDArray[np.bool_]:
    """Return which prompts (n,) err so much that the gate clips them."""
    found = np.zeros(len(blocks), np.bool_)
    for place, block in enumerate(blocks):
        numbers = observe(served(model.estimator(block)))
        over = reference.inflations(numbers.counts, numbers.predicted, numbers.loo)
        found[place] = over.at_clip.max() > 0.0
    return found


def source_count(at_clip: NDArray[np.bool_], tenants: NDArray[np.int64], fewest: int) -> int | None:
    """Return of how many sources most clipped prompts (n,) are; None where few sources are known.

    Where those send half of all prompts and more, all sources count: any shift would look so.
    """
    known, of = np.unique(tenants, return_inverse=True)  # (t,), (n,)
    if len(known) < fewest:
        return None
    hits, sent = np.bincount(of[at_clip], minlength=len(known)), np.bincount(of)  # (t,), (t,)
    worst = np.argsort(-hits)  # (t,)
    enough = int((np.cumsum(hits[worst]) < MOST * hits.sum()).sum()) + 1
    is_large = sent[worst[:enough]].sum() > 0.5 * len(tenants)
    return len(known) if is_large else enough


def compared(
    model: Estimating,
    others: Mapping[str, Model],
    blocks: Sequence[Block],
    reference: Reference,
    seed: int,
) -> tuple[Bounds, dict[str, Compared]]:
    """Return the served model's error over normal, and every other's beside it."""
    rng = np.random.default_rng(seed)
    pairs = {name: Paired() for name in (*others, RIDGE)}
    for block in by_shape(list(blocks)):
        made = model.estimator(block)
        seen, unit = served(made), made.smoother.label_unit  # (B,)
        counts = np.full(len(unit), float(block.example_count))  # (B,)
        normal = unit**2 * reference.baselines.normal("loo", counts)  # (B,)
        own = unit**2 * leave_one_out(seen)  # (B,)
        pairs[RIDGE].add(own, unit**2 * ridge_leave_one_out(seen), normal)
        for name, other in others.items():
            pairs[name].add(own, natural_errors(other, block, rng), normal)
    told = {
        name: Compared(pair.candidate(), pair.gain(), pair.prompt_count)
        for name, pair in pairs.items()
    }
    return pairs[RIDGE].served(), told


def natural_errors(model: Model, block: Block, rng: np.random.Generator) -> Array:
    """Return the mean squared leave-one-out error (B,), label units²; NaN where it cannot be told.

    Of prompts that the model answers itself.
    """
    own = np.frombuffer(model.answer(block).modes, np.uint8) == model.mode  # (B,)
    if isinstance(model, FoundationModel):
        errors = _asked_again(model, block, rng)  # (B,)
    else:
        assert isinstance(model, Estimating)  # as every model but those of the caller's own
        made = model.estimator(block)
        errors = made.smoother.label_unit**2 * leave_one_out(served(made))  # (B,)
    return np.where(own, errors, np.nan)


def _asked_again(model: Model, block: Block, rng: np.random.Generator) -> Array:
    """Return the mean squared error (B,) at some examples, each answered from all others."""
    assert isinstance(block.context, Examples)  # as chosen
    x, y = block.context
    B, M = y.shape
    total = np.zeros(B)  # (B,)
    chosen = rng.permutation(M)[:ROWS_ASKED]  # (k,)
    for row in chosen:
        rest = np.delete(np.arange(M), row)  # (M - 1,)
        asked = Block(Examples(x[:, rest], y[:, rest]), x[:, row : row + 1])
        total += (model.answer(asked).predictions[:, 0] - y[:, row]) ** 2
    return total / len(chosen)
