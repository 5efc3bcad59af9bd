"""Log lines: every kind provoked on real processes, each held against the documented table."""

import io
import json
import logging
import re
import socket
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import numpy as np
import pytest

from model.store import Store
from service import core, logs
from service.call import Call
from service.call_log import CallLog, Wanted
from service.callers_file import line_of
from service.logs import ConsoleLines, JsonLines
from service.pace import LINES_A_SECOND, Pace
from sonoba.v1 import predictor_pb2 as pb
from tests.security.certificates import Authority
from tests.service.asking import asking
from tests.service.telling import Told, telling
from tests.service.test_batch import batch
from tests.service.watched import NAME, drafted, provisional, unwatched, wait

pytestmark = pytest.mark.slow  # seconds, all together

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "observability.md"
X = np.random.default_rng(1).normal(size=(16, 5))
Y = X.sum(1)
PLANTED = 48151.623421
NAMES = [f"planted_{letter}" for letter in "abcde"]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
METADATA = (
    ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"),
    ("authorization", "Bearer planted-token"),
    ("x-sonoba-tenant", "planted-tenant"),
)
TYPES = {"shape": dict, "listening": dict, "duration_seconds": float, "suppressed_count": int}
METHOD = "sonoba.v1.Predictor/Predict"


def documented(heading):
    """Return the first cells of the table whose head begins with a word."""
    table = DOCUMENT.read_text().partition(f"| {heading} | ")[2].partition("\n\n")[0]
    return [name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", cell(line))]


def cell(line):
    return line.split("|")[1]


FIELDS, EVENTS = documented("field"), documented("event")


def check(line):
    """Hold one line against the documented table; return it as an object."""
    found = json.loads(line)
    assert list(found) == [name for name in FIELDS if name in found]  # known, and in order
    assert found.keys() >= {"time", "level", "logger", "message", "event"}
    for name, value in found.items():
        assert isinstance(value, TYPES.get(name, str)), (name, value)
        assert value not in ("", {}), name
    assert datetime.now(UTC) - datetime.fromisoformat(found["time"]) < timedelta(minutes=5)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["time"])
    assert found["event"] in EVENTS
    assert "planted" not in line and "48151" not in line
    return found


def prompt(**fields):
    x, y = X.copy(), Y.copy()
    x[0, 0], y[1] = PLANTED, PLANTED
    return asking(x, y, X[:2], columns=NAMES, group_id="planted_group", **fields)


def refused(stub, request):
    with pytest.raises(grpc.RpcError):
        stub.Predict(request, metadata=METADATA)


def test_the_table_has_every_field():
    assert list(logs.FIELDS) == FIELDS


@pytest.fixture(scope="module")
def said():
    """Every line of a server from start to stop: it answered, refused, was slow, was flooded."""
    environ = {"SONOBA_SLOW_CALL_SECONDS": "0.02", "SONOBA_LOG_CALLS_SHARE": "1"}
    with telling(**environ) as told:
        told.stub.Predict(prompt(request_id="r-ok"), metadata=METADATA)
        large = np.random.default_rng(0).normal(size=(3000, 200))
        told.stub.Predict(asking(large, large[:, 0], large[:1], request_id="r-slow"))
        wrong = pb.PredictRequest()
        wrong.CopyFrom(prompt(request_id="r-shape"))
        wrong.examples.labels.raw += bytes(8)
        refused(told.stub, wrong)
        refused(told.stub, asking(X, Y, X[:1], columns=[*NAMES[1:], NAMES[1]]))
        refused(told.stub, asking(X * np.inf, Y, X[:1], columns=NAMES))
        refused(told.stub, asking(X, Y, X[:1], model="planted-model"))
        told.channel.unary_unary(f"/{METHOD}").future(b"\xff\xff planted").exception()
        stacked = [np.stack([one] * 3) for one in (X, Y, X[:1])]
        told.stub.PredictBatch(batch(*stacked), metadata=METADATA)
        requests = [pb.PredictStreamRequest(sequence=n, request=wrong) for n in range(2)]
        list(told.stub.PredictStream(iter(requests), metadata=METADATA))
        told.wait_for("suppressed") if flood(told) else None
        told.status = told.stop()
        yield told


