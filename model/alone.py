"""Single prompts of one shape, answered straight from their arrays by what prompts of it share.

The common case of a service, without the block, the answer and the checks that many prompts share;
what such a way does not answer goes through `answer` of the model, which finds out why.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from model.answer import Mode, Solver, Warned

Array = NDArray[np.float64]

Alone: TypeAlias = Callable[[Array, Array, Array], tuple[Array, Solver] | None]
"""Takes x (M, d), y (M,) and queries (Q, d), finite or not; returns the answers, finite, and how
they were reached: (Q,), or () where Q is 1 and that is cheaper. None of a prompt that the model
itself must answer, refuse or warn of."""

Together: TypeAlias = Callable[[Array, Array, Array], Sequence[tuple[Array, Solver] | None]]
"""Takes some prompts, x (B, M, d), y (B, M) and queries (B, Q, d); returns of each, bit for bit,
what `Alone` does."""


@runtime_checkable
class Straight(Protocol):
    """A model with such a way."""

    @property
    def mode(self) -> Mode:
        """What answers of it have answered."""

    def alone(self, example_count: int, query_count: int) -> Alone | None:
        """Return what answers prompts of a length, bit for bit as `answer` does; None: nothing."""

    def together(self, example_count: int, query_count: int) -> Together | None:
        """Return what answers a few prompts of a length at once; None where that saves nothing."""

    def notes(self, example_count: int) -> Sequence[Warned]:
        """Return what is to be said of every answer to prompts of a length."""
