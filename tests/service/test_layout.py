"""A request read by the layout of another one, against the same request parsed from nothing."""

import numpy as np
import pytest

from model.checkpoint import FOUNDATION_FILE, load
from model.refusal import Refusal
from service.by_length import KNOWN_KEPT as LAYOUTS_KEPT
from service.by_length import SAME_LENGTH_KEPT
from service.call import Call
from service.core import Predictor
from service.server import limits_of
from service.settings import Settings
from service.slot import Served, Slots
from sonoba.v1 import predictor_pb2 as pb
from tests.service.asking import asking

IDS = {"request_id": "order-0001", "group_id": "store-12"}
GROUP_FIELD = b"\xa3\x06\xa4\x06"  # an empty group, number 100: parsers skip it


@pytest.fixture(scope="module")
def slots(paper_file):
    return Slots([load(FOUNDATION_FILE), load(paper_file)], "foundation")


@pytest.fixture
def parsed(monkeypatch):
    """The requests that were parsed as a whole."""
    seen = []
    read = Predictor._read

    def counted(self, wire, call):
        seen.append(wire)
        return read(self, wire, call)

    monkeypatch.setattr(Predictor, "_read", counted)
    return seen


def predictor(slots):
    return Predictor(slots, limits_of(Settings()), lambda *_: None)


def outcome(one, wire):
    """Return the response, or the refusal's fields."""
    try:
        response = pb.PredictResponse.FromString(one.predict(wire, Call(30.0)))
    except Refusal as refusal:
        return refusal.reason, refusal.field, refusal.sentence
    if len(response.request_id) == 16:
        response.ClearField("request_id")  # made up by the server
    return response


def warm(slots, request):
    """Return a predictor that knows the layout of a request."""
    one = predictor(slots)
    for _ in range(2):
        one.predict(request.SerializeToString(), Call(30.0))
    return one


def prompt(rng, M=8, d=3, Q=1, **more):
    return asking(
        rng.normal(2, 1, (M, d)), rng.normal(size=M), rng.normal(2, 1, (Q, d)), **more
    )  # fmt: skip


FORMS = [{"raw": True}, {"raw": False}, {"raw": True, "dtype": "<f4"}]


@pytest.mark.parametrize("form", FORMS, ids=["raw", "values", "float32"])
@pytest.mark.parametrize("model", ["", "weather"])
@pytest.mark.parametrize("ids", [{}, IDS], ids=["no ids", "ids"])
def test_a_known_layout_answers_as_parsing_does(slots, parsed, form, model, ids):
    rng = np.random.default_rng(1)
    one = warm(slots, prompt(rng, form=form, model=model, **ids))
    known = len(parsed)
    for _ in range(20):
        wire = prompt(rng, form=form, model=model, **ids).SerializeToString()
        got = outcome(one, wire)

        assert len(parsed) == known
        assert got == outcome(predictor(slots), wire)
        parsed.pop()


def test_named_columns_are_brought_into_the_models_order(slots, parsed):
    rng = np.random.default_rng(2)
    names = list(reversed(slots.find("weather", "").schema.names))
    one = warm(slots, prompt(rng, model="weather", columns=names))
    wire = prompt(rng, model="weather", columns=names).SerializeToString()
    known = len(parsed)
    got = outcome(one, wire)

    assert len(parsed) == known
    assert got == outcome(predictor(slots), wire)


BESIDE = {
    "interval": pb.PredictOptions(include_uncertainty=True),
    "levels": pb.PredictOptions(include_uncertainty=True, confidence_levels=[0.8, 0.95]),
    "explanation": pb.PredictOptions(include_attributions=True),
    "forbidden fallback": pb.PredictOptions(fallback_policy=pb.FALLBACK_POLICY_FORBID),
}