def flood(told):
    for _ in range(50):
        refused(told.stub, asking(X[:2], Y[:2], X[:1], request_id="r-flood"))
    return True


def test_every_line_is_json_of_the_documented_fields_and_has_nothing_of_a_prompt(said):
    events = Counter(check(line)["event"] for line in said.lines)

    assert said.status == 0
    assert events.keys() == {*("start", "call", "slow", "refused", "suppressed", "drain", "stop")}
    assert events["start"] == events["drain"] == events["stop"] == 1


def about(told, request_id):
    (found,) = [one for one in told.records() if one.get("request_id") == request_id]
    return found


def test_a_line_about_a_call_says_what_how_large_and_how_long(said):
    answered, slow = about(said, "r-ok"), about(said, "r-slow")

    assert (answered["event"], answered["code"], answered["method"]) == ("call", "OK", METHOD)
    assert answered["shape"] == {"example_count": 16, "feature_count": 5, "query_count": 2}
    assert (answered["model"], answered["trace_id"]) == ("foundation", TRACE)
    assert slow["event"] == "slow" and slow["level"] == "WARNING"
    assert 0.02 <= slow["duration_seconds"] < 10
    batches = [one for one in said.records("call") if one["method"].endswith("/PredictBatch")]
    assert batches[0]["shape"]["prompt_count"] == 3


def test_a_refusal_has_its_reason_and_its_shape_and_not_its_sentence(said):
    shape = [one for one in said.records("refused") if one["reason"] == "BAD_SHAPE"]

    assert [one["method"].rpartition("/")[2] for one in shape] == [
        *("Predict", "PredictStream", "PredictStream"),
    ]
    assert {one["request_id"] for one in shape} == {"r-shape"}
    assert {one["trace_id"] for one in shape} == {TRACE}
    assert all(one["shape"]["feature_count"] == 5 for one in shape)
    assert shape[0]["message"] == f"{METHOD}: BAD_SHAPE" and shape[0]["level"] == "INFO"
    others = {one["reason"]: one for one in said.records("refused")}
    assert {"MALFORMED_REQUEST", "SCHEMA_MISMATCH", "NOT_FINITE"} <= others.keys()
    assert "model" not in others["MODEL_NOT_FOUND"]  # what is not served is not repeated
    assert "shape" not in others["MALFORMED_REQUEST"]


def test_a_flood_is_ten_lines_a_second_and_the_number_of_the_others(said):
    flooded = [one for one in said.records() if one.get("request_id") == "r-flood"]
    left_out = said.records("suppressed")

    assert all(one["reason"] == "TOO_FEW_EXAMPLES" for one in left_out)
    assert len(flooded) + sum(one["suppressed_count"] for one in left_out) == 50
    assert LINES_A_SECOND <= len(flooded) < 50


def test_what_is_left_out_is_counted(serving):
    started = serving()
    flood(started)
    name, labels = "sonoba_log_lines_suppressed_total", {"reason": "TOO_FEW_EXAMPLES"}

    assert 0 < started.server.registry.get_sample_value(name, labels) <= 40


def test_a_tenant_is_named_only_where_that_is_asked_for(tmp_path):
    environ = {"SONOBA_LOG_CALLS_SHARE": "1", "SONOBA_RESERVOIR_TENANTS": "*"}
    request, metadata = asking(X, Y, X[:1]), (("x-sonoba-tenant", "shop-7"),)
    found = []
    for wanted in ("0", "1"):
        with telling(SONOBA_LOG_TENANTS=wanted, **environ) as told:
            told.stub.Predict(request, metadata=metadata)
            found += [one.get("tenant") for one in told.wait_for("call")]

    assert found == [None, "shop-7"]


def test_a_version_that_comes_into_force_and_one_that_cannot_are_said(tmp_path):
    store = Store(tmp_path / "store")
    damaged = store.save(*drafted())
    store.save(*drafted(found=unwatched()))
    path = store.folder / NAME / "versions" / damaged / "weights.npz"
    path.write_bytes(path.read_bytes()[:-1])
    environ = {"SONOBA_STORE": str(store.folder), "SONOBA_STORE_POLL_SECONDS": "0.1"}
    with telling(**environ) as told:
        store.promote(NAME, damaged)
        (refusal,) = told.wait_for("version_refused")
        good = store.save(*drafted(found=provisional()))
        (swap,) = told.wait_for("swap")
    for line in told.lines:
        check(line)

    assert (refusal["model"], refusal["version"], refusal["level"]) == (NAME, damaged, "WARNING")
    assert (swap["model"], swap["version"], swap["level"]) == (NAME, good, "INFO")


