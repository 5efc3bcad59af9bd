"""Mistakes made on purpose in prompts of real groups, and how often a served profile notices.

Noticed is a prompt that is refused, answered by another model, or warned of with a code of ODD. It
is sent without column names, which would give a swap away for certain, and asks for an interval.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import sonoba
from model.history import Prompts

Array = NDArray[np.float64]
Columns = NDArray[np.intp]

LENGTHS = (8, 32)
LEVEL = 0.95
GAP_SHARE, OUTLIER_SD = 0.2, 10.0
ODD = {
    *("EXTRAPOLATION", "OUT_OF_PROFILE_RANGE", "LABEL_OUTLIER"),
    *("QUERY_SHIFT", "FALLBACK_USED", "DUPLICATE_EXAMPLES"),
}
UNIT, SWAP = "a feature × 1000", "two columns swapped"
CLEAN = "none"


def share_noticed(
    client: sonoba.Client, model: str, prompts: Prompts, seed: int
) -> dict[str, float]:
    """Return by mistake the share of prompts noticed; CLEAN is the share of false alarms.

    A mistake that changes nothing, for want of columns that vary, is not counted.
    """
    rng = np.random.default_rng([seed, prompts.x.shape[1]])
    varies = (prompts.x.std(axis=1) > 0.0) & (prompts.queries.std(axis=1) > 0.0)  # (B, d)
    found = {}
    for name, (count, make) in MISTAKES.items():
        chosen = np.argsort(rng.random(varies.shape) - varies, axis=1)[:, :count]  # (B, count)
        can = varies.sum(axis=1) >= count  # (B,)
        if can.any():
            wrong = make(prompts.take(can), chosen[can])
            found[name] = float(np.mean(_noticed(client, model, wrong)))
    return found


def _noticed(client: sonoba.Client, model: str, prompts: Prompts) -> list[bool]:
    rows = zip(prompts.x, prompts.y, prompts.queries, strict=True)
    asked = [sonoba.Prompt(*row, levels=LEVEL) for row in rows]
    told = client.predict_many(asked, return_exceptions=True, model=model)
    return [_is_noticed(one) for one in told]


def _is_noticed(told: sonoba.Prediction | sonoba.SonobaError) -> bool:
    """Return whether a prompt was called odd; raise what is no refusal of the prompt."""
    if isinstance(told, sonoba.Prediction):
        return not ODD.isdisjoint(warning.code for warning in told.warnings)
    if not isinstance(told, sonoba.InvalidPrompt):
        raise told
    return True


def _scaled(prompts: Prompts, columns: Columns) -> Prompts:
    factor = _factor(prompts, columns)  # (B, 1, d)
    return prompts._replace(x=prompts.x * factor, queries=prompts.queries * factor)


def _scaled_queries(prompts: Prompts, columns: Columns) -> Prompts:
    return prompts._replace(queries=prompts.queries * _factor(prompts, columns))


def _factor(prompts: Prompts, columns: Columns) -> Array:
    factor = np.ones((len(prompts.x), 1, prompts.x.shape[2]))  # (B, 1, d)
    np.put_along_axis(factor[:, 0], columns, 1000.0, axis=1)
    return factor


def _swapped(prompts: Prompts, columns: Columns) -> Prompts:
    both = _turned(prompts.x, columns), _turned(prompts.queries, columns)
    return prompts._replace(x=both[0], queries=both[1])


def _swapped_queries(prompts: Prompts, columns: Columns) -> Prompts:
    return prompts._replace(queries=_turned(prompts.queries, columns))


def _zeroed(prompts: Prompts, _: Columns) -> Prompts:
    """Send a fifth of the examples' cells as 0, as who does not know of NaN sends missing ones."""
    is_gone = np.random.default_rng(0).random(prompts.x.shape) < GAP_SHARE  # (B, M, d)
    return prompts._replace(x=np.where(is_gone, 0.0, prompts.x))


def _one_label_off(prompts: Prompts, _: Columns) -> Prompts:
    y = prompts.y.copy()  # (B, M)
    y[:, 3] += OUTLIER_SD * prompts.y.std(axis=1)
    return prompts._replace(y=y)


def _half_twice(prompts: Prompts, _: Columns) -> Prompts:
    rows = np.arange(prompts.x.shape[1]) // 2  # (M,)
    return prompts._replace(x=prompts.x[:, rows], y=prompts.y[:, rows])


def _turned(rows: Array, columns: Columns) -> Array:
    """Return rows (B, R, d) with two columns (B, 2) of every prompt exchanged."""
    order = np.tile(np.arange(rows.shape[2]), (len(rows), 1))  # (B, d)
    np.put_along_axis(order, columns, columns[:, ::-1], axis=1)
    return np.take_along_axis(rows, order[:, None], axis=2)


MISTAKES: dict[str, tuple[int, Callable[[Prompts, Columns], Prompts]]] = {
    CLEAN: (0, lambda prompts, _: prompts),
    UNIT: (1, _scaled),
    UNIT + ", queries only": (1, _scaled_queries),
    "labels × 100": (0, lambda prompts, _: prompts._replace(y=100.0 * prompts.y)),
    SWAP: (2, _swapped),
    SWAP + ", queries only": (2, _swapped_queries),
    "a fifth of the cells sent as 0": (0, _zeroed),
    "one label moved by 10 sd": (0, _one_label_off),
    "labels with the sign turned": (0, lambda prompts, _: prompts._replace(y=-prompts.y)),
    "half of the examples, twice": (0, _half_twice),
}
"""By name: how many columns it needs, and what it makes of prompts and columns (B, count)."""
