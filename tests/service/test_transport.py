"""TLS over real sockets: who connects, what changes without a restart, what must not be open."""

import logging
import socket
import ssl
import warnings

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.access import Access
from service.settings import Settings
from service.start_error import StartError
from service.transport import Transport
from sonoba.v1 import predictor_pb2 as pb
from tests.security.certificates import HERE, NOW, PAST, Authority, timedelta
from tests.security.conftest import authority, code_of, reaching, serving  # noqa: F401

OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE
ASKED = pb.GetModelRequest()


@pytest.fixture
def own(tmp_path):
    """An authority whose files a test may change."""
    return Authority(tmp_path / "own")


def answers(reached):
    return code_of(lambda: reached.stub.GetModel(ASKED, timeout=5))


def test_a_server_with_a_certificate_speaks_tls_and_nothing_else(authority, serving, reaching):  # noqa: F811
    server = serving(**authority.server().settings)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as plain:
        ask = plain.unary_unary("/sonoba.v1.Predictor/GetModel")
        in_plaintext = code_of(lambda: ask(b"", timeout=2))

    assert answers(reaching(server.grpc_port)) is OK
    assert in_plaintext is UNAVAILABLE


def test_a_client_of_another_authority_is_not_connected(authority, serving, reaching, own):  # noqa: F811
    server = serving(**authority.server().settings)

    assert answers(reaching(server.grpc_port, trusted=own)) is UNAVAILABLE


