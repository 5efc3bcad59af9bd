"""The calls as pure functions of bytes: decode, answer, encode. No gRPC here."""

from collections.abc import Callable, Sequence

import numpy as np

from model.answer import Answer
from model.checkpoint import Artifact
from model.estimator import Estimating
from model.intervals import LEVELS
from model.moments import Sums
from model.prompt import Block
from model.refusal import Refusal
from model.support import Supported, Wanted
from service import beside, codec, gaps, replies, validate
from service.ahead import Ahead
from service.batch import answer_batch, fallback_forbidden, forbids_fallback, supported
from service.call import Call
from service.describe import describe
from service.layout import Asked, Layout, Layouts
from service.quotas import row_count
from service.shadow import Tap, skip
from service.shift import Harmed, score, unharmed
from service.slot import Served, Slots
from service.straight import Samples, Ways
from service.validate import Limits
from sonoba.v1 import predictor_pb2 as pb

PAGE_SIZE_MAX = 100
DEFAULT_LEVEL = 0.95
Array = codec.Array
GAP_POLICIES = pb.MissingValuePolicy.values()[:3]  # the last, IMPUTE, where a model fills gaps
Keep = Callable[[Artifact, Block, Answer, str], None]
"""Is handed the model, answered prompts, their answers, and the tenant they are of."""
Observer = Callable[[str, Answer, int], None]
"""Is told the model's name, its answer, and the number of queries a prompt."""