def test_a_reevaluator_logs_the_same_lines(tmp_path):
    environ = {"SONOBA_STORE": str(tmp_path / "store"), "SONOBA_REPLICAS": "127.0.0.1:1"}
    (tmp_path / "store").mkdir()
    for name in ("ADMIN", "WEBHOOK"):
        path = tmp_path / name
        path.write_text("planted-token-of-this-test\n")
        path.chmod(0o600)
        environ[f"SONOBA_{name}_TOKEN_FILE"] = str(path)
    environ |= {f"SONOBA_{name}_PORT": "0" for name in ("ADMIN", "WEBHOOK", "METRICS")}
    told = Told(["reevaluator"], environ)
    with grpc.insecure_channel(told.listening["operations"]) as channel:
        error = channel.unary_unary("/sonoba.v1.Operations/EvaluateModel").future(b"").exception()
    told.wait_for("refused")

    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert told.stop() == 0
    events = [one["event"] for one in map(check, told.lines) if one["event"] != "note"]
    assert events == ["start", "refused", "drain", "stop"]
    assert told.records("refused")[0]["method"] == "sonoba.v1.Operations/EvaluateModel"


def test_each_line_of_several_workers_says_whose_it_is():
    with telling(SONOBA_WORKERS="2", SONOBA_LOG_CALLS_SHARE="1") as told:
        told.stub.Predict(prompt(), metadata=METADATA)
        (call,) = told.wait_for("call")
        assert told.stop() == 0
    records = list(map(check, told.lines))

    assert call["worker"] in ("0", "1") and call["trace_id"] == TRACE
    assert {one["worker"] for one in records if one["event"] == "stop"} >= {"0", "1"}
    assert [one["worker"] for one in records if one["event"] == "start"] == ["supervisor"]


def test_a_call_refused_at_arrival_is_a_line_with_the_trace_of_its_caller(tmp_path):
    path = tmp_path / "callers"
    path.write_text(line_of("secret-of-the-shop-planted", "shop-7", "predict", "never") + "\n")
    path.chmod(0o600)
    with telling(SONOBA_CALLERS_FILE=str(path)) as told:
        refused(told.stub, prompt())
        (line,) = told.wait_for("refused")
    for one in told.lines:
        check(one)

    assert (line["reason"], line["code"]) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
    assert (line["method"], line["trace_id"]) == (METHOD, TRACE)
    assert "request_id" not in line and "model" not in line


def test_who_does_not_speak_tls_leaves_no_line(tmp_path):
    """Left to itself gRPC's core writes one, in a form of its own, for each of them."""
    files = Authority(tmp_path / "authority").server()
    environ = {f"SONOBA_{name.upper()}": str(path) for name, path in files.settings.items()}
    with telling(**environ) as told:
        host, port = told.listening["predictions"].rsplit(":", 1)
        for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01planted" * 40):
            with socket.create_connection((host, int(port)), timeout=5) as stranger:
                stranger.sendall(junk)
                stranger.recv(100)
        told.stop()

    assert [check(line)["event"] for line in told.lines] == ["start", "drain", "stop"]


@contextmanager
def lines(formatter):
    """Let the lines of the process at hand be read as they are formatted."""
    handler, logger = logging.StreamHandler(io.StringIO()), logging.getLogger("sonoba")
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield lambda: handler.stream.getvalue().splitlines()
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def test_a_bug_is_told_by_its_place_and_not_by_its_words(serving, monkeypatch):
    def broken(*_):
        raise ValueError(f"could not convert {NAMES[0]} = {PLANTED}")

    def around(*_):
        try:
            broken()
        except ValueError as error:
            raise KeyError(NAMES[1]) from error

    monkeypatch.setattr(core.codec, "prompt", around)
    with lines(JsonLines()) as read:
        refused(serving().stub, prompt(request_id="r-bug"))
        (found,) = map(check, read())

    assert (found["event"], found["level"], found["reason"]) == ("bug", "ERROR", "INTERNAL")
    assert found["message"] == f"bug in {METHOD}, request r-bug"
    assert re.search(r"broken\n.*\nValueError\n.*around\n.*\nKeyError", found["exception"], re.S)


