"""Requests laid out like one before: answered by moving bytes, as if they had been parsed."""

import random

import numpy as np
import pytest

from model.refusal import Refusal
from service.call import Call
from service.oip import OpenInference
from service.oip_layout import Template
from sonoba.v1 import predictor_pb2 as pb
from tests.oip import public
from tests.oip.conftest import task
from tests.oip.public import asking, numbers, said
from tests.service import asking as own

pytestmark = pytest.mark.slow  # seconds, all together


class Speaking(OpenInference):
    """Notes which requests were parsed."""

    parsed = 0

    def _infer(self, wire, call):
        self.parsed += 1
        return super()._infer(wire, call)

    def ask(self, request, call=None):
        wire = request if isinstance(request, bytes) else request.SerializeToString()
        answer = self.model_infer(wire, call or Call(5.0))
        return public.messages().ModelInferResponse.FromString(answer)


@pytest.fixture
def speaking(served):
    return Speaking(served.server._spoken_for())


@pytest.mark.parametrize("dtype", ["<f8", "<f4"])
@pytest.mark.parametrize("model", ["foundation", "weather"])
def test_only_the_first_two_of_a_kind_are_parsed_and_all_get_their_own_answer(
    ours, speaking, model, dtype
):
    for seed in range(40):
        prompt = task(seed)
        request_id = f"{seed:02}"  # of one length

        found = speaking.ask(asking(*prompt, dtypes=dtype, model_name=model, id=request_id))

        form = {"dtype": dtype}
        answer = ours.Predict(own.asking(*prompt, form=form, model=model))
        assert numbers(found).tolist() == list(answer.predictions)
        assert (found.id, found.model_version) == (request_id, answer.model_version)
    assert speaking.parsed == 2


def test_many_kinds_at_once_are_told_apart(ours, speaking):
    rng = random.Random(0)
    for _ in range(300):
        M, Q = rng.choice([12, 16]), rng.choice([1, 2])
        prompt = task(rng.randrange(10**6), M, 3, Q)
        model, columns = rng.choice([("foundation", "a,b,c"), ("weather", "temp,humidity,wind")])
        more = {"id": rng.choice(["", "x", "yy"]), "parameters": {"columns": columns}}

        found = speaking.ask(asking(*prompt, model_name=model, **more))

        answer = ours.Predict(own.asking(*prompt, model=model))
        np.testing.assert_allclose(numbers(found), answer.predictions, rtol=1e-9)
        assert (found.id, found.model_name) == (more["id"], model)
    assert speaking.parsed < 100


def test_what_a_layout_says_in_words_stays_what_it_is(ours, speaking):
    for seed in range(8):
        prompt, columns = task(seed, d=2), f"50% off,%b {seed % 2}"

        found = speaking.ask(asking(*prompt, parameters={"columns": columns}))

        assert numbers(found).tolist() == list(ours.Predict(own.asking(*prompt)).predictions)


def test_groups_change_with_every_call_and_reach_the_core(speaking):
    seen = []
    predict = speaking._served.predictor.predict

    class Watched:
        def predict(self, wire, call):
            seen.append(pb.PredictRequest.FromString(wire).group_id)
            return predict(wire, call)

    speaking._served = speaking._served._replace(predictor=Watched())
    for seed in range(12):
        speaking.ask(asking(*task(seed), parameters={"group_id": f"shop {seed:02}"}))

    assert seen == [f"shop {seed:02}" for seed in range(12)]
    assert speaking.parsed == 2


def test_a_group_that_is_no_text_is_refused(speaking):
    for seed in range(4):
        speaking.ask(asking(*task(seed), parameters={"group_id": "abcd"}))
    wire = asking(*task(5), parameters={"group_id": "abcd"}).SerializeToString()

    with pytest.raises(Refusal, match="expected a ModelInferRequest") as refusal:
        speaking.ask(wire.replace(b"abcd", b"ab\xff\xfe"))

    assert refusal.value.reason == "MALFORMED_REQUEST"


def test_a_warning_comes_and_goes_with_its_own_prompt(speaking):
    for seed in range(12):
        x, y, query = task(seed)
        if seed % 3 == 2:
            query = query * 40
        found = speaking.ask(asking(x, y, query))

        assert ("warnings" in said(found)) is (seed % 3 == 2)


def test_what_is_wrong_is_said_in_the_words_of_the_protocol_all_the_same(speaking):
    for seed in range(4):
        speaking.ask(asking(*task(seed)))
    x, y, query = task(9)
    x[3, 1] = np.nan
    parsed = speaking.parsed

    with pytest.raises(Refusal) as refusal:
        speaking.ask(asking(x, y, query))

    assert (refusal.value.reason, refusal.value.field) == ("NOT_FINITE", "inputs.x")
    assert speaking.parsed == parsed


def test_an_id_is_checked_wherever_it_stands(speaking):
    for seed in range(4):
        speaking.ask(asking(*task(seed), id="abcd"))
    wire = asking(*task(5), id="abcd").SerializeToString()
    call = Call(5.0)

    with pytest.raises(Refusal) as no_text:
        speaking.ask(wire.replace(b"abcd", b"ab\xff\xfe"))
    with pytest.raises(Refusal) as no_line:
        speaking.ask(wire.replace(b"abcd", b"ab\nd"))
    speaking.ask(wire.replace(b"abcd", b"wxyz"), call)

    assert (no_text.value.reason, no_line.value.reason) == ("MALFORMED_REQUEST", "BAD_REQUEST_ID")
    assert no_line.value.field == "id"
    assert call.request_id == "wxyz"


JUNK = {
    "an id twice": b"\x1a\x01z",
    "an id that is a number": b"\x18\x05",
    "a group of fields": b"\x93\x01\x94\x01",
    "a raw input too many": b"\x3a\x01q",
    "a parameter twice": b"\x22\x0f\x0a\x08group_id\x12\x03\x1a\x01a",
    "a parameter without a value": b"\x22\x0a\x0a\x08group_id",
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
def test_fields_that_stand_twice_or_are_not_known_do_not_mislead(speaking, junk):
    sound = asking(*task(1), id="a").SerializeToString()
    outcomes = []

    for place in range(6):
        fresh = speaking if place % 2 else Speaking(speaking._served)
        try:
            found = fresh.ask(junk + sound + junk)
            outcomes.append((found.id, numbers(found).tolist()))
        except Refusal as refusal:
            outcomes.append(refusal.reason)

    assert outcomes == outcomes[:1] * 6


def test_stacked_prompts_are_always_parsed(speaking):
    for seed in range(4):
        speaking.ask(asking(*task(seed, n=2)))

    assert speaking.parsed == 4


def test_the_layouts_kept_are_bounded(speaking):
    for M in range(4, 140):
        for seed in range(2):
            speaking.ask(asking(*task(seed, M)))

    kept = speaking._layouts.by_length
    assert len(kept) <= 64
    assert all(len(layouts) <= 4 for layouts in kept.values())


def test_a_template_moves_parts_and_nothing_else():
    made = Template(
        b"[ab]%[c]", b"<c|%b|ab>", [(slice(6, 7), slice(1, 2)), (slice(1, 3), slice(6, 8))]
    )

    assert made(b"[xy]%[z]") == b"<z|%b|xy>"
    assert made(b"[xy]&[z]") is None
