"""Prompts of one shape, sent as stacked tensors and answered in chunks; a bad one fails alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.answer import Answer, Mode
from model.checkpoint import Artifact, Supporting
from model.intervals import Intervals
from model.profile_fallback import reason
from model.prompt import Block, Examples
from model.refusal import Refusal
from model.support import Supported, Wanted
from service import codec, errors, validate
from service.call import Call
from service.validate import Limits
from sonoba.v1 import predictor_pb2 as pb

Array = NDArray[np.float64]

CHUNK_PROMPTS = 256  # between two looks at the deadline
CHUNK_ELEMENTS = 2**20  # bounds what a chunk's temporaries take


@dataclass(frozen=True, slots=True)
class Stack:
    """n prompts of one shape, in the model's column order."""

    x: Array  # (n, M, d)
    y: Array  # (n, M)
    queries: Array  # (n, Q, d)
    names: tuple[str, ...]

    def block(self, prompts: NDArray[np.intp]) -> Block:
        """Return the chosen prompts as a model takes them."""
        return Block(Examples(self.x[prompts], self.y[prompts]), self.queries[prompts], self.names)


class _Tensors(NamedTuple):
    """What becomes of n prompts; NaN and 0 where there is no answer."""

    predictions: Array  # (n, Q)
    modes: NDArray[np.uint8]  # (n,)
    solvers: NDArray[np.uint8]  # (n,)
    bounds: Array | None  # (3, n, Q) standard errors, lower and upper bounds, where wanted

    @classmethod
    def empty(cls, n: int, Q: int, has_bounds: bool) -> "_Tensors":
        """Return the tensors of prompts that are not answered yet."""
        bounds = np.full((3, n, Q), np.nan, "<f8") if has_bounds else None  # (3, n, Q)
        modes, solvers = np.zeros(n, np.uint8), np.zeros(n, np.uint8)  # (n,), (n,)
        return cls(np.full((n, Q), np.nan, "<f8"), modes, solvers, bounds)

    def put(self, prompts: NDArray[np.intp], answer: Answer, intervals: Intervals | None) -> None:
        """Put the answers of some prompts in their places."""
        self.predictions[prompts] = answer.predictions
        self.modes[prompts] = np.frombuffer(answer.modes, np.uint8)
        self.solvers[prompts] = np.frombuffer(answer.solvers, np.uint8)
        if self.bounds is not None and intervals is not None:
            lower, upper = intervals.bounds(answer.predictions)  # 2 of (B, Q, 1)
            errors = np.where(np.isnan(answer.predictions), np.nan, intervals.standard_errors)
            self.bounds[:, prompts] = errors, lower[..., 0], upper[..., 0]

    def write(self, response: pb.PredictBatchResponse) -> None:
        """Put the tensors into the response."""
        response.predictions = self.predictions.tobytes()
        response.modes, response.solvers = self.modes.tobytes(), self.solvers.tobytes()
        if self.bounds is not None:
            tensors = (tensor.tobytes() for tensor in self.bounds)
            response.standard_errors, response.lower_bounds, response.upper_bounds = tensors


def answer_batch(
    request: pb.PredictBatchRequest,
    artifact: Artifact,
    limits: Limits,
    call: Call,
    wanted: Wanted | None,
) -> tuple[pb.PredictBatchResponse, list[tuple[Block, Answer]]]:
    """Return the response to a batch, and the prompts and answers it was made from."""
    _check_wanted(wanted, request.options)
    stack = _stack(request, artifact, limits)
    n, Q = stack.queries.shape[:2]
    if call.purse is not None:
        call.purse.take_rows(n * (stack.x.shape[1] + Q))
    tensors = _Tensors.empty(n, Q, wanted is not None)
    response = pb.PredictBatchResponse(
        model=artifact.name, model_version=artifact.version, request_id=call.request_id
    )
    answers = []
    for prompts, refused in _chunks(stack):
        call.check_deadline()
        for index, refusal in refused:
            _add_error(response, index, refusal)
        if not len(prompts):
            continue
        block = stack.block(prompts)
        answer, intervals = _answered(artifact, block, request.options, wanted)
        tensors.put(prompts, answer, intervals)
        _add_remarks(response, prompts, answer)
        answers.append((block, answer))
    tensors.write(response)
    return response, answers


def supported(artifact: Artifact, block: Block, wanted: Wanted) -> Supported:
    """Return the answers with what is wanted beside; refuse it of a model that offers nothing."""
    if isinstance(artifact.model, Supporting):
        return artifact.model.support(block, wanted)
    option = "include_uncertainty" if wanted.levels else "include_attributions"
    sentence = f"expected it unset, which model {artifact.name} does not offer"
    raise Refusal("UNSUPPORTED_OPTION", f"options.{option}", sentence)


def _check_wanted(wanted: Wanted | None, options: pb.PredictOptions) -> None:
    """Refuse what the response to a batch has no place for."""
    alone = {
        "include_shift_score": options.include_shift_score and "scored",
        "include_attributions": wanted is not None and wanted.explanation and "explained",
        "missing_value_policy": options.missing_value_policy == pb.MISSING_VALUE_POLICY_IMPUTE
        and "filled",
    }
    for name, what in alone.items():
        if what:
            sentence = f"expected it unset in a batch: prompts are {what} one by one or in a stream"
            raise Refusal("UNSUPPORTED_OPTION", f"options.{name}", sentence)
    if wanted is not None and len(wanted.levels) > 1:
        sentence = f"expected at most one level in a batch, got {len(wanted.levels)}"
        raise Refusal("BAD_LEVEL", "options.confidence_levels", sentence)


