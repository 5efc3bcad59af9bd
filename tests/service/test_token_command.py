"""`sonoba token`: the secret once, the line for the file, and whom a file lets in."""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from click.testing import CliRunner

from service.callers import Callers
from service.callers_file import read_callers
from service.token_command import token


def run(*arguments):
    done = CliRunner().invoke(token, [str(one) for one in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_a_new_token_is_printed_once_with_the_line_that_lets_it_in(tmp_path):
    path = tmp_path / "callers"
    status, output = run("new", "--tenant", "shop-7", "--days", 3, "--name", "web")
    secret, line = re.fullmatch(r"secret  (\S+)\nline    (.+)\n", output).groups()
    path.write_text(f"{line}\n")

    entries = read_callers(path)
    found = Callers(lambda: entries).of([("authorization", f"Bearer {secret}")])
    day = datetime.now(UTC) + timedelta(days=3)
    assert status == 0
    assert line == f"{sha256(secret.encode()).hexdigest()} shop-7 predict {day:%Y-%m-%d} web"
    assert (found.tenant, found.name, len(secret)) == ("shop-7", "web", 43)
    assert run("new", "--tenant", "shop-7")[1] != output


def test_a_secret_goes_to_a_file_of_its_owner_and_the_line_to_the_callers(tmp_path):
    out, callers = tmp_path / "secret", tmp_path / "callers"
    callers.write_text("cn:ops - operate never")  # without an end of line

    status, output = run(
        *("new", "--tenant", "-", "--roles", "observe", "--out", out, "--append", callers)
    )

    secret = out.read_text().strip()
    assert (status, secret in output) == (0, False)
    assert out.stat().st_mode & 0o777 == 0o600
    assert len(list(read_callers(callers))) == 2
    assert run("check", callers, "--token-file", out)[0] == 0


def test_a_secret_that_cannot_be_kept_lets_nobody_in(tmp_path):
    out, callers = tmp_path / "secret", tmp_path / "callers"
    out.write_text("something")

    status, output = run("new", "--tenant", "a", "--out", out, "--append", callers)

    assert (status, output) == (1, f"Error: {out}: File exists\n")
    assert not callers.exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--tenant", "-"], "tenant: expected a name or *, for the caller predicts, got -"),
        (["--tenant", "a", "--roles", "root"], "roles: expected some of predict, observe, op"),
        (["--tenant", "a", "--name", "a b"], "name: expected 1 to 64 of"),
        (["--tenant", "a b"], "tenant: expected 1 to 64 of"),
    ],
)
def test_what_the_file_would_not_take_is_refused(given, sentence):
    status, output = run("new", *given)

    assert (status, sentence in output) == (1, True)


def test_a_check_lists_who_may_call_until_when(tmp_path):
    path, secret = tmp_path / "callers", tmp_path / "secret"
    digest = sha256(b"an-expired-secret-of-a-shop").hexdigest()
    path.write_text(f"# all\n{digest} shop-9 predict 2020-01-31\nuri:spiffe://a * predict never\n")
    secret.write_text("an-expired-secret-of-a-shop\n")
    other = tmp_path / "other"
    other.write_text("a-secret-of-nobody-here\n")

    assert run("check", path) == (
        0,
        f"line 2: token {digest[:8]}, tenant shop-9, predict, EXPIRED 2020-02-01 00:00 UTC\n"
        "line 3: uri:spiffe://a, tenant *, predict, never ends\n",
    )
    status, output = run("check", path, "--token-file", secret)
    assert (status, output.splitlines()[-1]) == (1, f"Error: {path}: the token has expired")
    status, output = run("check", path, "--token-file", other)
    assert (status, output) == (1, f"Error: {path}: the token is of none of its lines\n")


def test_a_check_of_no_file_and_of_a_bad_one_says_why(tmp_path):
    path = tmp_path / "callers"
    missing = run("check", path)
    path.write_text("half a line\n")

    assert missing == (1, f"Error: {path}: No such file or directory\n")
    assert run("check", path)[1].startswith("Error: line 1: expected proof tenant roles expiry")
