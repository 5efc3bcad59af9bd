"""No secret in logs, errors, metrics, status page or the list of processes.

One server runs as a process with every log on, is called by who may and who may not, and all that
it and the command line say is searched for tokens, their hashes, and keys.
"""

import os
import subprocess
import sys
import time
import urllib.request
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.callers_file import line_of
from service.token_command import token
from tests.e2e.conftest import process  # noqa: F401
from tests.security.certificates import Authority

pytestmark = pytest.mark.slow  # seconds, all together

GOOD, UNKNOWN, ADMIN = "good-secret-of-the-shop", "unknown-secret-of-nobody", "secret-of-admins"
FIRST, SECOND = "first-secret-in-a-broken-line", "another-secret-in-a-broken-line"
EXAMPLES = Path("service/demo_data").absolute()


class Stage:
    """A server process, its files, and everything that anybody said."""

    def __init__(self, folder, process):  # noqa: F811
        self.own = Authority(folder / "own")
        self.folder, self.said, self.processes = folder, [], ""
        self.files = self.own.server()
        self.callers = self.write("callers", line_of(GOOD, "shop-7", "predict", "never"))
        admin = self.write("admin", ADMIN)
        self.server = process(
            SONOBA_TLS_CERT_FILE=str(self.files.certificate),
            SONOBA_TLS_KEY_FILE=str(self.files.key),
            SONOBA_CALLERS_FILE=str(self.callers),
            SONOBA_ADMIN_TOKEN_FILE=str(admin),
            SONOBA_ADMIN_PORT="0",
            SONOBA_LOG_LEVEL="debug",
            SONOBA_LOG_FORMAT="auto",
            SONOBA_LOG_CALLS_SHARE="1",
            SONOBA_LAME_DUCK_SECONDS="0",
        )

    def write(self, name, text):
        path = self.folder / name
        path.write_text(f"{text}\n")
        path.chmod(0o600)
        return path

    def run(self, *arguments):
        """Run a command of ours; keep what it says, and what the list of processes showed."""
        command = [sys.executable, "-m", "service.cli", *arguments]
        child = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": "client"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while child.poll() is None:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.processes += path.read_text(errors="replace")
                except OSError:  # it has ended
                    continue
        said = child.communicate()[0]
        self.said.append(said)
        return child.returncode, said

    def token(self, *arguments):
        """Make or check a token; keep what is said."""
        done = CliRunner().invoke(token, [str(one) for one in arguments])
        self.said.append(done.output)
        return done.exit_code, done.output

    def predict(self, secret):
        return self.run(
            *("predict", "--context", str(EXAMPLES / "context.csv"), "--target", "log_bikers"),
            *("--query", str(EXAMPLES / "query.csv"), "--tls-ca", str(self.own.file)),
            *("--address", f"localhost:{self.server.grpc_port}", "--timeout", "20"),
            *("--token-file", str(self.write("token", secret))),
        )

    def page(self, path):
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.server.metrics_port}{path}", timeout=10
        ) as found:
            return found.read().decode()

    def ended(self):
        """End the server; return all that it printed."""
        self.server.child.terminate()
        out, err = self.server.child.communicate(timeout=60)
        return self.server.printed + out + err


def test_nothing_that_anybody_can_read_has_a_secret_in_it(tmp_path, process):  # noqa: F811
    stage = Stage(tmp_path, process)
    served, answer = stage.predict(GOOD)
    refused, sentence = stage.predict(UNKNOWN)
    stage.callers.write_text(f"{FIRST} shop-7 predict never\n")
    checked, fault = stage.token("check", stage.callers)
    stage.files.key.write_text(f"-----BEGIN PRIVATE KEY-----\n{SECOND}\n")
    pages = [stage.page(path) for path in ("/metrics", "/", "/status.json")]
    made, printed = stage.token("new", "--tenant", "a", "--out", tmp_path / "made")
    wait_for(
        lambda: 'sonoba_certificate_reloads_total{outcome="error"} 1' in stage.page("/metrics")
    )
    log = stage.ended()

    assert (served, refused, checked, made) == (0, 1, 1, 0)
    assert "prediction" in answer
    assert "authorization: expected 'Bearer <token>' with a token of this server" in sentence
    assert "line 1: proof: expected 64 hexadecimal digits" in fault
    assert "callers_file: line 1: proof" in log and "tls_cert_file: server.key: expected" in log
    assert "UNAUTHENTICATED" in log
    assert "shop-7" not in log
    secret = (tmp_path / "made").read_text().strip()
    known = [GOOD, UNKNOWN, ADMIN, FIRST, SECOND, secret, sha256(GOOD.encode()).hexdigest()]
    for one in known:
        for place in (log, stage.processes, *pages, *stage.said):
            assert one not in place
    assert secret not in printed
    assert str(stage.own.file) in stage.processes  # it was looked at while commands ran


def wait_for(is_true):
    ends = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < ends
        time.sleep(0.1)
