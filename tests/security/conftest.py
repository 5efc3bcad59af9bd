"""Servers with certificates and callers, on loopback."""

from types import SimpleNamespace

import grpc
import pytest

from service.callers_file import line_of
from service.server import Server
from service.settings import Settings
from sonoba.v1 import predictor_pb2_grpc
from tests.security.certificates import Authority

SHOP, OTHER = "secret-of-the-shop-7", "secret-of-the-shop-8"
OBSERVER, OPERATOR = "secret-of-an-observer", "secret-of-an-operator"


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def callers_file(tmp_path):
    path = tmp_path / "callers"
    path.write_text(
        "\n".join(
            [
                line_of(SHOP, "shop-7", "predict", "never"),
                line_of(OTHER, "shop-8", "predict", "never"),
                line_of(OBSERVER, "-", "observe", "never", "olga"),
                line_of(OPERATOR, "-", "operate", "never", "alice"),
                "uri:spiffe://shop/orders shop-5 predict never",
                "cn:ops - operate never ops-machine",
            ]
        )
        + "\n"
    )
    return path


@pytest.fixture
def serving():
    """Start servers with the given settings; stop them when the test ends."""
    started = []

    def start(**settings):
        server = Server(Settings(grpc_port=0, metrics_port=0, **settings))
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop(0.0)


@pytest.fixture
def reaching(authority):
    """Open channels to a server, of an authority and perhaps with a certificate of one's own."""
    opened = []

    def reach(port, files=None, trusted=None):
        root = (trusted or authority).file.read_bytes()
        pair = () if files is None else (files.key.read_bytes(), files.certificate.read_bytes())
        options = [("grpc.use_local_subchannel_pool", 1)]
        secrets = grpc.ssl_channel_credentials(root, *pair)
        channel = grpc.secure_channel(f"localhost:{port}", secrets, options)
        opened.append(channel)
        stub = predictor_pb2_grpc.PredictorStub(channel)
        return SimpleNamespace(channel=channel, stub=stub)

    yield reach
    for channel in opened:
        channel.close()


def bearing(token, tenant=None):
    metadata = [("authorization", f"Bearer {token}")]
    return metadata if tenant is None else [*metadata, ("x-sonoba-tenant", tenant)]


def code_of(call):
    """Return the code that a call ends with."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK
