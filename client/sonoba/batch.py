"""Many prompts in few calls: grouped by form, answered in order."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Literal, NamedTuple

from sonoba._examples import Examples
from sonoba._wire import Numbers
from sonoba.errors import SonobaError
from sonoba.prediction import Model, Prediction
from sonoba.prompt import EncodedPrompt, Prompt, encode_prompt

STACK_PROMPTS_MIN = 4  # a stream does as well below
STACK_PROMPTS_MAX = 256
STACK_BYTES_MAX = 8 * 2**20
CALLS_IN_FLIGHT = 2

Encoded = EncodedPrompt | SonobaError
Answer = Prediction | SonobaError
Rpc = Literal["Predict", "PredictBatch", "PredictStream"]


class Job(NamedTuple):
    """One call: its RPC, its prompts and their places among all."""

    rpc: Rpc
    places: tuple[int, ...]
    prompts: tuple[EncodedPrompt, ...]


class Work:
    """Many prompts on their way to their answers; knows what to call and calls nothing."""

    def __init__(self, prompts: Iterable[Prompt], return_exceptions: bool) -> None:
        self._return_exceptions = return_exceptions
        self._prompts: dict[int, EncodedPrompt] = {}
        self._answers: dict[int, Answer] = {}
        for place, prompt in enumerate(map(encode_or_error, prompts)):
            if isinstance(prompt, EncodedPrompt):
                self._prompts[place] = prompt
            else:
                self._answers[place] = prompt
        if not return_exceptions:
            self._raise_first()
        self._stacks, self._others = _grouped(self._prompts)

    @property
    def needs_limits(self) -> bool:
        """Whether some prompts travel stacked, so that the model's limits must be known."""
        return bool(self._stacks)

    def jobs(self, model: Model | None) -> list[Job]:
        """Return the calls that answer every prompt, stacks within the model's limits."""
        jobs = []
        if model is not None:
            for places in self._stacks:
                size = _chunk_size(self._prompts[places[0]], model)
                chunks = (places[start : start + size] for start in range(0, len(places), size))
                jobs += [self._job("PredictBatch", chunk) for chunk in chunks]
        if self._others:
            rpc: Rpc = "PredictStream" if len(self._others) > 1 else "Predict"
            jobs.append(self._job(rpc, self._others))
        return jobs

    def settle(self, job: Job, answers: Sequence[Answer]) -> None:
        """Put the answers of one call in their places."""
        self._answers.update(zip(job.places, answers, strict=True))

    def fail(self, error: SonobaError) -> None:
        """Put one error in the place of every prompt that was to be sent."""
        self._answers.update(dict.fromkeys(self._prompts, error))

    def answers(self) -> list[Answer]:
        """Return every answer in its prompt's place, or raise the first error if that was asked."""
        if not self._return_exceptions:
            self._raise_first()
        return [answer for _, answer in sorted(self._answers.items())]

    def _job(self, rpc: Rpc, places: Sequence[int]) -> Job:
        return Job(rpc, tuple(places), tuple(self._prompts[place] for place in places))

    def _raise_first(self) -> None:
        for place, answer in sorted(self._answers.items()):
            if isinstance(answer, SonobaError):
                answer.add_note(f"in prompt {place}, counted from 0")
                raise answer


def encode_or_error(prompt: Prompt) -> Encoded:
    """Return a prompt in wire form, or what is wrong with it."""
    try:
        return encode_prompt(prompt)
    except SonobaError as error:
        return error


def _grouped(prompts: Mapping[int, EncodedPrompt]) -> tuple[list[list[int]], list[int]]:
    """Return the places of prompts that travel stacked, form by form, and those of the others."""
    forms: defaultdict[object, list[int]] = defaultdict(list)
    for place, prompt in prompts.items():
        forms[_form(prompt)].append(place)
    alone = forms.pop(None, [])
    small = [places for places in forms.values() if len(places) < STACK_PROMPTS_MIN]
    stacks = [places for places in forms.values() if len(places) >= STACK_PROMPTS_MIN]
    return stacks, list(chain(alone, *small))


def _form(prompt: EncodedPrompt) -> object:
    """Return what prompts must share to be stacked; None for one that cannot be."""
    tensors = _tensors(prompt)
    if len({tensor.data_type for tensor in tensors}) != 1:
        return None
    if prompt.explain or prompt.impute or prompt.shift or len(prompt.levels) > 1:
        return None  # what a stack has no place for
    shapes = tuple(tensor.shape for tensor in tensors)
    settings = prompt.columns, prompt.schema_hash, prompt.allow_fallback, prompt.levels
    return shapes, prompt.queries.data_type, settings


def _chunk_size(prompt: EncodedPrompt, model: Model) -> int:
    tensors = _tensors(prompt)
    bytes_max = min(STACK_BYTES_MAX, model.message_bytes_max // 2)  # names and group ids travel too
    size = min(
        STACK_PROMPTS_MAX,
        model.batch_prompt_count_max,
        bytes_max // sum(len(tensor.raw) for tensor in tensors),
        model.element_count_max // sum(math.prod(tensor.shape) for tensor in tensors),
    )
    return max(1, size)


def _tensors(prompt: EncodedPrompt) -> tuple[Numbers, ...]:
    """Return the tensors that a stack is made of; none where a summary stands for the examples."""
    if not isinstance(prompt.context, Examples):
        return ()
    return prompt.context.features, prompt.context.labels, prompt.queries
