"""`sonoba tenants delete` against running servers: all of them, or the failure is named."""

import grpc
import pytest
from click.testing import CliRunner

from service.cli import cli
from service.tokens import bearer
from sonoba.v1 import replica_pb2 as pb
from sonoba.v1 import replica_pb2_grpc
from tests.service.test_replica import BANK, SHOP, predict

pytestmark = pytest.mark.slow  # seconds, all together


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text("a-token-of-the-admin-port\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def replica(serving, token_file):
    """Start servers that keep prompts of everybody."""

    def start():
        settings = {"admin_token_file": token_file, "reservoir_tenants": "*"}
        one = serving(admin_port=0, **settings)
        one.address = f"127.0.0.1:{one.server.admin_port}"
        return one

    return start


def delete(token_file, *addresses, tenant="shop-7", reason="asked by mail"):
    wanted = ["--replicas", ",".join(addresses), "--token-file", str(token_file)]
    return CliRunner().invoke(cli, ["tenants", "delete", tenant, *wanted, "--reason", reason])


def kept_count(one, token_file):
    with grpc.insecure_channel(one.address) as channel:
        asked = pb.CollectPromptsRequest(model="foundation", reason="a test")
        stub = replica_pb2_grpc.ReplicaStub(channel)
        return len(stub.CollectPrompts(asked, metadata=bearer(token_file)).prompts)


def test_every_replica_deletes_and_says_how_many(replica, token_file):
    one, other = replica(), replica()
    for seed in range(3):
        predict(one, seed, SHOP)
    predict(other, 0, SHOP)
    predict(other, 1, BANK)

    result = delete(token_file, one.address, other.address)

    assert result.exit_code == 0, result.output
    assert f"{one.address}  prompts deleted: 3\n" in result.stdout
    assert f"{other.address}  prompts deleted: 1\n" in result.stdout
    assert "shop" not in result.output
    assert (kept_count(one, token_file), kept_count(other, token_file)) == (0, 1)


def test_a_replica_that_does_not_answer_is_named_and_the_others_delete(replica, token_file):
    one, gone = replica(), replica()
    predict(one, 0, SHOP)
    gone.server.stop(0.0)

    result = delete(token_file, gone.address, one.address)

    assert result.exit_code == 1
    assert f"{one.address}  prompts deleted: 1\n" in result.stdout
    assert f"{gone.address}  FAILED: " in result.stdout
    assert f"Error: 1 of 2 did not delete: {gone.address}\n" in result.stderr


def test_a_wrong_token_deletes_nothing(replica, token_file, tmp_path):
    one = replica()
    predict(one, 0, SHOP)
    wrong = tmp_path / "wrong"
    wrong.write_text("the-token-of-another-port")

    result = delete(wrong, one.address)

    assert result.exit_code == 1
    assert "FAILED: authorization: expected 'Bearer <token>'" in result.stdout
    assert kept_count(one, token_file) == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"tenant": "two words"}, "tenant: expected 1 to 64 of the characters"),
        ({"reason": "shop-7 asked"}, "reason: expected a reason that does not name the tenant"),
        ({"reason": " "}, "reason: expected a sentence"),
    ],
)
def test_what_the_servers_refuse_fails(replica, token_file, fields, sentence):
    result = delete(token_file, replica().address, **fields)

    assert result.exit_code == 1
    assert f"FAILED: {sentence}" in result.stdout


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("nowhere", "replicas: expected host:port, got 'nowhere'"),
        ("", "replicas: expected one or more of host:port, got none"),
        ("no-such-host.invalid:50052", "1 of 1 did not delete: no-such-host.invalid:50052"),
    ],
)
def test_an_address_that_is_none_fails_by_name(token_file, address, sentence):
    result = delete(token_file, address)

    assert result.exit_code == 1
    assert sentence in result.stderr


def test_a_name_that_stands_for_several_servers_is_all_of_them(replica, token_file):
    one = replica()
    predict(one, 0, SHOP)

    result = delete(token_file, f"localhost:{one.server.admin_port}")

    assert result.exit_code == 0, result.output
    assert f"{one.address}  prompts deleted: 1\n" in result.stdout


def test_a_token_file_that_is_missing_fails_with_a_sentence(token_file, tmp_path):
    result = delete(tmp_path / "none", "127.0.0.1:50052")

    assert result.exit_code == 1
    assert "FAILED: No such file or directory" in result.stdout
