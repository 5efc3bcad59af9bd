"""How far an answer moves when its examples come in another order, or are others of the same kind.

A prompt is answered again with the same queries and, of its M examples,

    reordered     all, in a random order: the model does not look at it, so rounding alone moves
    resampled     M drawn with replacement: what another sample of the same size might have said
    one_dropped   all but one, each left out once: by how much an answer hangs on a single example
    fifth_dropped all but a fifth, drawn at random

and a move is |new answer - answer| in shares of the typical error, over all queries and draws.
"""

import numpy as np
from numpy.typing import NDArray

from model.profile import ProfileModel
from model.prompt import Block, Examples
from service.assess.asking import Asked, most_answers, parts
from service.assess.findings import Steadiness

Array = NDArray[np.float64]
Places = NDArray[np.intp]

DRAWS = {"reordered": 2, "resampled": 8, "one_dropped": 0, "fifth_dropped": 8}
"""New sets of examples a prompt; as many as it has examples where one is dropped."""
ZERO_ERROR = 1e-9  # of the labels' deviation: a typical error below it is rounding


def steadiness(model: ProfileModel, asked: Asked, seed: int) -> tuple[Steadiness, ...]:
    """Return the moves of every kind; a kind whose new prompts are all refused is left out.

    Wide prompts are costly, so that fewer of them are looked at: every n-th of those answered.
    """
    answered = np.flatnonzero(np.isfinite(asked.answers).all(axis=1))  # (n,)
    typical = max(asked.typical_error, ZERO_ERROR * float(asked.prompts.y.std()))
    found = []
    M, rng = asked.example_count, np.random.default_rng(seed)
    for code, draws in DRAWS.items():
        places = thinned(answered, draws or M, asked.prompts.x.shape[2])  # (n,)
        if not len(places):
            continue
        moved = moves(model, asked, places, choose(code, len(places), M, rng)) / typical
        if len(moved):
            middle, mostly, most = np.quantile(moved, [0.5, 0.9, 1.0])
            found.append(Steadiness(code, M, float(middle), float(mostly), float(most)))
    return tuple(found)


def thinned(answered: Places, draws: int, feature_count: int) -> Places:
    """Return as many of the prompts as their work allows, evenly among them, at least one."""
    most = max(1, most_answers(feature_count) // draws)
    if len(answered) <= most:
        return answered
    return answered[np.linspace(0, len(answered) - 1, most).astype(np.intp)]


def choose(code: str, count: int, M: int, rng: np.random.Generator) -> Places:
    """Return which examples (count, draws, m) of each prompt are kept, by place."""
    if code == "one_dropped":
        kept = np.arange(M - 1) + (np.arange(M - 1) >= np.arange(M)[:, None])  # (M, M - 1)
        return np.broadcast_to(kept, (count, M, M - 1))
    shape = (count, DRAWS[code], M)
    if code == "resampled":
        return rng.integers(0, M, shape)
    left = max(round(M / 5), 1) if code == "fifth_dropped" else 0
    order: Places = rng.random(shape).argsort(axis=2)  # (count, draws, M)
    return order[..., : M - left]


def moves(model: ProfileModel, asked: Asked, places: Places, kept: Places) -> Array:
    """Return |new answer - answer| (n,) over prompts, draws and queries, the target's unit.

    `kept` (P, draws, m) says which examples each of the prompts at `places` (P,) keeps.
    """
    _, draws, m = kept.shape
    which = np.repeat(places, draws)  # (P · draws,)
    chosen = kept.reshape(-1, m)  # (P · draws, m)
    x, y, queries = asked.prompts.x, asked.prompts.y, asked.prompts.queries
    found = []
    for part in parts(len(which), m, x.shape[2]):
        rows = which[part][:, None]  # (n, 1)
        again = Block(Examples(x[rows, chosen[part]], y[rows, chosen[part]]), queries[which[part]])
        moved = np.abs(model.answer(again).predictions - asked.answers[which[part]])  # (n, Q)
        found.append(moved[(asked.prompts.weight[which[part]] > 0.0) & np.isfinite(moved)])
    return np.concatenate(found)
