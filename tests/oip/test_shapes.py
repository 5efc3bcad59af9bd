"""What a line of the log says of a call in the protocol: the model and the counts it claims."""

import numpy as np
import pytest

from service.shapes import claimed
from tests.oip.public import SERVICE, asking, messages

M, D, Q, N = 4, 3, 2, 5
MESSAGES = messages()


def infer(*leading):
    """Return a request of one prompt, or of some stacked ones."""
    given = (np.ones((*leading, *size)) for size in ((M, D), (M,), (Q, D)))
    return asking(*given, model_name="weather")


def told(kind, request):
    return claimed(f"{SERVICE}/{kind}", request.SerializeToString())


def test_one_prompt_and_stacked_ones_claim_their_counts():
    counts = {"example_count": M, "feature_count": D, "query_count": Q}

    assert told("ModelInfer", infer()) == ("weather", counts)
    assert told("ModelInfer", infer(N)) == ("weather", {"prompt_count": N, **counts})


@pytest.mark.parametrize("axes", [(), (7,), (1, 2, 3, 4)])
def test_tensors_of_other_axes_claim_nothing(axes):
    wrong = infer()
    for one in wrong.inputs:
        del one.shape[:]
        one.shape.extend(axes)

    assert told("ModelInfer", wrong) == ("weather", {})


@pytest.mark.parametrize("kind", ["ModelReady", "ModelMetadata"])
def test_questions_about_a_model_name_it(kind):
    request = getattr(MESSAGES, f"{kind}Request")(name="weather")

    assert told(kind, request) == ("weather", {})


def test_what_is_no_request_claims_nothing():
    assert claimed(f"{SERVICE}/ModelInfer", b"\xff\xff") == (None, {})
    assert told("ServerLive", MESSAGES.ServerLiveRequest()) == (None, {})
