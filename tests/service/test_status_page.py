import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

import service
from model.checkpoint import FOUNDATION_FILE, load
from model.last_evaluation import LastEvaluation
from service.metrics_port import HttpPort, metrics_page
from service.status import Status
from service.status_page import SERVED, language
from tests.service.asking import COLUMNS
from tests.service.snapshots import NOON, WARMING, Clock, harmed, measured

PAGE = Path(service.__file__).with_name("page")
UPLOT = "uplot@1.6.32"
KEYS = {
    *("answer", "reason", "since", "now", "score", "lines", "model", "version", "kind"),
    *("time", "series", "models", "moved", "directions", "shift_kind", "signature"),
    *("skipped", "last_evaluation", "replicas"),
}


class Watched:
    """A status whose snapshots and clock are set by hand, behind a real port."""

    def __init__(self, paper_file, registry=None, **options):
        self.clock, self.snapshots = Clock(), []
        artifacts = [load(paper_file), load(FOUNDATION_FILE)]
        self.status = Status(lambda: self.snapshots, [], artifacts, clock=self.clock, **options)
        self.port = HttpPort(
            "127.0.0.1", 0, metrics_page(registry or CollectorRegistry(), self.status)
        )

    def ask(self, path, method="GET", **headers):
        connection = HTTPConnection("127.0.0.1", self.port.number, timeout=10)
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        body = reply.read().decode()
        connection.close()
        return reply, body

    def report(self, query=""):
        return json.loads(self.ask(f"/status.json{query}")[1])

    def answer(self, *snapshots, after_seconds=0.0):
        self.clock.now += after_seconds
        self.snapshots = list(snapshots)
        return self.report()["answer"]


@pytest.fixture
def start(paper_file):
    started = []

    def begin(**options):
        started.append(Watched(paper_file, **options))
        return started[-1]

    yield begin
    for one in started:
        one.port.close()


@pytest.fixture
def watched(start):
    return start()


@pytest.mark.parametrize("path", ["/", "/status.json", *(f"/{name}" for name in SERVED)])
def test_every_answer_forbids_what_is_not_ours(watched, path):
    reply, body = watched.ask(path)

    assert reply.status == 200
    assert body
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    expected = "no-store" if path == "/status.json" else "no-cache"
    assert reply.headers["Cache-Control"] == expected


def test_metrics_are_answered_beside_the_page(start):
    registry = CollectorRegistry()
    Counter("sonoba_test", "A test.", registry=registry).inc()

    reply, body = start(registry=registry).ask("/metrics")

    assert reply.status == 200
    assert "sonoba_test_total 1.0" in body


@pytest.mark.parametrize(
    "path", ["/index.html", "/page", "/page/page.js", "/..%2fserver.py", "/status.json/"]
)
def test_anything_else_is_not_found(watched, path):
    assert watched.ask(path)[0].status == 404


@pytest.mark.parametrize("path", ["/", "/status.json", "/metrics", "/page.js"])
@pytest.mark.parametrize("method", ["POST", "HEAD", "DELETE", "OPTIONS"])
def test_nothing_but_get_is_allowed(watched, path, method):
    reply, _ = watched.ask(path, method)

    assert reply.status == 405
    assert reply.headers["Allow"] == "GET"


def test_without_a_status_the_port_answers_scrapes_only():
    port = HttpPort("127.0.0.1", 0, metrics_page(CollectorRegistry()))
    answers = {}
    for path in ("/metrics", "/", "/status.json", "/page.js"):
        connection = HTTPConnection("127.0.0.1", port.number, timeout=10)
        connection.request("GET", path)
        answers[path] = connection.getresponse().status
        connection.close()
    port.close()

    assert answers == {"/metrics": 200, "/": 404, "/status.json": 404, "/page.js": 404}


