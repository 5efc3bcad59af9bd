"""The token of an administrative port: who gets in, and what a changing file does."""

import logging
import os

import pytest

from model.refusal import Refusal
from service.start_error import StartError
from service.tokens import Tokens, bearer, read_token

FIRST, SECOND = "first-secret-of-this-port", "second-secret-of-this-port"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{FIRST}\nwhat follows is a remark\n")
    path.chmod(0o600)
    return path


def is_let_in(tokens, *given):
    try:
        tokens.check([("user-agent", "grpc"), *(("authorization", one) for one in given)])
    except Refusal as refusal:
        assert refusal.reason == "UNAUTHENTICATED"
        assert refusal.field == "authorization"
        assert FIRST not in str(refusal) and SECOND not in str(refusal)
        return False
    return True


def test_only_the_token_of_the_first_line_lets_a_caller_in(path):
    tokens = Tokens(path)

    assert is_let_in(tokens, f"Bearer {FIRST}")
    assert is_let_in(tokens, f"bearer {FIRST} ")
    for given in (
        "",
        FIRST,
        "Bearer ",
        f"Basic {FIRST}",
        f"Bearer {FIRST}x",
        f"Bearer {FIRST[:-1]}",
    ):
        assert not is_let_in(tokens, given), given
    assert not is_let_in(tokens)
    assert not is_let_in(tokens, f"Bearer {FIRST}", f"Bearer {FIRST}")
    assert not is_let_in(tokens, "Bearer \ud800" + FIRST)


def test_the_metadata_of_a_caller_let_him_in(path):
    Tokens(path).check(bearer(path))


def test_a_changed_file_changes_the_token(path):
    tokens = Tokens(path)

    path.write_text(f"{SECOND}\n")

    assert is_let_in(tokens, f"Bearer {SECOND}")
    assert not is_let_in(tokens, f"Bearer {FIRST}")


def test_a_file_of_the_same_size_and_time_is_told_by_its_inode(path, tmp_path):
    path.write_text("a" * 20)
    tokens = Tokens(path)
    other = tmp_path / "other"
    other.write_text("b" * 20)
    os.utime(other, ns=(0, path.stat().st_mtime_ns))

    other.replace(path)  # as a mounted secret changes

    assert is_let_in(tokens, "Bearer " + "b" * 20)


def test_the_token_before_stays_while_the_file_cannot_be_read(path, caplog):
    tokens = Tokens(path)
    with caplog.at_level(logging.WARNING, "sonoba"):
        path.write_text("short\n")
        assert is_let_in(tokens, f"Bearer {FIRST}")
        assert not is_let_in(tokens, "Bearer short")
        path.unlink()
        assert is_let_in(tokens, f"Bearer {FIRST}")
    assert len(caplog.records) == 2  # one a fault, however many calls
    assert "short" not in caplog.text and FIRST not in caplog.text

    path.write_text(SECOND)

    assert is_let_in(tokens, f"Bearer {SECOND}")


@pytest.mark.parametrize(
    "content", [b"", b"\n" + FIRST.encode(), b"fifteen-letters", b"sixteen letters!!", b"\xff" * 20]
)
def test_a_file_without_a_token_stops_the_start(path, content):
    path.write_bytes(content)

    with pytest.raises(
        StartError, match=r"admin_token_file: .*token: expected 16 or more printable"
    ):
        Tokens(path)


def test_a_file_that_is_missing_stops_the_start_by_its_setting(tmp_path):
    with pytest.raises(StartError, match=r"webhook_token_file: .*none: No such file or directory"):
        Tokens(tmp_path / "none", "webhook_token_file")
    with pytest.raises(StartError, match="Is a directory"):
        Tokens(tmp_path)


def test_sixteen_characters_are_enough(path):
    path.write_bytes(b" sixteen-letters! \r\n")

    assert read_token(path) == b"sixteen-letters!"


@pytest.mark.parametrize(("mode", "is_warned"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_file_that_everybody_may_read_is_warned_of(path, mode, is_warned, caplog):
    path.chmod(mode)
    with caplog.at_level(logging.WARNING, "sonoba"):
        Tokens(path)

    assert ("chmod 600" in caplog.text) is is_warned
    assert FIRST not in caplog.text
