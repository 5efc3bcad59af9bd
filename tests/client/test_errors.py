import pickle

import pytest
from google.rpc import error_details_pb2

import sonoba
from sonoba import _details
from tests.client.conftest import error_info, retry_info, status

PROMPT = [[[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0], [[4.0]]]


def bad_request(field):
    violation = {"field": field, "description": "…"}
    return error_details_pb2.BadRequest(field_violations=[violation])


def precondition(subject):
    violation = {"type": "SCHEMA_MISMATCH", "subject": subject, "description": "…"}
    return error_details_pb2.PreconditionFailure(violations=[violation])


def failed(client, reference, *stated, times=1):
    reference.failures.extend([status(*stated)] * times)
    with pytest.raises(sonoba.SonobaError) as error:
        client.predict(*PROMPT)
    return error.value


def test_an_invalid_prompt_names_its_field(client, reference):
    sentence = "examples.labels: expected 3 numbers, got 2"
    details = error_info("BAD_SHAPE"), bad_request("examples.labels")

    error = failed(client, reference, "INVALID_ARGUMENT", sentence, *details)

    assert type(error) is sonoba.InvalidPrompt
    assert (error.field, error.reason) == ("examples.labels", "BAD_SHAPE")
    assert (str(error), error.sentence) == (sentence, sentence)
    assert error.request_id == "r-1"


def test_a_forbidden_fallback_is_an_invalid_prompt(client, reference):
    details = error_info("FALLBACK_FORBIDDEN"), precondition("options.fallback_policy")

    error = failed(client, reference, "FAILED_PRECONDITION", "expected more", *details)

    assert type(error) is sonoba.InvalidPrompt
    assert (error.field, error.reason) == ("options.fallback_policy", "FALLBACK_FORBIDDEN")


def test_a_schema_mismatch_says_what_was_expected_and_got(client, reference):
    sentence = "columns: expected 'a', 'b', got unknown 'c'"
    details = error_info("SCHEMA_MISMATCH"), precondition("columns")

    error = failed(client, reference, "FAILED_PRECONDITION", sentence, *details)

    assert type(error) is sonoba.SchemaMismatch
    assert (error.expected, error.got) == ("'a', 'b'", "unknown 'c'")
    assert error.field == "columns"


def test_a_model_that_is_not_there_is_not_found(client, reference):
    resource = error_details_pb2.ResourceInfo(resource_type="model", resource_name="nobody")
    details = error_info("MODEL_NOT_FOUND"), resource

    error = failed(client, reference, "NOT_FOUND", "no model nobody", *details)

    assert type(error) is sonoba.NotFound
    assert error.reason == "MODEL_NOT_FOUND"


def test_an_overloaded_server_says_when_to_come_back(client, reference):
    details = error_info("OVERLOADED"), retry_info(7.25)

    error = failed(client, reference, "RESOURCE_EXHAUSTED", "too many calls", *details)

    assert type(error) is sonoba.Overloaded
    assert error.retry_after == 7.25


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("DEADLINE_EXCEEDED", sonoba.DeadlineExceeded),
        ("PERMISSION_DENIED", sonoba.PermissionDenied),
        ("UNAUTHENTICATED", sonoba.PermissionDenied),
        ("INTERNAL", sonoba.ServerError),
        ("UNKNOWN", sonoba.ServerError),
        ("UNIMPLEMENTED", sonoba.ServerError),
        ("DATA_LOSS", sonoba.ServerError),
    ],
)
def test_every_status_has_its_type(client, reference, code, kind):
    error = failed(client, reference, code, "a sentence", error_info("REASON", "r-9"))

    assert type(error) is kind
    assert (error.reason, error.request_id, str(error)) == ("REASON", "r-9", "a sentence")


def test_an_error_without_details_still_has_its_type(client, reference):
    error = failed(client, reference, "NOT_FOUND", "gone")

    assert type(error) is sonoba.NotFound
    assert (error.reason, error.field, error.request_id) == ("", "", "")


def test_a_message_over_the_limit_is_an_invalid_prompt_and_not_overload(client, reference):
    sentence = "SERVER: Received message larger than max (9 vs. 8)"

    error = failed(client, reference, "RESOURCE_EXHAUSTED", sentence)

    assert type(error) is sonoba.InvalidPrompt
    assert error.reason == "LIMIT_EXCEEDED"


def test_nobody_there_is_unavailable():
    with sonoba.Client("127.0.0.1:1") as client, pytest.raises(sonoba.Unavailable) as error:
        client.predict(*PROMPT)

    assert error.value.__cause__ is not None


def test_every_prefix_of_a_trailer_is_read_without_an_accident():
    details = error_info("BAD_SHAPE"), bad_request("queries"), retry_info(1.5)
    [(_, wire)] = status("INVALID_ARGUMENT", "s", *details).trailing_metadata

    whole = _details.read([("other", "x"), (_details.TRAILER, wire)])
    parts = [_details.read([(_details.TRAILER, wire[:n])]) for n in range(len(wire))]

    assert whole == _details.Details("BAD_SHAPE", "queries", "r-1", 1.5)
    assert all(isinstance(part, _details.Details) for part in parts)
    assert _details.read([(_details.TRAILER, b"\xff" * 9)]) == _details.Details()


@pytest.mark.parametrize(
    "error",
    [
        sonoba.InvalidPrompt("s", reason="R", field="f", request_id="r"),
        sonoba.SchemaMismatch("s", expected="a", got="b"),
        sonoba.Overloaded("s", retry_after=1.0),
    ],
)
def test_errors_travel_between_processes(error):
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert (str(copy), vars(copy)) == (str(error), vars(error))
