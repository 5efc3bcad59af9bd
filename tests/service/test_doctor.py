"""`sonoba doctor`: each check finds what it is for."""

import re
import socket
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from model import checkpoint
from service import doctor as command
from service.admin_port import AdminPort
from service.doctor import (
    FLOORS,
    PYTHON,
    check_admin_port,
    check_grpc_port,
    check_metrics_port,
    check_model,
    check_optional,
    check_package,
    check_python,
    check_stubs,
    check_token_file,
    doctor,
)
from service.server import Server
from service.settings import Settings
from service.tokens import Tokens

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server():
    server = Server(Settings(grpc_port=0, metrics_port=0))
    server.start()
    yield server
    server.stop(0.0)


@pytest.fixture
def foreign_port():
    """A port on which something listens that is no sonoba server."""

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"python_info 1\n")

        def log_message(self, *_):
            pass

    httpd = HTTPServer(("127.0.0.1", 0), Silent)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield httpd.server_port
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return port


def test_the_floors_are_those_of_the_project_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [re.fullmatch(r"([a-z-]+)>=(.+)", line) for line in project["dependencies"]]

    assert {match[1]: match[2] for match in named if match} == FLOORS
    assert project["requires-python"] == f">={PYTHON[0]}.{PYTHON[1]}"


def test_a_healthy_machine_has_no_problem(monkeypatch, free_port):
    monkeypatch.setattr(command, "GRPC_PORT", free_port)
    monkeypatch.setattr(command, "METRICS_PORT", free_port)
    result = CliRunner().invoke(doctor)

    assert result.exit_code == 0, result.output
    assert "problem" not in result.output
    assert f"grpcio {version('grpcio')}" in re.sub(" +", " ", result.output)


def test_a_problem_ends_with_status_1_and_a_remedy(monkeypatch, foreign_port, free_port):
    monkeypatch.setattr(command, "METRICS_PORT", free_port)
    monkeypatch.setattr(command, "GRPC_PORT", foreign_port)
    monkeypatch.setattr(command, "ANSWER_SECONDS", 0.5)
    result = CliRunner().invoke(doctor, env={"COLUMNS": "200"})

    assert result.exit_code == 1
    assert "`sonoba serve --grpc-port` another" in result.stdout
    assert re.search(r"Error: 1 of \d+ checks found a problem\n", result.stderr)


def test_a_running_server_is_recognised_with_its_models(server):
    check = check_grpc_port(server.grpc_port)

    assert check.remedy == ""
    assert re.search(r"a sonoba server answers: foundation [0-9a-f]{12} \w+", check.found)
    assert check_metrics_port(server.metrics_port).found == "a sonoba server's metrics answer"


def test_another_program_on_a_port_is_a_problem(monkeypatch, foreign_port):
    monkeypatch.setattr(command, "ANSWER_SECONDS", 0.5)

    assert check_grpc_port(foreign_port).found == "in use, but no sonoba server answers"
    assert check_metrics_port(foreign_port).found == "in use by something else"
    assert check_metrics_port(foreign_port).remedy


def test_free_ports_are_well(free_port):
    assert check_grpc_port(free_port) == (f"port {free_port}", "free for predictions", "")
    assert check_metrics_port(free_port) == (f"port {free_port}", "free for metrics", "")


def test_an_old_python_and_an_old_library_are_problems():
    assert check_python((3, 10, 9)).remedy == "use Python 3.11 or newer"
    assert check_python((3, 11, 0)).remedy == ""
    assert "expected 9999.1 or newer" in check_package("numpy", "9999.1").remedy
    assert check_package("numpy", "2").remedy == ""
    assert check_package("no-such-library", "1").found == "not installed"


def test_a_library_that_serving_does_not_need_is_never_a_problem():
    assert check_optional("no-such-library", "nothing") == (
        "no-such-library",
        "not installed, not needed (for nothing)",
        "",
    )


def test_the_stubs_import():
    assert check_stubs().remedy == ""


def test_the_shipped_model_has_a_certificate():
    check = check_model()

    assert check.remedy == ""
    assert re.match(
        r"foundation, version [0-9a-f]{12}; certificate holds: residual in", check.found
    )


@pytest.mark.parametrize("steps", ["[[-5.0, 1.0]]", "[]", '"x"'])
def test_a_model_file_whose_layers_do_not_converge_is_a_problem(monkeypatch, tmp_path, steps):
    broken = tmp_path / "foundation.json"
    broken.write_text(
        '{"kind": "foundation", "name": "foundation", "lambda_grid": [1.0], '
        f'"correction_bound": 0.05, "steps": {steps}}}'
    )
    monkeypatch.setattr(checkpoint, "FOUNDATION_FILE", broken)
    check = check_model()

    assert check.found.startswith("foundation.json: steps")
    assert "as it was released" in check.remedy


def test_a_missing_model_file_is_a_problem(monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoint, "FOUNDATION_FILE", tmp_path / "foundation.json")

    assert check_model().found == "foundation.json: No such file or directory"


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text("a-token-of-the-admin-port\n")
    path.chmod(0o600)
    return path


def test_a_token_file_must_be_there_hold_a_token_and_be_private(token_file):
    assert check_token_file(token_file).remedy == ""

    token_file.chmod(0o644)
    assert check_token_file(token_file).remedy == f"chmod 600 {token_file}"
    token_file.write_text("short")
    assert "expected 16 or more printable" in check_token_file(token_file).found
    token_file.unlink()
    check = check_token_file(token_file)
    assert check.found == f"{token_file}: No such file or directory"
    assert check.remedy.startswith("make one: (umask 077; ")


@pytest.mark.parametrize("service", ["sonoba.v1.Replica", "sonoba.v1.Operations"])
def test_the_admin_port_of_a_process_is_recognised(token_file, service):
    settings = Settings(admin_port=0, admin_token_file=token_file)
    port = AdminPort(settings, Tokens(token_file), service, {}, print)
    port.start()

    assert check_admin_port(port.number) == (f"port {port.number}", f"{service} answers", "")
    port.stop(0.0)


def test_an_admin_port_is_free_or_in_use_by_something_else(monkeypatch, free_port, foreign_port):
    monkeypatch.setattr(command, "ANSWER_SECONDS", 0.5)

    assert check_admin_port(free_port).found == "free for administration"
    assert check_admin_port(foreign_port).found == "in use, but no sonoba process answers"
    assert check_admin_port(foreign_port).remedy


def test_the_admin_port_is_looked_at_where_it_is_configured(monkeypatch, token_file, free_port):
    monkeypatch.setattr(command, "GRPC_PORT", free_port)
    monkeypatch.setattr(command, "METRICS_PORT", free_port)
    without = CliRunner().invoke(doctor, env={"COLUMNS": "200"})
    environ = {
        "COLUMNS": "200",
        "SONOBA_ADMIN_TOKEN_FILE": str(token_file),
        "SONOBA_ADMIN_PORT": str(free_port),
    }
    with_it = CliRunner().invoke(doctor, env=environ)

    assert "admin" not in without.output
    assert with_it.exit_code == 0, with_it.output
    assert "a token that only its owner and group may read" in with_it.output
    assert "free for administration" in with_it.output
