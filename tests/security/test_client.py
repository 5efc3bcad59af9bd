"""The client with a token and TLS: proven, refused, renewed; and what it does not send."""

import asyncio

import pytest

import sonoba
from service.callers_file import line_of
from sonoba._transport import Bearer, is_here
from tests.security.certificates import PAST, Authority
from tests.security.conftest import OTHER, SHOP

EXAMPLES, LABELS, QUERIES = [[1.0], [2.0], [3.0], [4.0]], [2.0, 4.0, 6.0, 8.0], [[5.0]]


@pytest.fixture
def secured(serving, authority, callers_file):
    return serving(**authority.server().settings, callers_file=callers_file)


@pytest.fixture
def asking(secured, authority):
    """Ask a server by a client that is made for one prediction."""

    def ask(**options):
        target = f"localhost:{secured.grpc_port}"
        with sonoba.Client(target, **{"tls": authority.file, **options}) as client:
            return client.predict(EXAMPLES, LABELS, QUERIES).values

    return ask


def test_a_token_proves_who_calls_over_tls(asking, secured, authority, tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{SHOP}\n")

    assert (
        len(asking(token=SHOP)) == len(asking(token=path)) == len(asking(token=lambda: SHOP)) == 1
    )
    assert len(asking(token=SHOP, tls=sonoba.Tls(authority.file), tenant="shop-7")) == 1
    target = f"127.0.0.1:{secured.grpc_port}"
    tls = sonoba.Tls(authority.file, server_name="localhost")
    with sonoba.Client(target, token=SHOP, tls=tls) as client:
        prompts = [sonoba.Prompt(EXAMPLES, LABELS, QUERIES)] * 6
        assert len(client.predict_many(prompts)) == len(list(client.stream(prompts))) == 6
        assert client.models()[0].name == "foundation"


def test_the_asynchronous_client_does_the_same(secured, authority):
    async def ask(token):
        target = f"localhost:{secured.grpc_port}"
        async with sonoba.aio.Client(target, token=token, tls=authority.file) as client:
            return await client.predict(EXAMPLES, LABELS, QUERIES)

    assert len(asyncio.run(ask(SHOP)).values) == 1
    with pytest.raises(sonoba.PermissionDenied):
        asyncio.run(ask("a-secret-of-nobody-here"))


def test_who_may_not_call_learns_why_and_nothing_of_the_token(asking):
    nobody = "a-secret-of-nobody-here"
    for options, reason in (
        ({}, "UNAUTHENTICATED"),
        ({"token": nobody}, "UNAUTHENTICATED"),
        ({"token": SHOP, "tenant": "shop-8"}, "PERMISSION_DENIED"),
    ):
        with pytest.raises(sonoba.PermissionDenied) as caught:
            asking(**options)
        assert caught.value.reason == reason
        assert nobody not in str(caught.value) and SHOP not in str(caught.value)


@pytest.mark.slow
def test_another_authority_and_plaintext_get_no_answer(asking, tmp_path):
    other = Authority(tmp_path / "other").file

    for tls in (other, None):
        with pytest.raises((sonoba.Unavailable, sonoba.DeadlineExceeded)):
            asking(token=SHOP, tls=tls, timeout=1.0)


def test_a_certificate_of_ones_own_is_brought_where_servers_ask_for_it(
    serving, authority, callers_file
):
    tls = {**authority.server().settings, "tls_client_ca_file": authority.file}
    server = serving(callers_file=callers_file, **tls)
    for files, is_in in (
        (authority.client("orders", ["spiffe://shop/orders"]), True),
        (authority.client("late", ["spiffe://shop/orders"], ends=PAST), False),
    ):
        mutual = sonoba.Tls(authority.file, files.certificate, files.key)
        with sonoba.Client(f"localhost:{server.grpc_port}", tls=mutual, timeout=1.0) as client:
            if is_in:
                assert len(client.predict(EXAMPLES, LABELS, QUERIES).values) == 1
                continue
            with pytest.raises((sonoba.Unavailable, sonoba.DeadlineExceeded)):
                client.predict(EXAMPLES, LABELS, QUERIES)


def test_a_token_file_that_changes_is_read_again(secured, authority, callers_file, tmp_path):
    path, new = tmp_path / "token", "secret-of-the-shop-7-from-now-on"
    path.write_text(f"{SHOP}\n")
    with sonoba.Client(f"localhost:{secured.grpc_port}", token=path, tls=authority.file) as client:
        client.model()
        callers_file.write_text(line_of(new, "shop-7", "predict", "never") + "\n")
        secured._door.access.callers_file.look()
        with pytest.raises(sonoba.PermissionDenied):
            client.model()
        path.write_text(f"{new}\n")
        client.model()
        path.unlink()
        client.model()  # the token before stays while the file cannot be read


def test_a_token_is_not_sent_in_plaintext_unless_that_is_meant():
    with pytest.raises(ValueError, match=r"^tls: expected Tls or a file .*unencrypted") as caught:
        sonoba.Client("sonoba.example:50051", token=SHOP)

    assert SHOP not in str(caught.value)
    sonoba.Client("sonoba.example:50051", token=SHOP, tls=False).close()
    sonoba.Client("127.0.0.1:50051", token=SHOP).close()


@pytest.mark.parametrize(
    ("target", "is_local"),
    [
        ("localhost", True),
        ("[::1]:1", True),
        ("dns:///127.0.0.2:443", True),
        ("unix:/run/sonoba.sock", True),
        ("ipv4:127.0.0.1:80", True),
        ("dns:///localhost.example:443", False),
        ("10.0.0.1:1", False),
        ("127.0.0.1.example:1", False),
    ],
)
def test_what_is_this_machine_itself(target, is_local):
    assert is_here(target) is is_local


@pytest.mark.parametrize("token", ["short", "has a space in it somewhere", "x" * 600, "ümlaut" * 5])
def test_what_is_no_token_is_refused_without_being_repeated(token):
    with pytest.raises(ValueError, match="token: expected 16 to 512 printable") as caught:
        sonoba.Client(token=token)

    assert token not in str(caught.value)


def test_what_shows_a_client_shows_no_token(tmp_path):
    client = sonoba.Client(token=OTHER)

    shown = repr(client) + repr(vars(client)) + repr(Bearer(OTHER))
    client.close()
    assert OTHER not in shown
    with pytest.raises(ValueError, match="key_file: expected a file, for the other"):
        sonoba.Tls(certificate_file="a")
    with pytest.raises(FileNotFoundError):
        sonoba.Client(tls=tmp_path / "none.pem")
