"""Learning a profile from history, length by length (docs/model.md, 6)."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.foundation import FoundationModel
from model.history import History, Prompts, draw
from model.layers import Steps
from model.profile_bucket import fit_bucket
from model.profile_choice import choose_coordinates, worst_ratio
from model.profile_parameters import LENGTHS, ProfileParameters

Array = NDArray[np.float64]
Tick = Callable[[str, float], None]
"""Is told what is being done, and the share of all work that is done."""

FOUNDATION_FILE = Path(__file__).with_name("foundation.json")
EIGHT_LAYERS = (
    (6.95332291331, 0.727345510564),
    (6.117967677613, 0.046814988568),
    (6.499112617712, -0.022681252624),
    (6.844362889756, -0.079337948023),
    (7.189599276491, -0.129559994408),
    (7.5399212436, -0.175614644394),
    (7.893648404596, -0.218516243314),
    (8.248155760612, 0.0),
)
FEWEST_GROUPS = 4  # of a profile
FEWEST_OWN_GROUPS = 8  # of a length, to have its own bucket beside another
PROVEN_GAIN, PROVEN_HARM = 0.95, 1.05  # of the error without history, for fewer groups than that
PROMPTS = 400  # drawn a length


def silent(stage: str, share: float) -> None:
    """Tell nobody."""


def fit(
    history: History,
    seed: int = 0,
    layer_count: int = 4,
    tick: Tick = silent,
    coordinates: str | None = None,
) -> ProfileParameters:
    """Return the profile of a history, with coordinates chosen unless they are given.

    Cold below FEWEST_GROUPS groups long enough for a prompt, unless two or three have proven it.
    The same history and seed give the same bytes. ValueError where groups differ in their number of
    features or hold a number that is not finite.
    """
    d, steps = _feature_count(history), np.array(layer_steps(layer_count))  # (L, 2)
    count = len(history.long_enough(LENGTHS[0]))
    lengths = _lengths(history)
    buckets = []
    for place, length in enumerate(lengths):
        tick(f"prompts of {length} examples", place / len(lengths))
        prompts = draw(history, length, PROMPTS, seed)
        if count < FEWEST_GROUPS and not _is_proven(prompts, length == lengths[0]):
            return ProfileParameters(d, count, steps)
        buckets.append(fit_bucket(prompts, coordinates or choose_coordinates(prompts)))
    tick("done", 1.0)
    return ProfileParameters(d, count, steps, tuple(buckets))


def _is_proven(prompts: Prompts, is_shortest: bool) -> bool:
    """Return whether few groups show a gain on short prompts, and no harm on longer ones."""
    most = PROVEN_GAIN if is_shortest else PROVEN_HARM
    return worst_ratio(prompts, FoundationModel(layer_steps(4))) <= most


def layer_steps(layer_count: int) -> Steps:
    """Return (a_l, b_l) of the certified layers: those of `foundation`, or eight."""
    if layer_count == 4:
        kept = json.loads(FOUNDATION_FILE.read_text(encoding="utf-8"))["steps"]
        return tuple((float(a), float(b)) for a, b in kept)
    if layer_count == 8:
        return EIGHT_LAYERS
    raise ValueError(f"layer_count: expected 4 or 8, got {layer_count}")


def _feature_count(history: History) -> int:
    """Return d; ValueError names the group at fault."""
    widths: set[int] = {group.x.shape[1] for group in history.groups}
    if len(widths) != 1:
        raise ValueError(f"groups: expected one number of features, got {sorted(widths)}")
    for group in history.groups:
        if not (np.isfinite(group.x).all() and np.isfinite(group.y).all()):
            raise ValueError(f"groups: expected finite numbers, got others in {group.name!r}")
    return widths.pop()


def _lengths(history: History) -> list[int]:
    """Return the lengths that have groups of their own to learn from."""
    counts = {length: len(history.long_enough(length)) for length in LENGTHS}
    needed = min(FEWEST_OWN_GROUPS, max(2, *counts.values()))
    if needed < FEWEST_OWN_GROUPS:
        needed = min(needed, FEWEST_GROUPS)
    return [length for length, count in counts.items() if count >= needed]
