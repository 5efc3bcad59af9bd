"""The commands of docs/operations.md that rotate secrets, run beside a server that holds them."""

import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest

from service.tokens import Tokens
from sonoba.v1 import predictor_pb2 as pb
from sonoba.v1 import predictor_pb2_grpc
from tests.calling.document import named_blocks
from tests.security.conftest import bearing

pytestmark = pytest.mark.slow  # seconds, all together

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS, DEPLOY = (
    named_blocks((ROOT / f"docs/{name}.md").read_text(encoding="utf-8"))
    for name in ("operations", "deploy")
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the secrets that docs/deploy.md makes."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    made = tmp_path_factory.mktemp("secrets")
    sonoba = made / "bin" / "sonoba"
    sonoba.parent.mkdir()
    sonoba.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m service.cli "$@"\n')
    sonoba.chmod(0o755)
    shell(made, DEPLOY["files"])
    return made


def shell(folder, text):
    environ = os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'client'}"
    done = subprocess.run(
        ["bash", "-ec", text], cwd=folder, env=environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def until(holds):
    ends = time.monotonic() + 30.0
    while not holds():
        assert time.monotonic() < ends, "it never came true"
        time.sleep(0.1)


def serial(port):
    """Return the number of the certificate that a server shows."""
    shown = ssl.get_server_certificate(("127.0.0.1", port))
    text = subprocess.run(
        ["openssl", "x509", "-noout", "-serial"], input=shown, capture_output=True, text=True
    ).stdout
    return text.strip()


def test_a_callers_token_and_the_certificate_are_rotated_beside_the_server(folder, serving):
    server = serving(
        tls_cert_file=folder / "tls.crt",
        tls_key_file=folder / "tls.key",
        callers_file=folder / "callers",
    )
    secrets = grpc.ssl_channel_credentials((folder / "ca.crt").read_bytes())

    def is_let_in(secret):
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.secure_channel(f"localhost:{server.grpc_port}", secrets, options) as channel:
            stub = predictor_pb2_grpc.PredictorStub(channel)
            try:
                stub.GetModel(pb.GetModelRequest(), metadata=bearing(secret), timeout=10)
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.UNAUTHENTICATED
                return False
            return True

    old = (folder / "shop-7.token").read_text().strip()
    assert is_let_in(old)
    shell(folder, OPERATIONS["token"])
    new = (folder / "shop-7.new").read_text().strip()
    until(lambda: is_let_in(new))
    assert is_let_in(old)

    printed = shell(folder, OPERATIONS["revoke"])
    until(lambda: not is_let_in(old))
    assert is_let_in(new)
    assert (folder / "shop-7.token").read_text().strip() == new
    assert len(re.findall(r"^line \d+: ", printed, re.MULTILINE)) == 2  # the shop, and olga

    before = serial(server.grpc_port)
    assert "notAfter=" in shell(folder, OPERATIONS["certificate"])
    until(lambda: serial(server.grpc_port) != before)
    assert is_let_in(new)


def test_the_token_of_the_admin_ports_is_rotated(folder):
    tokens = Tokens(folder / "admin.token")
    old = (folder / "admin.token").read_text().strip()

    shell(folder, OPERATIONS["admin"])

    new = (folder / "admin.token").read_text().strip()
    assert (new != old, len(new)) == (True, 32)
    assert (folder / "admin.token").stat().st_mode & 0o777 == 0o600
    assert tokens.is_token(new)
    assert not tokens.is_token(old)