@pytest.mark.parametrize("options", BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize(
    "columns", [[], ["wind", "temp", "humidity"]], ids=["as they are", "turned"]
)
@pytest.mark.parametrize("model", ["", "weather"])
def test_options_are_part_of_the_layout(slots, parsed, model, columns, options):
    rng = np.random.default_rng(12)
    asked = {"model": model, "columns": columns, "options": options}
    one = warm(slots, prompt(rng, **asked))
    known = len(parsed)
    wire = prompt(rng, **asked).SerializeToString()
    got = outcome(one, wire)

    assert len(parsed) == known
    assert got == outcome(predictor(slots), wire)
    assert got.HasField("uncertainty") == options.include_uncertainty
    assert got.HasField("attributions") == options.include_attributions


def test_a_layout_does_not_answer_another_options_request(slots, parsed):
    rng = np.random.default_rng(13)
    levels = [
        pb.PredictOptions(include_uncertainty=True, confidence_levels=[p]) for p in (0.8, 0.9)
    ]
    one = warm(slots, prompt(rng, options=levels[0]))
    known = len(parsed)
    got = outcome(one, prompt(rng, options=levels[1]).SerializeToString())

    assert len(parsed) == known + 1
    assert [interval.level for interval in got.uncertainty.intervals] == [0.9]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300, 1e9])
def test_numbers_that_are_none_are_refused_by_place_in_a_known_layout(slots, parsed, bad):
    rng = np.random.default_rng(3)
    one = warm(slots, prompt(rng))
    for place in range(8 * 3 + 8 + 3):
        numbers = rng.normal(size=8 * 3 + 8 + 3)
        numbers[place] = bad
        x, y, queries = numbers[:24].reshape(8, 3), numbers[24:32], numbers[32:].reshape(1, 3)
        wire = asking(x, y, queries).SerializeToString()

        assert outcome(one, wire) == outcome(predictor(slots), wire)


@pytest.mark.slow
def test_any_other_byte_is_read_anew(slots):
    """Every byte of a request changed in turn: the same answer or refusal as from nothing."""
    rng = np.random.default_rng(4)
    request = prompt(rng, **IDS)
    one = warm(slots, request)
    wire = request.SerializeToString()
    for place in range(len(wire)):
        for bit in (1, 8, 128):
            changed = bytearray(wire)
            changed[place] ^= bit

            assert outcome(one, bytes(changed)) == outcome(predictor(slots), bytes(changed))


def test_fields_behind_a_group_hide_no_second_set_of_examples(slots, parsed):
    rng = np.random.default_rng(5)
    first, second = prompt(rng), prompt(rng)
    behind = pb.PredictRequest(examples=second.examples).SerializeToString()
    wire = first.SerializeToString() + GROUP_FIELD + behind
    one = predictor(slots)
    for _ in range(3):
        assert outcome(one, wire) == outcome(predictor(slots), wire)
    assert parsed.count(wire) == 6


def test_a_layout_of_a_model_that_was_replaced_is_not_used(parsed, paper_file):
    rng = np.random.default_rng(6)
    request = prompt(rng, model="weather")
    slots = Slots([load(FOUNDATION_FILE), load(paper_file)], "foundation")
    one = warm(slots, request)
    slots.install(Served.of(load(paper_file)))
    known = len(parsed)
    one.predict(request.SerializeToString(), Call(30.0))

    assert len(parsed) == known + 1


def test_the_memory_of_layouts_is_bounded(slots):
    rng = np.random.default_rng(7)
    one = predictor(slots)
    for M in range(4, 4 + LAYOUTS_KEPT):
        for _ in range(2):
            one.predict(prompt(rng, M=M).SerializeToString(), Call(30.0))
    for letter in "abcdefgh":
        for _ in range(2):
            request = prompt(rng, columns=[letter, letter * 2, letter * 3])
            one.predict(request.SerializeToString(), Call(30.0))
    kept = one._layouts.by_length

    assert len(kept) <= LAYOUTS_KEPT // SAME_LENGTH_KEPT
    assert max(map(len, kept.values())) == SAME_LENGTH_KEPT