@pytest.mark.parametrize(
    ("path", "wanted", "expected"),
    [
        ("/", "", "en"),
        ("/", "ja,en-US;q=0.9,en;q=0.8", "ja"),
        ("/", "en-GB,ja;q=0.5", "en"),
        ("/", "fr,de", "en"),
        ("/?lang=ja", "en", "ja"),
        ("/?lang=en", "ja", "en"),
        ("/?lang=xx", "ja", "ja"),
    ],
)
def test_the_page_speaks_the_language_asked_for(watched, path, wanted, expected):
    reply, body = watched.ask(path, **{"Accept-Language": wanted})

    assert f'<html lang="{expected}">' in body
    assert reply.headers["Content-Language"] == expected
    assert reply.headers["Vary"] == "Accept-Language"


def test_a_broken_header_is_a_language_too():
    assert language("ja;q=much,;;=,en;q=") == "en"


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere():
    own = {name: (PAGE / name).read_text(encoding="utf-8") for name in ("index.html", *SERVED[:2])}

    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", own["index.html"])
    assert [name for name, source in own.items() if re.search(r"https?:|[\"']//", source)] == []


def test_the_page_is_small_and_every_file_of_it_is_served():
    files = {path.name: path.stat().st_size for path in PAGE.iterdir()}

    assert set(files) == {"index.html", *SERVED}
    assert sum(files.values()) <= 90 * 1024


def luminance(colour):
    """Relative luminance of #rgb or #rrggbb (WCAG 2.2)."""
    digits = colour.removeprefix("#")
    pairs = [d * 2 for d in digits] if len(digits) == 3 else re.findall("..", digits)
    shares = [int(pair, 16) / 255 for pair in pairs]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_has_contrast_enough(scheme):
    style = (PAGE / "page.css").read_text(encoding="utf-8")
    colours = dict(
        re.findall(r"--(\w+): (#\w+)", re.findall(r":root \{(.*?)\}", style, re.S)[scheme])
    )
    texts = ["ink", "quiet", "accent", "yes", "watch", "no", "none", "first", "second", "third"]

    for ground in ("card", "paper"):
        for text in texts:
            low, high = sorted(luminance(colours[name]) for name in (ground, text))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


