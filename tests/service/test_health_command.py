"""`sonoba health`: says what a server says of itself, and ends with the status that probes read."""

import pytest
from click.testing import CliRunner

from service.health_command import health
from tests.deploy.test_dashboard_live import free_port
from tests.security.certificates import Authority


def asked(*flags, **environ):
    return CliRunner().invoke(health, [str(flag) for flag in flags], env=environ)


@pytest.mark.parametrize("variable", ["SONOBA_GRPC_PORT", "SONOBA_HEALTH_PORT"])
def test_a_ready_server_is_healthy_wherever_the_variables_say_it_listens(serving, variable):
    started = serving(health_port=0)
    ports = {"SONOBA_GRPC_PORT": started.server.grpc_port}
    ports["SONOBA_HEALTH_PORT"] = started.server.health_port
    told = asked(SONOBA_HOST="0.0.0.0", **{variable: str(ports[variable])})

    assert told.exit_code == 0, told.output
    assert told.output == f"127.0.0.1:{ports[variable]}: sonoba.v1.Predictor: SERVING\n"


def test_a_server_that_drains_is_not_ready_and_alive(serving):
    started = serving()
    started.server._health.set_ready(False)
    ready = asked("--port", started.server.grpc_port)
    alive = asked("--port", started.server.grpc_port, "--service", "liveness")

    assert ready.exit_code == 1
    assert "expected SERVING, got NOT_SERVING" in ready.output
    assert alive.exit_code == 0


def test_a_service_that_it_does_not_have_is_a_sentence(serving):
    told = asked("--port", serving().server.grpc_port, "--service", "sonoba.v1.Operations")

    assert told.exit_code == 1
    assert "sonoba.v1.Operations: no answer (NOT_FOUND" in told.output


def test_where_nothing_listens_it_is_a_sentence():
    told = asked("--port", free_port())

    assert told.exit_code == 1
    assert "no answer (UNAVAILABLE" in told.output and "Traceback" not in told.output


def test_a_port_that_speaks_tls_is_asked_by_its_authority_or_at_the_port_beside_it(
    serving, tmp_path
):
    authority = Authority(tmp_path)
    settings = authority.server().settings
    server = serving(health_port=0, **settings).server
    with_tls = asked("--port", server.grpc_port, "--tls-ca", authority.file)
    without = asked("--port", server.grpc_port)
    beside = asked("--port", server.health_port)

    assert (with_tls.exit_code, without.exit_code, beside.exit_code) == (0, 1, 0), with_tls.output