class Predictor:
    """Answers the calls of the contract from the models in force."""

    def __init__(
        self,
        slots: Slots,
        limits: Limits,
        observe: Observer,
        tap: Tap = skip,
        watch: Tap = skip,
        is_harmed: Harmed = unharmed,
        keep: Keep | None = None,
        samples: Samples | None = None,
    ) -> None:
        """Take who is told of answers; with `samples` the others see no plain prompt alone."""
        self._slots, self._limits = slots, limits
        self.ahead = Ahead()
        self._layouts = Layouts(Ways(slots, self._tell, self.ahead, samples).of)
        self._observe, self._tap, self._watch, self._keep = observe, tap, watch, keep
        self._is_harmed, self.forget = is_harmed, self._layouts.forget

    def predict(self, wire: bytes, call: Call) -> bytes:
        """Answer one prompt, in the straight way where there is one."""
        for layout in self._layouts.by_length.get(len(wire), ()):
            if layout.cut(wire) == layout.contents:
                reply = None if layout.straight is None else layout.straight(wire, call)
                return self._predict(wire, call, layout) if reply is None else reply
        return self._predict(wire, call, None)

    @np.errstate(all="ignore")  # what overflows is found in the results and refused
    def _predict(self, wire: bytes, call: Call, layout: Layout | None) -> bytes:
        """Answer one prompt, read by its layout or parsed."""
        asked = None
        if layout is not None:
            asked = self._layouts.read(layout, wire, self._slots, call)
        asked = asked or self._read(wire, call)
        artifact = asked.artifact
        if call.purse is not None:
            call.purse.take_rows(row_count(asked.block))
        if asked.fills_gaps:
            block, notes = gaps.filled(artifact.model, asked.block)
            found, answer = self._answered(asked := asked._replace(block=block), wire, None)
            answer = gaps.with_notes(answer, artifact.model.mode, notes)
        else:
            found, answer = self._answered(asked, wire, layout)
        mode = answer.modes[0]
        self._tell(artifact, asked.block, answer, call.caller)
        reference = artifact.reference_id
        of = artifact.name, artifact.version, reference, mode, answer.solvers[0], asked.evidence
        response = replies.head(answer, call) + replies.tail(*of)
        if asked.wants_shift and reference and (shift := score(artifact, asked.block, answer)):
            response += replies.shift(shift, asked)
        return response if found is None else response + replies.beside(found, asked)

    def _answered(
        self, asked: Asked, wire: bytes, layout: Layout | None
    ) -> tuple[Supported | None, Answer]:
        """Return the answer, with what is wanted beside where anything is; raise its refusal."""
        artifact, block = asked.artifact, asked.block
        if asked.wanted is None:
            found, answer = None, beside.answer(wire, layout, asked, self.ahead)
        else:
            found = supported(artifact, block, asked.wanted)
            answer = found.answer
        for _, refusal in answer.refusals:
            codec.check_finite(block)  # NaN and infinity come out as NaN: say where they came in
            raise refusal
        if answer.modes[0] != artifact.model.mode and asked.is_fallback_forbidden:
            raise fallback_forbidden(answer, 0)
        return found, answer

    def _tell(self, artifact: Served, block: Block, answer: Answer, caller: str) -> None:
        """Tell everybody who wants to know of the answer to one prompt."""
        self._observe(artifact.name, answer, block.queries.shape[1])
        self._tap(artifact, block, answer)
        self._watch(artifact, block, answer)
        if self._keep is not None:
            self._keep(artifact, block, answer, caller)

    def _read(self, wire: bytes, call: Call) -> Asked:
        """Parse a request and check all of it but its numbers."""
        request = codec.parse(pb.PredictRequest, wire)
        call.name(request.request_id)
        artifact = self._slots.find(request.model, request.model_version)
        wanted = read_options(request.options, artifact)
        validate.text(request.group_id, "group_id", validate.LONGEST_GROUP_BYTES)
        kind = codec.one_context(request, wire)
        block = codec.prompt(request, kind, artifact, self._limits)
        shift = request.options.include_shift_score
        asked = Asked(artifact, block, kind, forbids_fallback(request.options), wanted, shift)
        if request.options.missing_value_policy == pb.MISSING_VALUE_POLICY_IMPUTE:
            asked = asked._replace(fills_gaps=True)
        if wanted is not None:
            asked = asked._replace(order=_order(artifact, request.columns))
            validate.weights(wanted, block, self._limits)
        if kind == "examples":
            self._layouts.learn(wire, request, asked)
        return asked

    @np.errstate(all="ignore")
    def predict_batch(self, wire: bytes, call: Call) -> bytes:
        """Answer prompts of one shape; a bad one fails alone."""
        request = codec.parse(pb.PredictBatchRequest, wire)
        call.name(request.request_id)
        artifact = self._slots.find(request.model, request.model_version)
        wanted = read_options(request.options, artifact)
        response, answers = answer_batch(request, artifact, self._limits, call, wanted)
        response.reference = artifact.reference_id
        for block, answer in answers:
            self._observe(artifact.name, answer, request.query_count)
            self._watch(artifact, block, answer)
            if self._keep is not None:
                self._keep(artifact, block, answer, call.caller)
        return response.SerializeToString()

    @np.errstate(all="ignore")
    def summarize_examples(self, wire: bytes, call: Call) -> bytes:
        """Reduce examples to sums, merged into given ones if asked for."""
        request = codec.parse(pb.SummarizeExamplesRequest, wire)
        artifact = self._slots.find(request.model, request.model_version)
        x, y = codec.example_set(request.examples, self._limits)
        names = tuple(request.columns)
        positions = validate.schema(artifact, x.shape[1], names, request.schema_hash)
        if call.purse is not None:
            call.purse.take_rows(len(x))
        validate.finite(x, "examples.features", names)
        validate.finite(y, "examples.labels")
        x = x if positions is None else x[:, positions]
        other = None
        if request.HasField("merge_with"):
            other = codec.sums(request.merge_with, "merge_with", self._limits)
            artifact.schema.check_hash(request.merge_with.schema_hash)
        total = self._total(request, x, y, other)
        if not total.is_finite():
            sentence = "expected numbers whose sums fit a double, got an overflow"
            raise Refusal("NUMERIC_OVERFLOW", "examples", sentence)
        response = pb.SummarizeExamplesResponse(
            summary=codec.summary(total, artifact.schema.hash), model_version=artifact.version
        )
        return response.SerializeToString()

    def _total(
        self,
        request: pb.SummarizeExamplesRequest,
        x: Array,
        y: Array,
        other: Sums | None,
    ) -> Sums:
        d = x.shape[1]
        origin = codec.vector_numbers(request.origin, "origin")
        label_origin = request.label_origin
        if len(origin):
            validate.equal(len(origin), d, "origin", "column_count of examples.features")
            validate.finite(origin, "origin")
        validate.finite(np.array([label_origin]), "label_origin")
        if other is None:
            return Sums.from_rows(x, y, origin if len(origin) else np.zeros(d), label_origin)
        source = "column_count of examples.features"
        validate.equal(len(other.feature_sums), d, "merge_with.feature_sums", source)
        origin = origin if len(origin) else other.origin
        return Sums.from_rows(x, y, origin, label_origin or other.label_origin) + other

    def get_model(self, wire: bytes, call: Call) -> bytes:
        """Describe one model."""
        request = codec.parse(pb.GetModelRequest, wire)
        artifact = self._slots.find(request.model, request.model_version)
        response = pb.GetModelResponse(model=self._described(artifact))
        return response.SerializeToString()

    def list_models(self, wire: bytes, call: Call) -> bytes:
        """List a page of models, ordered by name; the token is the last name of the page before."""
        request = codec.parse(pb.ListModelsRequest, wire)
        if not 0 <= request.page_size <= PAGE_SIZE_MAX:
            sentence = f"expected 0 to {PAGE_SIZE_MAX}, got {request.page_size}"
            raise Refusal("BAD_PAGE", "page_size", sentence)
        names = self._slots.names()
        if request.page_token and request.page_token not in names:
            sentence = f"expected a next_page_token, got '{request.page_token:.64}'"
            raise Refusal("BAD_PAGE", "page_token", sentence)
        rest = [name for name in names if name > request.page_token]
        page = rest[: request.page_size or PAGE_SIZE_MAX]
        response = pb.ListModelsResponse(
            models=[self._described(self._slots.find(name, "")) for name in page],
            next_page_token=page[-1] if len(rest) > len(page) else "",
        )
        return response.SerializeToString()

    def _described(self, artifact: Served) -> pb.Model:
        return describe(artifact, self._limits, self._is_harmed(artifact.name))


