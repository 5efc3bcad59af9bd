"""The administrators' port over real gRPC: who gets in, what is counted, what a taken port does."""

import socket
from types import SimpleNamespace

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from model.refusal import Refusal
from service.admin_port import AdminPort
from service.settings import Settings
from service.start_error import StartError
from service.tokens import Tokens, bearer

SERVICE = "sonoba.v1.Replica"
FIRST, SECOND = "first-secret-of-this-port", "second-secret-of-this-port"


def told(wire, call):
    return call.caller.encode()


def doubled(wire, call):
    return wire + wire


def refused(wire, call):
    raise Refusal("MODEL_NOT_FOUND", "model", "expected another")


def broken(wire, call):
    raise ValueError(wire.decode())


HANDLERS = {"Tell": told, "Double": doubled, "Refuse": refused, "Break": broken}


@pytest.fixture
def opened(tmp_path):
    """Open ports with the given settings; close them when the test ends."""
    token_file = tmp_path / "token"
    token_file.write_text(FIRST)
    token_file.chmod(0o600)
    ports, channels = [], []

    def open_port(**settings):
        reasons = []
        settings = Settings(**{"admin_port": 0, "admin_token_file": token_file, **settings})
        port = AdminPort(settings, Tokens(token_file), SERVICE, HANDLERS, reasons.append)
        ports.append(port)
        port.start()
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        channel = grpc.insecure_channel(f"127.0.0.1:{port.number}", options)
        channels.append(channel)

        def call(name, wire=b"", metadata=None):
            metadata = bearer(token_file) if metadata is None else metadata
            return channel.unary_unary(f"/{SERVICE}/{name}")(wire, timeout=10, metadata=metadata)

        return SimpleNamespace(
            port=port, call=call, channel=channel, reasons=reasons, token_file=token_file
        )

    yield open_port
    for channel in channels:
        channel.close()
    for port in ports:
        port.stop(0.0)


def failure(call, *arguments):
    """Return code, reason, field and sentence of a call that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status = rpc_status.from_call(caught.value)
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    fields = [violation.field for violation in bad.field_violations]
    return caught.value.code(), info.reason, fields, status.message


@pytest.mark.parametrize(
    "metadata",
    [(), (("authorization", "Bearer a-wrong-secret-of-a-port"),), (("authorization", FIRST),)],
)
@pytest.mark.parametrize("name", HANDLERS)
def test_nobody_without_the_token_reaches_a_handler(opened, name, metadata):
    one = opened()

    code, reason, fields, sentence = failure(one.call, name, b"x", metadata)

    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert fields == ["authorization"]
    assert "expected 'Bearer <token>' with the token of this port" in sentence
    assert FIRST not in sentence and "wrong-secret" not in sentence
    assert one.reasons == ["UNAUTHENTICATED"]


def test_a_caller_with_the_token_is_known_by_its_address(opened):
    one = opened()

    assert one.call("Tell").decode().startswith("ipv4:127.0.0.1:")


def test_a_token_that_changes_holds_at_once(opened):
    one = opened()
    before = bearer(one.token_file)
    one.token_file.write_text(SECOND)

    assert one.call("Double", b"x") == b"xx"
    assert failure(one.call, "Double", b"x", before)[0] is grpc.StatusCode.UNAUTHENTICATED


def test_refusals_and_bugs_are_told_as_on_the_other_port(opened):
    one = opened()

    assert failure(one.call, "Refuse")[:3] == (
        grpc.StatusCode.NOT_FOUND,
        "MODEL_NOT_FOUND",
        ["model"],
    )
    code, reason, _, sentence = failure(one.call, "Break", b"98765.4321")
    assert (code, reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "98765" not in sentence
    assert one.reasons == ["MODEL_NOT_FOUND", "INTERNAL"]


def test_calls_are_counted_by_method_and_code(opened):
    one = opened()
    one.call("Double", b"x")
    failure(one.call, "Double", b"x", ())

    tally = one.port.tallies["Double"]
    tally.settle()
    assert tally.labels == ("unary", SERVICE, "Double")
    assert (tally.started, tally.handled[grpc.StatusCode.OK]) == (2, 1)
    assert tally.handled[grpc.StatusCode.UNAUTHENTICATED] == 1
    assert one.port.tallies["Tell"].started == 0


@pytest.mark.parametrize("service", ["", SERVICE, "liveness"])
def test_health_needs_no_token(opened, service):
    stub = health_pb2_grpc.HealthStub(opened().channel)

    status = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status

    assert status == health_pb2.HealthCheckResponse.SERVING


def test_messages_may_be_as_large_as_the_setting(opened):
    one = opened(max_message_bytes=8 * 2**20)

    assert len(one.call("Double", bytes(3 * 2**20))) == 6 * 2**20  # gRPC's own bound is 4 MiB
    for size in (5 * 2**20, 9 * 2**20):  # the answer is too large; the request is
        with pytest.raises(grpc.RpcError) as caught:
            one.call("Double", bytes(size))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_port_that_is_taken_stops_the_start_by_name(opened):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(StartError, match=r"admin_port: cannot listen on 127\.0\.0\.1:\d+; is"):
            opened(admin_port=taken.getsockname()[1])


def test_two_processes_never_share_a_port(opened):
    one = opened()

    with pytest.raises(StartError, match="is another server there"):
        opened(admin_port=one.port.number)


def test_a_stopped_port_is_free_again(opened):
    one = opened()
    one.port.stop(0.0)

    assert opened(admin_port=one.port.number).call("Double", b"x") == b"xx"
