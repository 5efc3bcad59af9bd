"""A prompt solved with others of its layout that wait, where that is cheaper than by itself."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from model.alone import Together
from model.answer import Answer, Solver
from service.ahead import Ahead
from service.codec import Array
from service.layout import Asked, Layout

Found: TypeAlias = tuple[Array, Solver]
"""Answers (Q,) or (), and how they were reached."""
AloneOnWire: TypeAlias = Callable[[bytes], Found | None]
"""Answers the prompt of one request by itself."""


class Beside:
    """How the prompts of one layout are solved; safe to use from many threads."""

    def __init__(
        self, layout: Layout, alone: AloneOnWire, together: Together, ahead: Ahead
    ) -> None:
        self._alone, self._together, self._ahead = alone, together, ahead
        self._places, self._fits = (layout.x, layout.y, layout.queries), layout.fits

    def solve(self, wire: bytes) -> Found | None:
        """Return what was found ahead for a request, or solve it and some that wait."""
        alone = partial(self._alone, wire)
        return self._ahead.solved(wire, self, self._fits, alone, self._solve_all)

    def _solve_all(self, wires: Sequence[bytes]) -> Sequence[Found | None]:
        return self._together(*(place.read(wires) for place in self._places))


def answer(wire: bytes, layout: Layout | None, asked: Asked, ahead: Ahead) -> Answer:
    """Return the answer of a model that may answer others of a layout with it."""
    artifact, model = asked.artifact, asked.artifact.model
    is_alike = getattr(model, "is_alike_in_blocks", False)  # a protocol's check takes 12 µs
    if layout is None or asked.fills_gaps or not is_alike:
        return model.answer(asked.block)

    def together(wires: Sequence[bytes]) -> Sequence[Answer]:
        answers = model.answer(layout.block(wires))
        return [_one(answers, place) for place in range(len(wires))]

    return ahead.solved(wire, artifact, layout.fits, lambda: model.answer(asked.block), together)


def _one(answers: Answer, place: int) -> Answer:
    """Return the answer to one prompt of a block."""
    own = slice(place, place + 1)
    warned = [one._replace(prompt=0) for one in answers.warned if one.prompt == place]
    refusals = [(0, refusal) for prompt, refusal in answers.refusals if prompt == place]
    predictions, modes, solvers = answers.predictions[own], answers.modes[own], answers.solvers[own]
    return Answer(predictions, modes, solvers, warned, refusals)
