"""Numbers that a model would rather not meet: prompts of many characters, most of them finite."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.hostility.wire import WILD

Array = NDArray[np.float64]
Generator = np.random.Generator

FINITE = [one for one in WILD if np.isfinite(one)]


class Prompt(NamedTuple):
    """One prompt in natural units."""

    x: Array  # (M, d)
    y: Array  # (M,)
    queries: Array  # (Q, d)


@np.errstate(all="ignore")  # units beyond a double's are sent too
def prompt(rng: Generator, M: int, d: int, Q: int) -> Prompt:
    """Return a prompt of a character that is drawn: one in three is what callers send."""
    x, queries = rng.normal(size=(M, d)), rng.normal(size=(Q, d))
    plain = Prompt(x, x @ rng.normal(size=d) + rng.normal(size=M), queries)
    if rng.random() < 0.33:
        return plain
    return CHARACTERS[rng.integers(len(CHARACTERS))](rng, plain)


def _scaled(rng: Generator, one: Prompt) -> Prompt:
    """Give every column and the label a unit of its own."""
    units = 10.0 ** rng.uniform(-9, 9, one.x.shape[1])
    return Prompt(one.x * units, one.y * 10.0 ** rng.uniform(-9, 9), one.queries * units)


def _extreme(rng: Generator, one: Prompt) -> Prompt:
    """Take the units from the ends of what a double holds."""
    unit = 10.0 ** rng.uniform(-320, 305)
    return Prompt(one.x * unit, one.y * 10.0 ** rng.uniform(-320, 305), one.queries * unit)


def _offset(rng: Generator, one: Prompt) -> Prompt:
    """Put the origin so far away that centring loses digits."""
    far = 10.0 ** rng.uniform(3, 17)
    return Prompt(one.x + far, one.y - far, one.queries + far)


def _constant(rng: Generator, one: Prompt) -> Prompt:
    """Let a column, or the label, or all columns not vary."""
    kind = rng.integers(3)
    x = one.x.copy()
    x[:, rng.integers(x.shape[1]) if kind else slice(None)] = rng.choice(FINITE)
    return Prompt(x, np.full_like(one.y, rng.choice(FINITE)) if kind == 2 else one.y, one.queries)


def _copied(rng: Generator, one: Prompt) -> Prompt:
    """Send few rows many times."""
    rows = rng.integers(min(len(one.y), 2), size=len(one.y))
    return Prompt(one.x[rows], one.y[rows], one.queries)


def _deficient(rng: Generator, one: Prompt) -> Prompt:
    """Make columns combinations of one, to within rounding or a little more."""
    x = one.x[:, :1] * rng.normal(size=one.x.shape[1])
    return Prompt(x + rng.normal(size=x.shape) * 10.0 ** rng.uniform(-18, -4), one.y, one.queries)


def _outlying(rng: Generator, one: Prompt) -> Prompt:
    """Ask far away, and let one label fit nothing."""
    y = one.y.copy()
    y[rng.integers(len(y))] = 10.0 ** rng.uniform(1, 200)
    return Prompt(one.x, y, one.queries * 10.0 ** rng.uniform(0, 12))


def _fitted(rng: Generator, one: Prompt) -> Prompt:
    """Leave no noise in the labels."""
    queries = np.resize(one.x, one.queries.shape)
    return Prompt(one.x, one.x @ rng.normal(size=one.x.shape[1]), queries)


def _finite(rng: Generator, one: Prompt) -> Prompt:
    """Draw every number from the finite wild ones."""
    return Prompt(*(rng.choice(FINITE, a.shape) for a in one))


def _wild(rng: Generator, one: Prompt) -> Prompt:
    """Put one wild number somewhere, finite or not."""
    arrays = [a.copy() for a in one]
    chosen = arrays[rng.integers(3)]
    chosen.flat[rng.integers(chosen.size)] = rng.choice(WILD)
    return Prompt(*arrays)


CHARACTERS = [_scaled, _extreme, _offset, _constant, _copied, _deficient]
CHARACTERS += [_outlying, _fitted, _finite, _wild]
