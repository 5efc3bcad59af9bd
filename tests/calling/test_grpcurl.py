import json
import re
import shutil
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

import sonoba
from tests.calling.document import ADDRESS, ANSWER, BLOCKS, TEXT, curl_request, printed

COMMANDS = ["grpcurl-predict", "grpcurl-explain", "grpcurl-summary"]
BUF = Path(sys.executable).with_name("buf")  # of the distribution buf-bin
BUF_FLAGS = "--protocol grpc --http2-prior-knowledge"
PROGRAMS = ["buf", *(["grpcurl"] if shutil.which("grpcurl") else [])]


class Reflected:
    """A caller that knows of the contract only what the server tells it."""

    def __init__(self, channel):
        self._channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self._pool = descriptor_pool.DescriptorPool(self.database)

    def call(self, method, body):
        """Return the answer to a JSON body as JSON, the way grpcurl comes to it."""
        service, _, name = method.rpartition("/")
        described = self._pool.FindServiceByName(service).FindMethodByName(name)
        request = message_factory.GetMessageClass(described.input_type)()
        response = message_factory.GetMessageClass(described.output_type)
        rpc = self._channel.unary_unary(
            f"/{method}",
            request_serializer=request.__class__.SerializeToString,
            response_deserializer=response.FromString,
        )
        answer = rpc(json_format.ParseDict(body, request), timeout=5.0)
        return json_format.MessageToDict(answer, preserving_proto_field_name=True)


@pytest.fixture(scope="module")
def reflected(channel):
    return Reflected(channel)


@pytest.fixture(scope="module")
def by_sdk(address):
    """The prediction of the Python client, from the numbers of the document's request."""
    _, body = curl_request("grpcurl-predict")
    flat, labels = body["examples"]["features"]["values"], body["examples"]["labels"]["values"]
    days = list(zip(flat[::2], flat[1::2], strict=True))
    with sonoba.Client(address) as client:
        return client.predict(days, labels, [body["queries"]["values"]]).values[0]


def of_three_examples():
    method, body = curl_request("grpcurl-predict")
    examples = body["examples"]
    examples["features"].update(row_count=3, values=examples["features"]["values"][:6])
    examples["labels"].update(values=examples["labels"]["values"][:3])
    return method, body


def test_reflection_lists_the_service(reflected):
    assert "sonoba.v1.Predictor" in reflected.database.get_services()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_request_of_the_document_is_answered_like_the_clients(reflected, by_sdk, command):
    answer = reflected.call(*curl_request(command))

    assert answer["predictions"] == pytest.approx([by_sdk], rel=1e-12, abs=0)
    assert f"{answer['predictions'][0]:.2f}" == ANSWER[0]


def test_the_answer_shown_is_the_one_given(reflected):
    shown = json.loads(BLOCKS["grpcurl-answer"])

    answer = reflected.call(*curl_request("grpcurl-predict"))

    assert answer.pop("predictions") == pytest.approx(shown.pop("predictions"), rel=1e-12, abs=0)
    assert {name: answer[name] for name in shown} == shown
    assert set(answer) - set(shown) == {"model_version", "request_id"}


def test_what_stands_beside_an_answer_is_what_is_shown(reflected):
    shown = json.loads(BLOCKS["grpcurl-explain-answer"])

    answer = reflected.call(*curl_request("grpcurl-explain"))

    weights = answer["attributions"].pop("example_weights")
    assert (weights["row_count"], weights["column_count"]) == (1, 6)
    assert answer["uncertainty"].pop("method") == shown["uncertainty"].pop("method")
    assert set(answer) - set(shown) == {
        *("predictions", "mode", "solver", "evidence", "model", "model_version", "request_id"),
    }
    given = flat({name: answer[name] for name in shown})
    assert given == pytest.approx(flat(shown), rel=1e-12, abs=0)


def flat(message, path=""):
    """Return every value of a message by its path."""
    if not isinstance(message, dict | list):
        return {path: message}
    parts = message.items() if isinstance(message, dict) else enumerate(message)
    found = {}
    for key, part in parts:
        found |= flat(part, f"{path}.{key}")
    return found


def test_a_summary_is_answered_as_a_summary(reflected):
    answer = reflected.call(*curl_request("grpcurl-summary"))

    assert answer["evidence"] == "EVIDENCE_SUMMARY"


def test_the_error_shown_is_the_one_given(reflected):
    with pytest.raises(grpc.RpcError) as error:
        reflected.call(*of_three_examples())

    details = {detail.type_url: detail for detail in rpc_status.from_call(error.value).details}
    shown = [json.loads(found) for found in re.findall(r"\{.*\}$", BLOCKS["grpcurl-error"], re.M)]
    assert f"Message: {error.value.details()}\n" in BLOCKS["grpcurl-error"]
    assert len(shown) == len(details) == 2
    for part in shown:
        detail = details[part.pop("@type")]
        message = getattr(error_details_pb2, detail.TypeName().removeprefix("google.rpc."))()
        detail.Unpack(message)
        given = json_format.MessageToDict(message, preserving_proto_field_name=True)
        for sent in (part, given):
            sent.get("metadata", {}).pop("request_id", None)
        assert part == given


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_command_line_that_is_not_ours_gets_the_same_answer(address, program, command):
    if program == "grpcurl":
        script = BLOCKS[command].replace(ADDRESS, address)
    else:
        method, body = curl_request(command)
        script = f"{BUF} curl {BUF_FLAGS} -d '{json.dumps(body)}' http://{address}/{method}"

    answer = json.loads("\n".join(printed(["bash", "-c", script])))

    assert f"{answer['predictions'][0]:.2f}" == ANSWER[0]


def test_the_command_of_buf_is_the_documents():
    assert f"`buf curl {BUF_FLAGS} -d '{{…}}'\nhttp://{ADDRESS}/" in TEXT
