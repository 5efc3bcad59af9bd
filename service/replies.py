"""The response to one prompt, in parts: what its own prompt decides, and what many share."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from model.answer import Answer, Mode, Solver, Warned
from model.explain import Explanation
from model.intervals import Intervals
from model.support import Supported
from monitoring.watch import Watch
from service.call import Call
from service.codec import Array
from service.layout import Asked
from service.shift import ShiftScore
from service.slot import Served
from sonoba.v1 import predictor_pb2 as pb

EVIDENCE = {"examples": pb.EVIDENCE_EXAMPLES, "summary": pb.EVIDENCE_SUMMARY}


def beside(found: Supported, asked: Asked) -> bytes:
    """Return the part of a response that stands beside the predictions of one prompt."""
    response = pb.PredictResponse()
    if found.intervals is not None and asked.wanted is not None:
        bounds = found.intervals.bounds(found.answer.predictions)  # 2 of (1, Q, L)
        message = _uncertainty(found.intervals, *bounds, asked.wanted.levels)
        response.uncertainty.CopyFrom(message)
    if found.explanation is not None:
        response.attributions.CopyFrom(_attributions(found.explanation, asked.order))
    return response.SerializeToString()


def _uncertainty(
    intervals: Intervals, lower: Array, upper: Array, levels: Sequence[float]
) -> pb.Uncertainty:
    """Return the intervals of one prompt, lower and upper (1, Q, L)."""
    message = pb.Uncertainty(
        standard_errors=intervals.standard_errors[0].tolist(),
        method=pb.IntervalMethod.Name(intervals.method),
    )
    for place, level in enumerate(levels):
        low, high = lower[0, :, place].tolist(), upper[0, :, place].tolist()
        message.intervals.add(level=level, lower=low, upper=high)
    return message


def shift(score: ShiftScore, asked: Asked) -> bytes:
    """Return the part of a response that says how far its prompt lies from the reference."""
    message = pb.ShiftScore(expected_error_ratio=score.expected_error_ratio)
    if score.leave_one_out_ratio == score.leave_one_out_ratio:
        message.leave_one_out_ratio = score.leave_one_out_ratio
    for shift in score.features:
        name = asked.block.names[shift.place] if asked.block.names else str(shift.place)
        message.feature_shifts.add(name=name, score=shift.score)
    return pb.PredictResponse(shift_score=message).SerializeToString()


def _attributions(explanation: Explanation, order: list[int] | None) -> pb.Attributions:
    """Return the explanation of one prompt, its coefficients in the order the features came."""
    slopes = explanation.coefficients[0]  # (d,)
    message = pb.Attributions(
        coefficients=pb.Vector(values=slopes if order is None else slopes[order]),
        intercept=explanation.intercepts[0],
        profile_shares=pb.Vector(values=explanation.profile_shares[0]),
    )
    if explanation.corrections is not None:
        message.corrections.values.extend(explanation.corrections[0].tolist())
    if explanation.weights is not None:
        weights = explanation.weights[0]  # (Q, M)
        Q, M = weights.shape
        raw, data_type = np.asarray(weights, "<f8").tobytes(), pb.DATA_TYPE_FLOAT64
        message.example_weights.CopyFrom(
            pb.Matrix(row_count=Q, column_count=M, raw=raw, data_type=data_type)
        )
    return message


def head(answer: Answer, call: Call) -> bytes:
    """Return the part of a response that its own prompt decides."""
    predictions = answer.predictions[0].tolist()
    response = pb.PredictResponse(predictions=predictions, request_id=call.request_id)
    add_warnings(response, answer.warned)
    return response.SerializeToString()


def add_warnings(response: pb.PredictResponse, warned: Sequence[Warned]) -> None:
    """Add the cautions about one prompt to its response."""
    for one in warned:
        response.warnings.add(
            code=pb.WarningCode.Name(one.caution),
            message=one.sentence,
            field=one.field,
            index=one.place,
        )


class Plain:
    """Writes the responses to prompts of examples of which there is no more to say.

    The bytes of `head` and `tail`, most of them written once: little-endian doubles are the wire
    form of answers.
    """

    def __init__(
        self, artifact: Served, mode: Mode, query_count: int, notes: Sequence[Warned]
    ) -> None:
        said = pb.PredictResponse()
        add_warnings(said, notes)
        self._begin, self._notes = _tag(1, 8 * query_count), said.SerializeToString()
        self._artifact, self._mode = artifact, mode
        self._monitor = artifact.monitor
        self._tags: dict[int, bytes] = {}
        self._watch: object = self  # what the tails are of: nothing yet
        self._tails: list[bytes] = []

    def write(self, found: tuple[Array, Solver], request_id: str) -> bytes:
        """Return the response of answers (Q,) or (), reached in some way."""
        answers, solver = found
        name, monitor = request_id.encode(), self._monitor
        tag = self._tags.get(len(name)) or self._tagged(len(name))
        watch = None if monitor is None else monitor.watch
        tails = self._tails if watch is self._watch else self._renewed(watch)
        return b"".join((self._begin, answers.tobytes(), tag, name, tails[solver]))

    def _tagged(self, size: int) -> bytes:
        tag = self._tags[size] = self._notes + _tag(10, size)
        return tag

    def _renewed(self, watch: Watch | None) -> list[bytes]:
        """Return the tails, one a solver, beside another reference."""
        reference = "" if watch is None else watch.reference.id
        of = self._artifact.name, self._artifact.version, reference, self._mode
        self._tails = tails = [tail(*of, solver, "examples") for solver in Solver]
        self._watch = watch  # last: who finds it finds its tails
        return tails


def _tag(field: int, size: int) -> bytes:
    """Return what stands before a length-delimited field of so many bytes.

    >>> _tag(1, 8), _tag(10, 300)
    (b'\\n\\x08', b'R\\xac\\x02')
    """
    tag = bytes((field << 3 | 2,))
    while size > 127:
        tag, size = tag + bytes((size & 127 | 128,)), size >> 7
    return tag + bytes((size,))


@lru_cache(maxsize=256)
def tail(name: str, version: str, reference: str, mode: int, solver: int, evidence: str) -> bytes:
    """Return the part of a response that many share; messages merge by writing one after another.

    https://protobuf.dev/programming-guides/encoding/#last-one-wins
    """
    response = pb.PredictResponse(
        model=name,
        model_version=version,
        reference=reference,
        mode=pb.Mode.Name(mode),
        solver=pb.Solver.Name(solver),
        evidence=EVIDENCE[evidence],
    )
    return response.SerializeToString()
