"""A prompt solved with others of its layout that wait, where that is cheaper than by itself."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from model.alone import Alike, Alone, Together
from model.answer import Answer, Solver
from model.prompt import Block, Examples
from service.ahead import Ahead
from service.codec import Array
from service.layout import Asked, Layout

Found: TypeAlias = tuple[Array, Solver]
"""Answers (Q,) or (), and how they were reached."""


class Beside:
    """How the prompts of one layout are solved; safe to use from many threads."""

    def __init__(self, layout: Layout, alone: Alone, together: Together, ahead: Ahead) -> None:
        self._alone, self._together, self._ahead = alone, together, ahead
        self._places = layout.x, layout.y, layout.queries
        self._fits = layout.fits

    def solve(self, wire: bytes) -> Found | None:
        """Return what was found ahead for a request, or solve it and some that wait."""
        found: Found | None = self._ahead.take(wire, self)
        if found is not None:
            return found
        others = self._ahead.claim(wire, self._fits)
        if others:
            try:
                return self._solve_all(wire, others)
            except np.linalg.LinAlgError:
                pass  # one of them is to blame: each finds out at its own turn
        return self._alone(*(place.read(wire)[0] for place in self._places))

    def _solve_all(self, wire: bytes, others: Sequence[bytes]) -> Found | None:
        wires = (wire, *others)
        own, *rest = self._together(*(place.read_all(wires) for place in self._places))
        for other, found in zip(others, rest, strict=True):
            self._ahead.keep(other, self, found)
        return own


def answer(wire: bytes, layout: Layout | None, asked: Asked, ahead: Ahead) -> Answer:
    """Return the answer of a model that may answer others of a layout with it."""
    artifact = asked.artifact
    if layout is None or asked.fills_gaps or not isinstance(artifact.model, Alike):
        return artifact.model.answer(asked.block)
    found: Answer | None = ahead.take(wire, artifact)
    if found is not None:
        return found
    others = ahead.claim(wire, layout.fits)
    if not others:
        return artifact.model.answer(asked.block)
    wires = (wire, *others)
    x, queries = layout.x.read_all(wires), layout.queries.read_all(wires)  # (B, M, d), (B, Q, d)
    if layout.positions is not None:
        x, queries = x.take(layout.positions, 2), queries.take(layout.positions, 2)
    examples = Examples(x, layout.y.read_all(wires))
    answers = artifact.model.answer(Block(examples, queries, asked.block.names))
    for place, other in enumerate(others, 1):
        ahead.keep(other, artifact, _one(answers, place))
    return _one(answers, 0)


def _one(answers: Answer, place: int) -> Answer:
    """Return the answer to one prompt of a block."""
    own = slice(place, place + 1)
    warned = [one._replace(prompt=0) for one in answers.warned if one.prompt == place]
    refusals = [(0, refusal) for prompt, refusal in answers.refusals if prompt == place]
    predictions, modes, solvers = answers.predictions[own], answers.modes[own], answers.solvers[own]
    return Answer(predictions, modes, solvers, warned, refusals)
