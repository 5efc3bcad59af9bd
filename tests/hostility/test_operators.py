"""Damaged requests of operators: an answer or a refusal, and the store as it was where refused."""

from collections import Counter
from random import Random

import pytest

from bench.hostility.checks import check_refusal
from bench.hostility.wire import Damaging, damaged
from model.refusal import Refusal
from service.call import Call
from service.operations import Operations
from sonoba.v1 import operations_pb2 as pb
from tests.service.replicating import another, world
from tests.service.watched import NAME

pytestmark = pytest.mark.slow  # seconds, all together

SEED, CASES = 7, 1500
RARE = ("GetDriftReport",)  # asks every replica


@pytest.fixture
def operated(tmp_path):
    made = world(tmp_path, replica_count=1)
    made.second = made.store.add(*another(1))
    yield made
    made.close()


def requests(operated):
    """Return a good request of every method."""
    etag, why = operated.store.current(NAME).etag, "a look at what happens"
    named = {"model": NAME, "etag": etag, "reason": why}
    return {
        "GetDriftReport": pb.GetDriftReportRequest(model=NAME, window_seconds=60.0),
        "EvaluateModel": pb.EvaluateModelRequest(model=NAME, idempotency_key="a", reason=why),
        "GetEvaluation": pb.GetEvaluationRequest(evaluation_id="0123"),
        "ListEvaluations": pb.ListEvaluationsRequest(model=NAME, page_size=3, page_token="9"),
        "ListModelVersions": pb.ListModelVersionsRequest(model=NAME),
        "PromoteModelVersion": pb.PromoteModelVersionRequest(version=operated.second, **named),
        "RollbackModel": pb.RollbackModelRequest(**named),
    }


def test_whatever_operators_send_is_answered_or_refused_with_a_reason(operated):
    chance, seen = Random(SEED), Counter()
    operations = Operations(operated.parts, lambda: None, lambda: True)
    handlers = operations.handlers()
    whole = {name: Damaging(request) for name, request in requests(operated).items()}
    for number in range(CASES):
        name = chance.choice(sorted(whole))
        if name in RARE and number % 20:
            continue
        wire = whole[name].changed(chance)
        if number % 3 == 0:
            wire = damaged(chance, wire, whole["ListModelVersions"].wire)
        call = Call(30.0)
        call.caller = "somebody"
        before = operated.store.current(NAME)
        try:
            getattr(pb, f"{name}Response").FromString(handlers[name](wire, call))
            seen["answered"] += 1
        except Refusal as refusal:
            seen[check_refusal(refusal)] += 1
            assert operated.store.current(NAME) == before

    assert seen["answered"] > 50
    assert set(seen) >= {"MALFORMED_REQUEST", "MODEL_NOT_FOUND", "BAD_ARGUMENT", "CONFLICT"}
