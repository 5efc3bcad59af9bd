"""The admin port of `sonoba serve` as an operator meets it: announced, closed, or the reason."""

import re

import pytest

from tests.e2e.conftest import spawn

pytestmark = pytest.mark.slow  # seconds, all together

TOKEN = "the-token-of-the-admin-port"


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def test_it_is_announced_only_when_it_is_open(process, token_file):
    closed = process(SONOBA_ADMIN_PORT="0")
    opened = process(SONOBA_ADMIN_PORT="0", SONOBA_ADMIN_TOKEN_FILE=str(token_file))

    assert "admin" not in closed.printed
    assert re.search(r"^  admin +127\.0\.0\.1:\d+  \(gRPC, with the token\)$", opened.printed, re.M)
    assert "WARNING" not in opened.printed


def test_beyond_this_machine_the_token_travels_unencrypted_only_where_that_is_allowed(
    process, token_file
):
    asked = {"SONOBA_ADMIN_HOST": "0.0.0.0", "SONOBA_ADMIN_PORT": "0"}
    asked["SONOBA_ADMIN_TOKEN_FILE"] = str(token_file)
    child = spawn(**asked)
    _, err = child.communicate(timeout=60)
    one = process(SONOBA_ALLOW_PLAINTEXT="1", **asked)

    assert child.returncode == 1
    assert "Error: admin_host: expected tls_cert_file and tls_key_file, for 0.0.0.0 is" in err
    assert "WARNING: the token of the admin port travels unencrypted\n" in one.printed


def test_a_token_that_cannot_be_read_stops_the_start_with_a_sentence(token_file):
    token_file.write_text("short\n")
    child = spawn(SONOBA_ADMIN_TOKEN_FILE=str(token_file))
    _, err = child.communicate(timeout=60)

    assert child.returncode == 1
    assert f"Error: admin_token_file: {token_file}: expected 16 or more printable" in err
    assert "Traceback" not in err and "short" not in err


def test_a_port_that_is_taken_stops_the_start_with_a_sentence(process, token_file):
    one = process(SONOBA_ADMIN_PORT="0", SONOBA_ADMIN_TOKEN_FILE=str(token_file))
    port = re.search(r"admin +127\.0\.0\.1:(\d+)", one.printed)[1]
    child = spawn(SONOBA_ADMIN_PORT=port, SONOBA_ADMIN_TOKEN_FILE=str(token_file))
    _, err = child.communicate(timeout=60)

    assert child.returncode == 1
    assert f"Error: admin_port: cannot listen on 127.0.0.1:{port}; is another server there?" in err
    assert "Traceback" not in err
