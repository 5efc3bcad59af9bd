"""A hundred thousand damaged requests: an answer of numbers or a refusal with a reason, no bug.

The long form is `python -m bench.hostility.fuzz`; a failure is told with its bytes.
"""

import itertools
import logging
import resource
from collections import Counter

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench.hostility.checks import check_answer
from bench.hostility.fuzz import LOOK_EVERY, cases, run
from service.errors import STATUS
from service.oip import UNARY as OPEN_INFERENCE
from service.oip_messages import SERVICE as INFERENCE
from service.server import SERVICE, UNARY, Server
from service.settings import Settings

pytestmark = pytest.mark.slow  # seconds, all together

SEED, COUNT, WARM_COUNT = 20_230_616, 100_000, 10_000
PORT_COUNT, STREAM_COUNT, IN_FLIGHT = 10_000, 600, 32
PATHS = dict.fromkeys(UNARY, SERVICE) | dict.fromkeys(OPEN_INFERENCE, INFERENCE)
MEGABYTE = 2**20
ALLOWED_CODES = {code for reason, code in STATUS.items() if reason not in ("INTERNAL", "EXPIRED")}


@pytest.fixture
def is_quiet(caplog):
    """Keep no line about a refusal: there are tens of thousands."""
    caplog.set_level(logging.ERROR, "sonoba")


@pytest.fixture
def memory_is_capped():
    """Let an allocation fail that no request may ask for."""
    kept = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 512 * MEGABYTE, kept[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, kept)


@pytest.mark.usefixtures("is_quiet", "memory_is_capped")
def test_whatever_is_sent_is_answered_in_numbers_or_refused_with_a_reason(target):
    report = run(target, SEED, COUNT)

    assert not report.failures, f"seed {SEED}: " + "\n".join(map(str, report.failures))
    assert not report.logged, f"seed {SEED}: " + "\n".join(report.logged)
    assert report.count == COUNT
    assert report.answered_count > COUNT / 5
    assert report.reasons >= {"NOT_FINITE", "MALFORMED_REQUEST", "BAD_SUMMARY", "NUMERIC_OVERFLOW"}
    assert report.reasons >= {"SCHEMA_MISMATCH", "OUT_OF_RANGE_FEATURE", "LIMIT_EXCEEDED"}
    assert report.slowest_seconds < 1.0
    warm = report.resident_bytes[WARM_COUNT // LOOK_EVERY :]
    assert max(warm) - warm[0] < 24 * MEGABYTE


@pytest.fixture
def server(model_file, store):
    server = Server(Settings(grpc_port=0, metrics_port=0, model_files=(model_file,), store=store))
    server.start()
    yield server
    server.stop(0.0)


@pytest.mark.usefixtures("is_quiet")
def test_over_a_real_port_nothing_is_a_bug_and_the_server_lives_on(target, server):
    codes = Counter()
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        calls = {name: channel.unary_unary(f"/{path}/{name}") for name, path in PATHS.items()}
        some = (case for case in cases(target.models, SEED + 1) if case.method in calls)
        for group in grouped(itertools.islice(some, PORT_COUNT)):
            sent = [calls[case.method].future(case.wire, timeout=20) for case in group]
            codes.update(call.code() for call in sent)
        health = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service=SERVICE), timeout=5
        )

    assert codes.total() == PORT_COUNT
    assert set(codes) <= {grpc.StatusCode.OK, *ALLOWED_CODES}
    assert codes[grpc.StatusCode.OK] > PORT_COUNT / 6
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    assert bugs(server) == 0


@pytest.mark.usefixtures("is_quiet")
def test_a_stream_goes_on_after_any_message(target, server):
    some = (case.wire for case in cases(target.models, SEED + 2) if case.method == "PredictStream")
    wires = list(itertools.islice(some, STREAM_COUNT))
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stream = channel.stream_stream(f"/{SERVICE}/PredictStream")
        answers = list(stream(iter(wires), timeout=60))

    assert len(answers) == STREAM_COUNT
    for wire, answer in zip(wires, answers, strict=True):
        check_answer("PredictStream", wire, answer)


def grouped(cases):
    """Yield so many cases at a time as are sent together."""
    while group := list(itertools.islice(cases, IN_FLIGHT)):
        yield group


def bugs(server):
    """Return how many calls of a server ended in INTERNAL or UNKNOWN."""
    names = ("grpc_server_handled_total",)
    found = (sample for family in server.registry.collect() for sample in family.samples)
    bad = (one for one in found if one.name in names)
    return sum(one.value for one in bad if one.labels["grpc_code"] in ("Internal", "Unknown"))
