"""The straight way of a request whose layout is known: numbers, answer, reply, and nothing else.

Between two calls a processor has run the transport and the kernel, so each distinct piece of code
runs cold and costs several times what it costs in a loop. Here is what most calls need and no more,
prepared once a layout (docs/adr/0021). Whatever is not plain - a warning, a refusal, another
version - is left to `service.core`, which answers the same request from its beginning.
"""

import contextvars
import threading
from dataclasses import dataclass
from random import random
from typing import Protocol

import numpy as np
from numpy import ndarray

from model import alone
from model.answer import Answer, Solver
from model.prompt import Block
from service import codec, replies
from service.ahead import Ahead, others_at_most
from service.beside import AloneOnWire, Beside, Found
from service.call import Call
from service.codec import Array
from service.layout import Layout, Straight
from service.shadow import Shadow, Shadowed
from service.slot import Served, Slots
from service.tally import PromptTally
from service.watching import Watching

QUERIES_COUNTED = 64  # of a prompt at most, without a lock: a counter is kept for each number


class Told(Protocol):
    """Is told of an answered prompt: its model, itself, its answer, its tenant."""

    def __call__(self, artifact: Served, block: Block, answer: Answer, caller: str) -> None:
        """Take notice."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Who wants to know how many prompts there were, and to see some of them."""

    prompts: PromptTally
    shadow: Shadow
    watching: Watching


class _Quiet(threading.local):
    """A context for each thread in which arithmetic does not warn: overflows show in results.

    Every call comes in a context of its own, and to enter `numpy.errstate` costs as much as two
    operations on arrays.
    """

    def __init__(self) -> None:
        context = contextvars.Context()
        context.run(np.seterr, all="ignore")
        self.run = context.run


class Ways:
    """Makes straight ways, and holds what they have in common."""

    def __init__(
        self, slots: Slots, told: Told, ahead: Ahead, samples: Samples | None = None
    ) -> None:
        """Take who is told of every prompt, or else who only counts and samples them."""
        self.find, self.told, self.samples, self.quiet = slots.get, told, samples, _Quiet()
        self.ahead = ahead

    def of(self, layout: Layout) -> Straight | None:
        """Return the straight way of a layout; None where its requests want more."""
        asked, model = layout.asked, layout.asked.artifact.model
        wants_more = asked.wanted is not None or asked.wants_shift or asked.fills_gaps
        if wants_more or layout.positions is not None or not isinstance(model, alone.Straight):
            return None
        solve = model.alone(layout.x.shape[1], layout.queries.shape[1])
        if solve is None:
            return None
        return _Way(self, layout, model, solve).answer


def _widened(solve: alone.Alone) -> alone.Alone:
    """Return what takes numbers of 4 bytes as well."""

    def solve_wide(*prompt: Array) -> Found | None:
        x, y, queries = (array.astype(np.float64) for array in prompt)
        return solve(x, y, queries)

    return solve_wide


class _Way:
    """How requests of one layout are answered; safe to use from many threads."""

    def __init__(
        self, ways: Ways, layout: Layout, model: alone.Straight, solve: alone.Alone
    ) -> None:
        artifact, M, Q = layout.asked.artifact, layout.x.shape[1], layout.queries.shape[1]
        self._artifact, self._find, self._name = artifact, ways.find, artifact.name
        self._ids = layout.take_ids if layout.has_ids else None
        self._block = layout.block
        self._x, self._x_type, self._x_shape = layout.x.single
        self._y, self._y_type, self._y_shape = layout.y.single
        self._q, self._q_type, self._q_shape = layout.queries.single
        places = layout.x, layout.y, layout.queries
        is_wide = all(place.dtype is codec.FLOAT64 for place in places)
        self._solve = solve if is_wide else _widened(solve)
        self._quiet, self._row_count = ways.quiet, M + Q
        self._solved: AloneOnWire = self._solve_alone
        if others_at_most(layout.size) and (together := model.together(M, Q)) is not None:
            self._solved = Beside(layout, self._solve_alone, together, ways.ahead).solve
        self._reply = replies.Plain(artifact, model.mode, Q, model.notes(M))
        self._mode, self._told = model.mode, ways.told
        self._samples: Samples | None = None
        self._line, self._share = artifact.line, 0.0
        if ways.samples is not None and Q <= QUERIES_COUNTED:
            self._sample(ways.samples, Q)

    def _sample(self, samples: Samples, query_count: int) -> None:
        """Only count prompts, and show them to whom chance gives them."""
        self._samples = samples
        prompts, name, mode = samples.prompts, self._name, self._mode
        self._ticks = [prompts.ticks(name, mode, solver, query_count) for solver in Solver]
        if isinstance(self._artifact.model, Shadowed):
            self._share = samples.shadow.share

    def answer(self, wire: bytes, call: Call) -> bytes | None:
        """Return the reply to a request that fits the layout; None of one that is not plain."""
        if self._find(self._name) is not self._artifact:
            return None
        if self._ids is not None and not self._ids(wire, call):
            return None
        found = self._quiet.run(self._solved, wire)
        if found is None:
            return None
        if call.purse is not None:
            call.purse.take_rows(self._row_count)
        if self._samples is None:
            self._told(self._artifact, self._block((wire,)), self._answer(found), call.caller)
        else:
            self._ticks[found[1]]()
            self._draw(self._samples, found, wire)
        return self._reply.write(found, call.request_id)

    def _solve_alone(self, wire: bytes) -> Found | None:
        x = ndarray(self._x_shape, self._x_type, wire[self._x])  # a copy: it may not be aligned
        y = ndarray(self._y_shape, self._y_type, wire[self._y])
        queries = ndarray(self._q_shape, self._q_type, wire[self._q])
        return self._solve(x, y, queries)

    def _draw(self, samples: Samples, found: Found, wire: bytes) -> None:
        """Show a prompt to whom chance gives it."""
        if self._share and random() < self._share:
            samples.shadow.take(self._artifact, self._block((wire,)), self._answer(found))
        line = self._line
        if line is None:
            return
        number, sampler = random(), line.sampler
        if number >= sampler.line:
            sampler.pass_by()
            return
        sampler.take_in()
        samples.watching.keep(line, self._block((wire,)), number)

    def _answer(self, found: Found) -> Answer:
        answers, solver = found
        predictions = np.reshape(answers, (1, -1))  # (1, Q)
        return Answer(predictions, bytearray((self._mode,)), bytearray((solver,)))
