"""Our own processes to each other: replicas, operations and reports over TLS."""

import json
import socket
import ssl
import urllib.error
import urllib.request
from http import HTTPStatus

import pytest
from click.testing import CliRunner

from model.refusal import Refusal
from service.access import Access
from service.admin_port import AdminPort
from service.channels import Channels, tls_from
from service.https import http_contexts
from service.metrics_port import HttpPort
from service.operations_client import OperationsError, operations
from service.replicas import Deleted, Replicas, Silent
from service.settings import Settings
from service.status_page import Reply
from service.tenants_command import tenants
from service.tokens import Tokens
from sonoba.v1 import replica_pb2
from tests.security.certificates import Authority
from tests.security.conftest import OBSERVER, OPERATOR

OWN = "secret-of-the-admin-port"


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "admin-token"
    path.write_text(OWN)
    path.chmod(0o600)
    return path


@pytest.fixture
def listening(token_file):
    """Open administrators' ports of a service with TLS; close them when the test ends."""
    opened = []

    def listen(service, handlers, **settings):
        made = Settings(admin_port=0, admin_token_file=token_file, **settings)
        access, tokens = Access(made), Tokens(token_file)
        port = AdminPort(made, tokens, service, handlers, lambda _: None, access)
        opened.append(port)
        port.start()
        return port

    yield listen
    for port in opened:
        port.stop(0.0)


def deletes(wire, call):
    return replica_pb2.DeletePromptsResponse(prompt_count=3).SerializeToString()


def told(wire, call):
    raise Refusal("BAD_ARGUMENT", "model", f"called by {call.caller}")


@pytest.fixture
def replica(listening, authority):
    handlers = {"DeletePrompts": deletes}
    return listening("sonoba.v1.Replica", handlers, **authority.server().settings)


def deleted(replicas):
    try:
        return replicas.deleted("shop-7", "asked by mail")
    finally:
        replicas.close()


def test_replicas_are_asked_over_tls_and_must_be_who_they_are_named(
    replica, authority, token_file, tmp_path
):
    address, tls = f"localhost:{replica.number}", tls_from(authority.file)
    other = tls_from(Authority(tmp_path / "other").file)
    by_name = deleted(Replicas([address], token_file, tls=tls))
    by_number = deleted(Replicas([f"127.0.0.1:{replica.number}"], token_file, tls=tls))
    elsewhere = deleted(Replicas([f"127.0.0.2:{replica.number}"], token_file, tls=tls))

    resolved = f"127.0.0.1:{replica.number}"
    assert by_name == by_number == [Deleted(resolved, 3)]
    assert [type(one) for one in elsewhere] == [Silent]
    assert [type(one) for one in deleted(Replicas([address], token_file, tls=other))] == [Silent]
    assert [type(one) for one in deleted(Replicas([address], token_file))] == [Silent]


def test_a_replica_that_asks_for_a_certificate_gets_that_of_the_reevaluator(
    listening, authority, token_file
):
    settings = {**authority.server().settings, "tls_client_ca_file": authority.file}
    port = listening("sonoba.v1.Replica", {"DeletePrompts": deletes}, **settings)
    address, own = f"localhost:{port.number}", authority.client("reevaluator")
    mutual = tls_from(authority.file, *own)

    assert [type(one) for one in deleted(Replicas([address], token_file, tls=mutual))] == [Deleted]
    alone = tls_from(authority.file)
    assert [type(one) for one in deleted(Replicas([address], token_file, tls=alone))] == [Silent]


def test_channels_are_opened_anew_once_their_files_change(tmp_path):
    authority = Authority(tmp_path / "own")
    channels = Channels(tls_from(authority.file), [])
    first = channels.to("localhost:1")

    assert channels.to("localhost:1") is first
    authority.file.write_bytes(Authority(tmp_path / "next").file.read_bytes())
    second = channels.to("localhost:1")
    assert second is not first
    authority.file.unlink()  # as while somebody replaces it
    assert channels.to("localhost:1") is second
    channels.keep(set())