CRASH = """
import threading, warnings, logging
from service.logs import configure
configure("json", "info", worker="3")
warnings.warn("a library's warning")
logging.getLogger("library").error("planted %s", "x")
thread = threading.Thread(target=lambda: {}["planted_a"], name="a-thread")
thread.start(); thread.join()
raise ValueError("planted_b")
"""


def test_what_nobody_caught_and_what_libraries_say_are_lines_too():
    done = subprocess.run([sys.executable, "-c", CRASH], capture_output=True, text=True)

    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1 and done.stdout == ""
    assert [one["logger"] for one in found] == ["py.warnings", "library", "sonoba", "sonoba"]
    assert {one["worker"] for one in found} == {"3"}
    assert [one["message"] for one in found[2:]] == [
        "the thread a-thread ended by an error",
        "the process ended by an error",
    ]
    assert found[2]["event"] == found[3]["event"] == "crash"
    assert "planted" not in found[2]["exception"] + found[3]["exception"]


def test_text_stays_on_its_line_whatever_is_in_it():
    with lines(ConsoleLines("2")) as read:
        told = {"event": "refused", "reason": "BAD\nSHAPE", "shape": {"example_count": 3}}
        logging.getLogger("sonoba").error("a\x1b[31m message\nwith %s", "more", extra=told)
        (line,) = read()

    assert line.split("Z ", 1)[1] == (
        r"ERROR   a\x1b[31m message\nwith more  event=refused worker=2 reason=BAD\nSHAPE "
        "shape=example_count:3"
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("form", "stream", "chosen"),
    [
        ("auto", io.StringIO, "json"),
        ("auto", Terminal, "console"),
        ("json", Terminal, "json"),
        ("console", io.StringIO, "console"),
    ],
)
def test_who_reads_decides_the_form_unless_a_setting_does(form, stream, chosen):
    code = (
        "import io, json, logging\nfrom service.logs import configure\n"
        f"class T(io.StringIO):\n    isatty = lambda self: {stream is Terminal}\n"
        f"t = T()\nprint(configure({form!r}, 'warning', stream=t))\n"
        "logging.getLogger('sonoba').info('no')\nlogging.getLogger('sonoba').warning('yes')\n"
        "print(t.getvalue(), end='')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    kind, line = done.stdout.splitlines()
    assert kind == chosen
    assert "yes" in line and line.startswith("{") is (chosen == "json")


def test_a_kind_of_lines_has_its_pace_and_another_has_its_own():
    now = [100.0]
    pace = Pace(2, lambda: now[0])
    with lines(JsonLines()) as read:
        first = [pace.lets("A") for _ in range(5)], pace.lets("B")
        now[0] += 1.0
        second = [pace.lets("A") for _ in range(3)]
        pace.say()
        pace.say()
        said = [json.loads(line) for line in read()]

    assert first == ([True, True, False, False, False], True)
    assert second == [True, True, False]
    assert [(one["reason"], one["suppressed_count"]) for one in said] == [("A", 4)]
    assert pace.counts() == {"A": 4}


def test_what_was_left_out_is_said_within_a_second_without_another_line():
    pace = Pace(1)
    with lines(JsonLines()) as read:
        assert [pace.lets("A") for _ in range(3)] == [True, False, False]
        wait(read, 3)
        assert json.loads(read()[0])["suppressed_count"] == 2


def test_a_share_of_the_calls_is_logged_by_chance():
    log, call = CallLog(METHOD, Wanted(share=0.2)), Call(1.0)
    with lines(JsonLines()) as read:
        for _ in range(1000):
            log.answered(call, b"", None, 0.001)
        count = len(read())

    assert 130 < count < 280  # 200, within six standard deviations
    assert CallLog(METHOD, Wanted(slow_seconds=0.25)).least_seconds == 0.25
    assert CallLog(METHOD, Wanted()).least_seconds == float("inf")