def _answered(
    artifact: Artifact, block: Block, options: pb.PredictOptions, wanted: Wanted | None
) -> tuple[Answer, Intervals | None]:
    if wanted is None:
        answer, intervals = artifact.model.answer(block), None
    else:
        answer, intervals, _ = supported(artifact, block, wanted)
    if forbids_fallback(options):
        answer = _without_fallback(answer, artifact.model.mode)
    return answer, intervals


def _add_remarks(
    response: pb.PredictBatchResponse, prompts: NDArray[np.intp], answer: Answer
) -> None:
    """Add the errors and warnings of a chunk under the prompts' own indices."""
    for row, refusal in answer.refusals:
        _add_error(response, int(prompts[row]), refusal)
    for warned in answer.warned:
        if answer.modes[warned.prompt]:  # of a refused prompt, the refusal says more
            code = pb.WarningCode.Name(warned.caution)
            response.warnings.add(index=int(prompts[warned.prompt]), code=code)


def _stack(request: pb.PredictBatchRequest, artifact: Artifact, limits: Limits) -> Stack:
    n = validate.count(request.prompt_count, limits.batch_prompt_count_max, "prompt_count")
    M = validate.count(request.example_count, limits.example_count_max, "example_count")
    d = validate.count(request.feature_count, limits.feature_count_max, "feature_count")
    Q = validate.count(request.query_count, limits.query_count_max, "query_count")
    validate.elements(n * (M * d + M + Q * d), limits)
    if len(request.group_ids) not in (0, n):
        sentence = f"expected none or {n} (prompt_count), got {len(request.group_ids)}"
        raise Refusal("BAD_SHAPE", "group_ids", sentence)
    for i, group_id in enumerate(request.group_ids):
        validate.text(group_id, f"group_ids[{i}]", validate.LONGEST_GROUP_BYTES)
    x = _tensor(request, "features", (n, M, d))
    y = _tensor(request, "labels", (n, M))
    queries = _tensor(request, "queries", (n, Q, d))
    names = tuple(request.columns)
    positions = validate.schema(artifact, d, names, request.schema_hash, "feature_count")
    validate.enough_examples(artifact, M, "example_count")
    if positions is not None:
        x, queries = x[:, :, positions], queries[:, :, positions]
    return Stack(x, y, queries, artifact.schema.names or names)


def _tensor(request: pb.PredictBatchRequest, field: str, shape: tuple[int, ...]) -> Array:
    values = codec.tensor(getattr(request, field), request.data_type, field, "data_type")
    size = int(np.prod(shape))
    if len(values) != size:
        by = " x ".join(str(count) for count in shape)
        raise Refusal("BAD_SHAPE", field, f"expected {size} numbers ({by}), got {len(values)}")
    return values.reshape(shape)


def _chunks(stack: Stack) -> Iterator[tuple[NDArray[np.intp], list[tuple[int, Refusal]]]]:
    """Yield the finite prompts of every chunk by index, and the refusals of the others."""
    n, M, d = stack.x.shape
    size = max(1, min(CHUNK_PROMPTS, CHUNK_ELEMENTS // (M * max(d, 8))))
    for start in range(0, n, size):
        prompts = np.arange(start, min(start + size, n))
        finite = _finite(stack, prompts)  # (chunk,)
        gone = prompts[~finite].tolist()
        yield prompts[finite], [(index, _first_fault(stack, index)) for index in gone]


def _finite(stack: Stack, prompts: NDArray[np.intp]) -> NDArray[np.bool_]:
    whole = slice(prompts[0], prompts[-1] + 1)
    parts = (stack.x[whole], stack.y[whole], stack.queries[whole])
    finite = [np.isfinite(part).reshape(len(prompts), -1).all(axis=1) for part in parts]
    result: NDArray[np.bool_] = np.logical_and.reduce(finite)
    return result


def _first_fault(stack: Stack, index: int) -> Refusal:
    try:
        validate.finite(stack.x[index], "features", stack.names)
        validate.finite(stack.y[index], "labels")
        validate.finite(stack.queries[index], "queries", stack.names)
    except Refusal as refusal:
        return refusal
    raise AssertionError("a prompt that is not finite has a first fault")


def _without_fallback(answer: Answer, own: Mode) -> Answer:
    """Return the answer with every prompt refused that another than the model itself answered."""
    refused = list(answer.refusals)
    for row, mode in enumerate(answer.modes):
        if mode not in (0, own):
            refused.append((row, fallback_forbidden(answer, row)))
            answer.predictions[row], answer.modes[row], answer.solvers[row] = np.nan, 0, 0
    return answer._replace(refusals=refused)


def forbids_fallback(options: pb.PredictOptions) -> bool:
    """Return whether the caller would rather have no answer than a simpler one."""
    return options.fallback_policy == pb.FALLBACK_POLICY_FORBID


def fallback_forbidden(answer: Answer, prompt: int) -> Refusal:
    """Return the refusal of a simpler answer to a caller who forbade it, with its reason."""
    sentence = "expected examples whose label and features vary, got a prompt with only a mean"
    if answer.modes[prompt] == Mode.FOUNDATION:
        sentence = "expected a prompt of the profile's kind, got one that only foundation answers"
    if why := reason(answer, prompt):
        sentence += f": {why}"
    return Refusal("FALLBACK_FORBIDDEN", "options.fallback_policy", sentence)


def _add_error(response: pb.PredictBatchResponse, index: int, refusal: Refusal) -> None:
    response.errors.add(
        index=index,
        code=errors.code_of(refusal),
        reason=refusal.reason,
        message=str(refusal),
        field=refusal.field,
    )
