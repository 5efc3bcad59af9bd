"""The straight way of a request whose layout is known: numbers, answer, reply, and nothing else.

Between two calls a processor has run the transport and the kernel, so each distinct piece of code
runs cold and costs several times what it costs in a loop. Here is what most calls need and no more,
prepared once a layout (docs/adr/0021). Whatever is not plain - a warning, a refusal, another
version - is left to `service.core`, which answers the same request from its beginning.
"""

import contextvars
import threading
from collections.abc import Callable
from dataclasses import dataclass
from random import random
from typing import Protocol, TypeAlias

import numpy as np

from model import alone
from model.answer import Answer, Solver
from model.prompt import Block, Examples
from service import replies
from service.call import Call
from service.codec import Array
from service.layout import Layout, Straight
from service.shadow import Shadow, Shadowed
from service.slot import Served, Slots
from service.tally import PromptTally
from service.watching import Watching

Prompt: TypeAlias = tuple[Array, Array, Array]
"""x (M, d), y (M,) and queries (Q, d)."""
Found: TypeAlias = tuple[Array, Solver]
"""Answers (Q,) or (), and how they were reached."""
Notice = Callable[[Prompt, Found], None]


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

    def __init__(self, slots: Slots, told: Told, samples: Samples | None = None) -> None:
        """Take who is told of every prompt, or else who only counts and samples them."""
        self.find, self.told, self.samples, self.quiet = slots.get, told, samples, _Quiet()

    def of(self, layout: Layout) -> Straight | None:
        """Return the straight way of a layout; None where its requests want more."""
        asked, model = layout.asked, layout.asked.artifact.model
        wants_more = asked.wanted is not None or asked.wants_shift or asked.fills_gaps
        if wants_more or layout.positions is not None or not isinstance(model, alone.Straight):
            return None
        solve = model.alone(layout.x.shape[1], layout.queries.shape[1])
        return None if solve is None else _Way(self, layout, model, solve).answer


class _Way:
    """How requests of one layout are answered; safe to use from many threads."""

    def __init__(
        self, ways: Ways, layout: Layout, model: alone.Straight, solve: alone.Alone
    ) -> None:
        artifact, M, Q = layout.asked.artifact, layout.x.shape[1], layout.queries.shape[1]
        self._artifact, self._find, self._name = artifact, ways.find, artifact.name
        self._ids = layout.take_ids if layout.has_ids else None
        self._x, self._y, self._queries = (
            place.single() for place in (layout.x, layout.y, layout.queries)
        )
        self._quiet, self._solve, self._row_count = ways.quiet, solve, M + Q
        self._reply = replies.plain(artifact, model.mode, Q, model.notes(M))
        self._names, self._mode = layout.asked.block.names, model.mode
        self._told, self._notice = ways.told, None
        if ways.samples is not None and Q == 1:
            self._notice = self._sampled(ways.samples)

    def answer(self, wire: bytes, call: Call) -> bytes | None:
        """Return the reply to a request that fits the layout; None of one that is not plain."""
        if self._find(self._name) is not self._artifact:
            return None
        if self._ids is not None and not self._ids(wire, call):
            return None
        prompt = self._x(wire), self._y(wire), self._queries(wire)
        found = self._quiet.run(self._solve, *prompt)
        if found is None:
            return None
        if call.purse is not None:
            call.purse.take_rows(self._row_count)
        if self._notice is not None:
            self._notice(prompt, found)
        else:
            self._told(self._artifact, self._block(prompt), self._answer(found), call.caller)
        return self._reply(found, call.request_id)

    def _sampled(self, samples: Samples) -> Notice:
        """Return what counts a prompt of one query, and shows it to whom chance gives it."""
        shadow, keep, line = samples.shadow, samples.watching.keep, self._artifact.line
        share = shadow.share if isinstance(self._artifact.model, Shadowed) else 0.0
        sampler = None if line is None else line.sampler
        ticks = [samples.prompts.ticks(self._name, self._mode, solver) for solver in Solver]

        def notice(prompt: Prompt, found: Found) -> None:
            ticks[found[1]]()
            if share and random() < share:
                shadow.take(self._artifact, self._block(prompt), self._answer(found))
            if line is None or sampler is None:
                return
            number = random()
            if number >= sampler.line:
                sampler.pass_by()
                return
            sampler.take_in()
            keep(line, self._block(prompt), number)

        return notice

    def _block(self, prompt: Prompt) -> Block:
        x, y, queries = prompt
        return Block(Examples(x[None], y[None]), queries[None], self._names)

    def _answer(self, found: Found) -> Answer:
        answers, solver = found
        predictions = np.reshape(answers, (1, -1))  # (1, Q)
        return Answer(predictions, bytearray((self._mode,)), bytearray((solver,)))
