"""Missing values of a prompt: filled where the model knows how its features go together.

What a model fills it must also answer: another model would take the guesses for data.
"""

from typing import Protocol, runtime_checkable

import numpy as np

from model.answer import Answer, Mode, Warned
from model.checkpoint import Model
from model.detectors import Imputed
from model.profile_fallback import reason
from model.prompt import Block, Examples
from model.refusal import Refusal
from model.support import warned_of
from service import validate

OPTION = "options.missing_value_policy"


@runtime_checkable
class Filling(Protocol):
    """What a model can do besides that knows the features of a prompt from others."""

    def fill(self, block: Block) -> Imputed:
        """Fill the missing features of every prompt."""


def fills_gaps(model: Model) -> bool:
    """Return whether missing values may be sent to a model."""
    return isinstance(model, Filling)


def filled(model: Model, block: Block) -> tuple[Block, list[Warned]]:
    """Return one prompt without gaps and what was filled; refuse too many gaps, and infinity.

    A summary has no cells.
    """
    context, queries = block.context, block.queries[0]
    if not isinstance(context, Examples) or not isinstance(model, Filling):
        return block, []
    if not (np.isnan(context.x).any() or np.isnan(queries).any()):
        return block, []
    for rows, field in ((context.x[0], "examples.features"), (queries, "queries")):
        validate.finite(np.where(np.isnan(rows), 0.0, rows), field, block.names)
    validate.finite(context.y[0], "examples.labels")
    made = model.fill(block)
    for finding in made.refused:
        raise Refusal("NOT_FINITE", finding.field, finding.sentence)
    return made.block, [warned_of(finding) for finding in made.filled]


def with_notes(answer: Answer, own: Mode, notes: list[Warned]) -> Answer:
    """Return the answer of one prompt with what was filled; refuse one of another than the model.

    Where the profile does not answer, its idea of what is missing is worth nothing either.
    """
    if not notes or answer.refusals:
        return answer
    if answer.modes[0] != own:
        sentence = "expected a prompt of the profile's kind where values are missing, got another"
        if why := reason(answer, 0):
            sentence += f": {why}"
        raise Refusal("NOT_FINITE", notes[0].field, sentence)
    return answer._replace(warned=[*notes, *answer.warned])
