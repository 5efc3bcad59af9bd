"""Crowds that mean no good: a client beside them gets its answers, and nothing stays when they go.

The long form, 10,000 connections, is `python -m bench.serving.connections`.
"""

import subprocess
import sys

import grpc
import pytest

from bench.serving import raw_http2
from bench.serving.connections import CROWDS, FILES_LEFT, open_files, visit
from bench.serving.prompts import PREDICT, SHAPES, unary
from bench.serving.servers import ROOT, Service, environment
from service import connections
from service.connections import METADATA_BYTES, METADATA_BYTES_MAX, raise_file_limit
from tests.service.porting import Port

pytestmark = pytest.mark.slow  # 11 seconds, all together

MESSAGE = unary("foundation", SHAPES[0])
COUNTS = {"idle": 1000, "silent": 200, "trickling": 40, "huge headers": 20, "vanishing": 200}


@pytest.fixture(scope="module")
def service():
    raise_file_limit()
    with Service([]) as one:
        yield one


def test_every_crowd_is_tried():
    assert list(COUNTS) == list(CROWDS)


@pytest.mark.parametrize("name", COUNTS)
def test_a_crowd_does_a_normal_client_no_harm_and_leaves_nothing_open(service, name):
    before = open_files(service)
    seen = visit(service, name, COUNTS[name], 0.4, before)

    assert seen.right == len(seen.seconds) > 3
    assert seen.files <= before + FILES_LEFT
    assert seen.there_mb - seen.before_mb < COUNTS[name] * 0.1 + 20


def test_headers_beyond_the_limit_are_refused(service):
    with grpc.insecure_channel(f"127.0.0.1:{service.port}") as channel:
        call = channel.unary_unary(PREDICT)
        for size, code in (
            (METADATA_BYTES // 2, "OK"),
            (2 * METADATA_BYTES_MAX, "RESOURCE_EXHAUSTED"),
        ):
            answer = call.future(MESSAGE, timeout=5, metadata=(("x-much", "h" * size),))
            error = answer.exception()

            assert ("OK" if error is None else error.code().name) == code


def test_a_server_takes_as_many_files_as_it_may_have():
    script = (
        "import resource; hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1];"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard));"
        "from service.connections import raise_file_limit;"
        "assert raise_file_limit() == hard;"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)"
    )
    command = [sys.executable, "-c", script]
    subprocess.run(command, check=True, cwd=ROOT, env=environment(), timeout=60)


def test_a_connection_that_says_nothing_is_let_go(monkeypatch):
    monkeypatch.setattr(connections, "HANDSHAKE_SECONDS", 0.5)
    port = Port({})
    with raw_http2.connect(port.number) as one:
        one.settimeout(5)
        while one.recv(4096):  # what a server says first, and then its end
            pass
    port.close()