def handshake(port, most, cadata):
    """Return the version that a client which knows none newer than `most` ends up with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the old version
        context = ssl.create_default_context(cadata=cadata)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = most
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="localhost") as wrapped:
                return wrapped.version()
        except (ssl.SSLError, ConnectionError):
            return None


def test_nothing_older_than_tls_1_2_is_spoken(authority, serving):  # noqa: F811
    server, root = serving(**authority.server().settings), authority.file.read_text()
    versions = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

    found = [handshake(server.grpc_port, most, root) for most in versions]

    assert found == [None, "TLSv1.2", "TLSv1.3"]


def test_where_clients_need_a_certificate_none_another_and_an_expired_one_do_not_connect(
    authority,  # noqa: F811
    serving,  # noqa: F811
    reaching,  # noqa: F811
    own,
):
    server = serving(**authority.server().settings, tls_client_ca_file=authority.file)
    port, good = server.grpc_port, authority.client("orders")
    others = {"none": None, "another's": own.client("orders")}
    others["expired"] = authority.client("late", ends=PAST)

    assert answers(reaching(port, good)) is OK
    for files in others.values():
        assert answers(reaching(port, files)) is UNAVAILABLE


def health_of(port):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        asked = health_pb2.HealthCheckRequest(service="sonoba.v1.Predictor")
        told = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=5)
        other = channel.unary_unary("/sonoba.v1.Predictor/GetModel")
        return told.status, code_of(lambda: other(b"", timeout=5))


def test_probes_ask_for_health_without_tls_and_for_nothing_else(authority, serving):  # noqa: F811
    mutual = {"tls_client_ca_file": authority.file, "health_port": 0}
    server = serving(**authority.server().settings, **mutual)

    status, code = health_of(server.health_port)

    assert status == health_pb2.HealthCheckResponse.SERVING
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert serving().health_port == 0  # closed unless asked for


def shown_certificate(port):
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=5)


def test_a_new_pair_holds_for_new_connections_and_an_old_one_goes_on(serving, reaching, own):  # noqa: F811
    files = own.server()
    server = serving(**files.settings)
    before, kept = shown_certificate(server.grpc_port), reaching(server.grpc_port, trusted=own)
    assert answers(kept) is OK

    own.replace(files)
    server._door.access.transport.look()

    assert shown_certificate(server.grpc_port) != before
    assert answers(kept) is OK
    assert answers(reaching(server.grpc_port, trusted=own)) is OK
    assert server.registry.get_sample_value(
        "sonoba_certificate_reloads_total", {"outcome": "ok"}
    ) == pytest.approx(1)


def broken(own, files):
    """Yield what may stand in the files instead of a good pair, and the word for it."""
    certificate, key = files.certificate.read_bytes(), files.key.read_bytes()
    other = own.server("other")
    yield other.certificate.read_bytes(), key, "expected the key of server.pem, got another's"
    yield certificate[: len(certificate) // 2], key, "expected certificates in PEM, got another"
    yield b"", key, "expected certificates in PEM"
    yield certificate, key[: len(key) // 2], "expected a private key in PEM"
    late = own.server("late", ends=PAST)
    yield late.certificate.read_bytes(), late.key.read_bytes(), "server.pem: expired on"


def test_a_broken_or_half_written_pair_leaves_the_old_one_is_told_once_and_counted(own, caplog):
    files = own.server()
    transport = Transport(Settings(**files.settings))
    good = transport.pair.value
    for times, (certificate, key, word) in enumerate(list(broken(own, files)), start=1):
        files.certificate.write_bytes(certificate)
        files.key.write_bytes(key)
        with caplog.at_level(logging.WARNING, "sonoba"):
            caplog.clear()
            for _ in range(3):
                transport.look()
        assert transport.pair.value is good
        assert [word in one.getMessage() for one in caplog.records] == [True]
        assert "PRIVATE" not in caplog.text
        assert transport.pair.reloads == {"ok": 0, "error": times}

    own.replace(files)
    transport.look()

    assert transport.pair.value is not good
    assert transport.pair.reloads["ok"] == 1


def test_the_authorities_of_clients_change_without_a_restart(serving, reaching, own, tmp_path):  # noqa: F811
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    trusted = tmp_path / "clients.pem"
    trusted.write_bytes(old.file.read_bytes())
    server = serving(**own.server().settings, tls_client_ca_file=trusted)
    known, coming = old.client("orders"), new.client("orders")

    def are_in():
        return [answers(reaching(server.grpc_port, one, own)) is OK for one in (known, coming)]

    first = are_in()
    trusted.write_bytes(new.file.read_bytes())
    server._door.access.transport.look()

    assert (first, are_in()) == ([True, False], [False, True])


def test_a_certificate_that_ends_soon_is_warned_of_once_a_day_and_measured(own, caplog, serving):  # noqa: F811
    ends = NOW + timedelta(days=5)
    files = own.server(ends=ends)
    with caplog.at_level(logging.WARNING, "sonoba"):
        server = serving(**files.settings)
        for _ in range(3):
            server._door.access.transport.look()

    told = [one.getMessage() for one in caplog.records if "tls_cert_file" in one.getMessage()]
    assert told == [f"tls_cert_file: the certificate ends on {ends:%Y-%m-%d %H:%M} UTC"]
    value = server.registry.get_sample_value
    seconds = pytest.approx(ends.timestamp(), abs=1)
    assert value("sonoba_certificate_expiry_timestamp_seconds") == seconds
    assert value("sonoba_certificate_lifetime_seconds") == pytest.approx(95 * 86_400, abs=1)


def test_a_certificate_that_expires_while_it_serves_is_said_to_have(own, caplog, monkeypatch):
    transport = Transport(Settings(**own.server().settings))
    later = (NOW + timedelta(days=366)).timestamp()
    monkeypatch.setattr("service.transport.time.time", lambda: later)

    with caplog.at_level(logging.WARNING, "sonoba"):
        transport.look()

    assert "the certificate has expired, no client connects since" in caplog.text


def test_a_server_without_a_certificate_tells_nothing_of_one(serving):  # noqa: F811
    assert "certificate" not in str([one.name for one in serving().registry.collect()])


def encrypted(files):
    key = load_pem_private_key(files.key.read_bytes(), None)
    made = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    files.key.write_bytes(made)
    return files


def test_files_that_are_no_good_stop_the_start_and_say_which(own, tmp_path):
    pair, none = own.server(), tmp_path / "none.pem"
    cases = {
        "tls_key_file: expected a file, for": {"tls_cert_file": pair.certificate},
        "tls_cert_file: expected a file, for": {"tls_key_file": pair.key},
        "tls_client_ca_file: expected tls_cert": {"tls_client_ca_file": own.file},
        "tls_cert_file: none.pem: No such file": {**pair.settings, "tls_cert_file": none},
        "tls_cert_file: server.key: expected cert": {
            **pair.settings,
            "tls_client_ca_file": pair.key,
        },
        "without a password": encrypted(own.server("locked")).settings,
        "expired on": own.server("late", ends=PAST).settings,
        "an RSA key, or ECDSA on P-256": own.issue(
            "odd", "odd", HERE, key=ed25519.Ed25519PrivateKey.generate()
        ).settings,
        "ECDSA on P-256 or P-384": own.issue(
            "large", "large", HERE, key=ec.generate_private_key(ec.SECP521R1())
        ).settings,
    }
    for sentence, settings in cases.items():
        with pytest.raises(StartError) as caught:
            Transport(Settings(**settings))
        assert sentence in str(caught.value)
        assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize("kind", ["rsa", "p384"])
def test_other_kinds_of_keys_shake_hands(own, serving, reaching, kind):  # noqa: F811
    made = ec.generate_private_key(ec.SECP384R1())
    if kind == "rsa":
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    server = serving(**own.issue("server", "server", HERE, key=made).settings)

    assert answers(reaching(server.grpc_port, trusted=own)) is OK


def test_a_key_that_everybody_may_read_is_warned_of(own, caplog):
    files = own.server()
    files.key.chmod(0o644)

    with caplog.at_level(logging.WARNING, "sonoba"):
        Transport(Settings(**files.settings))

    assert "tls_key_file: server.key: every user of this machine may read it" in caplog.text


def check(**settings):
    made = Settings(**settings)
    Access(made).check(host=made.host, admin_host=made.admin_host)


def test_a_port_beyond_loopback_wants_tls_and_callers_or_a_loud_flag(own, caplog, tmp_path):
    public, tls = {"host": "0.0.0.0"}, own.server().settings
    callers = tmp_path / "callers"
    callers.write_text("cn:a a predict never\n")
    sentences = {
        "host: expected tls_cert_file and tls_key_file, for 0.0.0.0": public,
        "host: expected callers_file or tls_client_ca": {**public, **tls},
        "SONOBA_ALLOW_PLAINTEXT=1": {**public, "callers_file": callers},
        "admin_host: expected tls_cert_file": {"admin_host": "::"},
        "host: no-such-host.invalid: ": {"host": "no-such-host.invalid"},
    }
    for sentence, settings in sentences.items():
        with pytest.raises(StartError) as caught:
            check(**settings)
        assert sentence in str(caught.value)

    with caplog.at_level(logging.WARNING, "sonoba"):
        check(**public, **tls, callers_file=callers)
        check(**public, **tls, tls_client_ca_file=own.file)
        check(host="localhost", admin_host="::1")
        assert caplog.text == ""
        check(**public, allow_plaintext=True, allow_anonymous=True)
    assert "NOTHING IS ENCRYPTED" in caplog.text
    assert "EVERYBODY WHO REACHES IT IS ANSWERED" in caplog.text


@pytest.mark.parametrize(
    ("host", "given", "is_shown"),
    [
        ("127.0.0.1", None, True),
        ("0.0.0.0", None, False),
        ("0.0.0.0", True, True),
        ("::1", False, False),
    ],
)
def test_the_contract_is_shown_on_loopback_and_elsewhere_on_request(host, given, is_shown):
    assert Access(Settings(host=host, reflection=given)).shows_contract is is_shown