def test_a_tenants_prompts_are_deleted_over_tls(replica, authority, token_file, tmp_path):
    asked = ["delete", "shop-7", "--reason", "by mail", "--token-file", str(token_file)]
    asked += ["--replicas", f"localhost:{replica.number}"]

    done = CliRunner().invoke(tenants, [*asked, "--tls-ca", str(authority.file)])
    wrong = CliRunner().invoke(tenants, [*asked, "--tls-ca", str(tmp_path / "none.pem")])
    half = CliRunner().invoke(tenants, [*asked, "--tls-cert", str(authority.file)])

    assert (done.exit_code, "prompts deleted: 3" in done.output) == (0, True)
    assert wrong.output == f"Error: --tls-ca: {tmp_path}/none.pem: expected a file\n"
    assert half.output == "Error: --tls-cert, --tls-key: expected both or none\n"


def test_the_audit_log_gets_the_name_of_who_brought_a_token_and_roles_are_kept(
    listening, authority, callers_file, token_file, tmp_path
):
    handlers = dict.fromkeys(["ListEvaluations", "PromoteModelVersion"], told)
    settings = {**authority.server().settings, "callers_file": callers_file}
    port = listening("sonoba.v1.Operations", handlers, **settings)

    def said(secret, act):
        path = tmp_path / "token"
        path.write_text(secret)
        with operations(f"localhost:{port.number}", path, tls_from(authority.file)) as client:
            with pytest.raises(OperationsError) as caught:
                act(client)
            return caught.value.reason, str(caught.value)

    def listed(client):
        client.latest("bikes")

    def promoted(client):
        client.promote("bikes", "1", "", "why")

    assert said(OBSERVER, listed)[1].startswith("model: called by olga at ipv")
    assert said(OPERATOR, promoted)[1].startswith("model: called by alice at ipv")
    assert said(OWN, promoted)[1].startswith("model: called by ipv")
    denied = "expected the role operate, got observe"
    assert said(OBSERVER, promoted) == ("PERMISSION_DENIED", denied)


def page(port, context, path="/"):
    with urllib.request.urlopen(
        f"https://localhost:{port}{path}", timeout=5, context=context
    ) as found:
        return found.read()


@pytest.fixture
def web(tmp_path):
    """An HTTP port with TLS, its files, and its transport."""
    own = Authority(tmp_path / "web")
    files = own.server()
    settings = Settings(**files.settings)
    transport = Access(settings).transport

    def application(environ, start_response):
        reply = Reply(HTTPStatus.OK, json.dumps({"path": environ["PATH_INFO"]}).encode())
        start_response("200 OK", [("Content-Length", str(len(reply.body)))])
        return [reply.body]

    port = HttpPort("127.0.0.1", 0, application, http_contexts(settings, transport))
    yield port.number, own, files, transport
    port.close()


def test_alerts_and_reports_travel_encrypted_by_the_newest_certificate(web):
    port, own, files, transport = web
    trusting = ssl.create_default_context(cafile=own.file)

    before = ssl.get_server_certificate(("127.0.0.1", port), timeout=5)
    assert page(port, trusting) == b'{"path": "/"}'
    own.replace(files)
    transport.look()
    after = ssl.get_server_certificate(("127.0.0.1", port), timeout=5)

    assert before != after
    assert page(port, trusting) == b'{"path": "/"}'
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        page(port, ssl.create_default_context())


def test_a_connection_that_never_shakes_hands_keeps_nobody_waiting(web, capfd):
    port, own, *_ = web
    with (
        socket.create_connection(("127.0.0.1", port)),
        socket.create_connection(("127.0.0.1", port)) as spoken,
    ):
        spoken.sendall(b"GET / HTTP/1.0\r\n\r\n")

        assert page(port, ssl.create_default_context(cafile=own.file)) == b'{"path": "/"}'
    assert "Traceback" not in capfd.readouterr().err