def read_options(options: pb.PredictOptions, artifact: Artifact) -> Wanted | None:
    """Return what is wanted beside predictions; refuse what the model lacks, and ignore nothing."""
    asked = {
        "include_shift_score": options.include_shift_score
        and not isinstance(artifact.model, Estimating),
        "missing_value_policy": options.missing_value_policy
        not in (GAP_POLICIES if gaps.fills_gaps(artifact.model) else GAP_POLICIES[:2]),
        "fallback_policy": options.fallback_policy not in pb.FallbackPolicy.values(),
    }
    for name, wanted in asked.items():
        if wanted:
            sentence = f"expected it unset, which model {artifact.name} does not offer"
            raise Refusal("UNSUPPORTED_OPTION", f"options.{name}", sentence)
    levels = _levels(options)
    if not levels and not options.include_attributions:
        return None
    return Wanted(levels, options.include_attributions)


def _levels(options: pb.PredictOptions) -> tuple[float, ...]:
    """Return the levels of the intervals asked for, none where there are to be none."""
    field, asked = "options.confidence_levels", tuple(options.confidence_levels)
    if not options.include_uncertainty:
        if asked:
            sentence = f"expected none without include_uncertainty, got {asked[0]:g}"
            raise Refusal("BAD_LEVEL", field, sentence)
        return ()
    for level in asked:
        if level not in LEVELS or asked.count(level) > 1:
            known = ", ".join(f"{known:.2f}" for known in LEVELS)
            more = " more than once" if level in LEVELS else ""
            sentence = f"expected some of {known}, each once, got {level:g}{more}"
            raise Refusal("BAD_LEVEL", field, sentence)
    return asked or (DEFAULT_LEVEL,)


def _order(artifact: Artifact, columns: Sequence[str]) -> list[int] | None:
    """Return where each feature as sent stands in the model's order; None when nothing moved."""
    positions = artifact.schema.positions(tuple(columns))
    return None if positions is None else np.argsort(positions).tolist()