@pytest.mark.slow
def test_the_charts_are_the_packages_own(tmp_path):
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    command = ["npm", "pack", UPLOT, "--silent", "--pack-destination", str(tmp_path)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    if ran.returncode:
        pytest.skip(f"npm could not fetch {UPLOT}: {ran.stderr[-300:]}")
    names = {"dist/uPlot.iife.min.js": SERVED[2], "dist/uPlot.min.css": SERVED[3]}
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as package:
        theirs = {
            ours: hashlib.sha256(package.extractfile(f"package/{name}").read()).hexdigest()
            for name, ours in {**names, "LICENSE": "uPlot.LICENSE"}.items()
        }

    ours = {name: hashlib.sha256((PAGE / name).read_bytes()).hexdigest() for name in theirs}
    assert ours == theirs


def test_the_report_keeps_its_contract(watched):
    watched.snapshots = [harmed()]
    for _ in range(3):
        watched.status.trend.add()
        watched.clock.now += 30

    report = watched.report()

    assert set(report) == KEYS
    assert report["reason"] == {
        **{"code": "HARM_CRITICAL", "model": "weather", "value": 3.4, "limit": 2.0, "leave": 1.25},
        **{"clears_in_seconds": None, "prompts": 100, "runbook": "SonobaErrorInflationCritical"},
    }
    assert report["lines"] == {"critical": 1.0, "major": 0.75, "warning": 0.625}
    assert report["time"] == [NOON, NOON + 30, NOON + 60, NOON + 90]  # the last one is now
    series = report["series"]
    assert set(series) == {
        *("score", "predicted_error", "leave_one_out", "ridge"),
        *("calls_per_second", "p99_seconds"),
    }
    assert {len(values) for values in series.values()} == {4}
    assert series["score"] == [1.7] * 4  # half the gate
    assert series["predicted_error"] == [3.74] * 4
    assert series["leave_one_out"] == [2.924] * 4
    assert series["ridge"] == [1.04] * 4
    assert series["p99_seconds"] == [None] * 4
    assert (report["model"], report["kind"], report["score"]) == ("weather", "paper", 1.7)
    assert report["directions"] == [
        {"place": 1, "harm_share": 0.7},
        {"place": 2, "harm_share": 0.25},
        {"place": 0, "harm_share": 0.05},
    ]
    assert report["shift_kind"] == "correlation"
    assert report["skipped"] == {"queue_full": 0, "few_examples": 12, "duplicate": 3}
    assert (report["last_evaluation"], report["replicas"]) == (None, 1)


EVALUATED = LastEvaluation(
    evaluation_id="e1",
    time_seconds=NOON - 600.4,
    verdict="RECALIBRATE",
    reason="COVARIATE",
    action="PROMOTE",
    sentence={"en": "The spread of `salary` changed.", "ja": "「salary」が変化。"},
    report_url="https://reports.example.com/reports/e1",
)


def test_the_last_evaluation_is_told_without_names_of_features(start):
    asked = {"weather": EVALUATED}
    watched = start(last_evaluation=asked.get)
    watched.snapshots = [harmed()]

    told = watched.report()["last_evaluation"]

    assert told == {
        "time": NOON - 600,
        "evaluation_id": "e1",
        "verdict": "RECALIBRATE",
        "reason": "COVARIATE",
        "action": "PROMOTE",
        "words": {"en": "Recalibrate", "ja": "再調整"},
        "sentence": {
            "en": "Recalibrate: the inputs, or how labels follow them, have changed.",
            "ja": "再調整（入力、または入力とラベルの関係が変わった）。",
        },
        "report_url": "https://reports.example.com/reports/e1",
    }
    assert watched.report("?model=foundation")["last_evaluation"] is None


def test_with_names_the_evaluation_says_its_own_sentence(start):
    watched = start(last_evaluation=lambda _: EVALUATED, page_names=True)

    assert watched.report()["last_evaluation"]["sentence"] == EVALUATED.sentence


def test_every_model_is_listed_with_how_far_its_monitor_is(watched):
    watched.snapshots = [WARMING]

    listed = watched.report()["models"]

    assert [(one["model"], one["kind"], one["state"], one["prompts"]) for one in listed] == [
        ("weather", "paper", "WARMING", 40),
        ("foundation", "foundation", "UNWATCHED", 0),
    ]
    watched.snapshots = [measured(1.0)]
    assert watched.report()["models"][0]["state"] == "WATCHING"


def test_names_and_values_of_columns_are_shown_only_when_that_is_set(start):
    hidden, shown = start(), start(page_names=True)
    hidden.snapshots = shown.snapshots = [harmed()]

    assert hidden.report()["moved"][0] == {
        **{"place": 1, "name": None, "score": 2.3, "harm_share": 0.64}
    }
    assert not any(name in hidden.ask("/status.json")[1] for name in (*COLUMNS, "71.2", "50.1"))
    assert shown.report()["moved"][0] == {
        **{"place": 1, "name": COLUMNS[1], "score": 2.3, "harm_share": 0.64},
        **{"mean": 71.2, "deviation": 11.5, "reference_mean": 50.1, "reference_deviation": 9.8},
    }


def test_the_details_are_those_of_the_worst_model_or_of_the_one_asked_for(watched):
    watched.snapshots = [measured(1.0), replace(harmed(), model="foundation")]

    worst, asked = watched.report(), watched.report("?model=weather")

    assert (worst["model"], worst["answer"], worst["score"]) == ("foundation", "NO", 1.7)
    assert (asked["model"], asked["answer"], asked["score"]) == ("weather", "NO", 0.5)
    assert watched.ask("/status.json?model=unknown")[0].status == 404
