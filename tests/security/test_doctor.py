"""`sonoba doctor` on ports that speak TLS, and on ports that do not."""

import contextlib
import socket
import ssl
import threading

import pytest

from service.doctor import check_grpc_port
from service.doctor_tls import certificate_at
from tests.security.certificates import END, PAST


def test_a_port_that_speaks_tls_is_told_with_its_certificate(serving, authority, callers_file):
    port = serving(**authority.server().settings, callers_file=callers_file).grpc_port

    check = check_grpc_port(port)

    assert check.found == f"answers with TLS: certificate CN=server, until {END:%Y-%m-%d %H:%M} UTC"
    assert not check.remedy


def test_one_that_asks_for_the_certificate_of_a_client_is_told_too(serving, authority):
    trusted = {"tls_client_ca_file": authority.file}
    port = serving(**authority.server().settings, **trusted).grpc_port

    assert check_grpc_port(port).found.startswith("answers with TLS: certificate CN=server")


@pytest.mark.parametrize(("spoken", "is_found"), [(["h2"], True), (["http/1.1"], False)])
def test_a_certificate_that_has_ended_is_a_problem(authority, spoken, is_found):
    files = authority.server("ended", PAST)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    context.set_alpn_protocols(spoken)

    def shake_hands():
        with contextlib.suppress(OSError), server.accept()[0] as connection:
            context.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=shake_hands)
        thread.start()
        found = certificate_at("127.0.0.1", server.getsockname()[1])
        thread.join()

    assert (found is not None) == is_found
    if found is not None:
        assert found.remedy == "put another certificate in place: it is read while serving"


@pytest.fixture
def silent():
    """A port on which something listens and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []
        ends = threading.Event()

        def accept():
            server.settimeout(0.1)
            while not ends.is_set():
                try:
                    held.append(server.accept()[0])
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        ends.set()
        thread.join()
        for one in held:
            one.close()


def test_neither_plaintext_nor_silence_is_taken_for_tls(serving, silent, monkeypatch):
    monkeypatch.setattr("service.doctor_tls.ANSWER_SECONDS", 0.3)
    plain = serving().grpc_port

    assert certificate_at("127.0.0.1", plain) is None
    assert certificate_at("127.0.0.1", silent) is None
