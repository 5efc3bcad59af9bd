"""The status page in a real browser; pictures of it are left in out/status-page."""

import random
import re
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from prometheus_client import CollectorRegistry

from model.checkpoint import FOUNDATION_FILE, load
from model.document import changed
from model.last_evaluation import LastEvaluation
from service.metrics_port import HttpPort, metrics_page
from service.status import Status
from service.tally import MethodTally
from tests.service.snapshots import NOON, WARMING, Clock, harmed, measured

PICTURES = Path(__file__).resolve().parents[2] / "out" / "status-page"
WORDS = {
    "NOT_MEASURED": ("NOT MEASURED", "未測定"),
    "YES": ("YES", "はい"),
    "WATCH": ("WATCH", "要注意"),
    "NO": ("NO", "いいえ"),
}
STATES = {"NOT_MEASURED": [], "YES": [1.0], "WATCH": [1.7], "NO": [3.4]}

HURRY = """(begin => { window.setInterval = (look, ms) => begin(look, ms / 20) })(setInterval)"""

pytestmark = pytest.mark.slow


class Shown:
    """Six hours of a service that ends in one answer, behind a real port."""

    def __init__(self, artifacts, answer="YES", **options):
        self.clock, self.snapshots = Clock(), []
        self.tally = MethodTally("unary", "sonoba.v1.Predictor", "Predict")
        self.status = Status(
            lambda: self.snapshots, [self.tally], artifacts, clock=self.clock, **options
        )
        law = random.Random(0)
        for step in range(720 if answer != "NOT_MEASURED" else 5):
            share = min(1.0, max(0.0, (step - 560) / 60)) if STATES[answer] else 0.0
            quiet = 1.0 + 0.1 * law.random()
            self.snapshots = [self.at(quiet + share * (gate - 1)) for gate in STATES[answer]]
            self.serve(law.randrange(120, 150) if STATES[answer] else 0)
            self.status.trend.add()
            self.clock.now += 30
        self.serve(60 if STATES[answer] else 0)
        self.port = HttpPort("127.0.0.1", 0, metrics_page(CollectorRegistry(), self.status))
        self.url = f"http://127.0.0.1:{self.port.number}/"

    def at(self, gate):
        """Return a snapshot with its causes, where there is harm."""
        return harmed(gate) if gate > 1.5 else measured(gate)

    def serve(self, call_count):
        for place in range(call_count):
            self.tally.end(grpc.StatusCode.OK, 0.002 if place % 90 else 0.02, 1)


@pytest.fixture
def look(chromium):
    """Open a page; every complaint and every request of it is kept."""
    contexts = []

    def open_page(url, locale="en-US", width=1440, scheme="light", before=""):
        size = {"width": width, "height": 900}
        context = chromium.new_context(viewport=size, locale=locale, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.complaints, page.asked = [], []
        page.on("console", lambda said: page.complaints.append(said.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.add_init_script(before)
        page.goto(url)
        page.wait_for_selector("#word:not(:empty)")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def show(paper_file):
    shown = []

    def begin(answer="YES", **options):
        shown.append(Shown([load(paper_file), load(FOUNDATION_FILE)], answer, **options))
        return shown[-1]

    yield begin
    for one in shown:
        one.port.close()


@pytest.mark.parametrize("answer", STATES)
def test_the_answer_is_written_and_drawn_in_both_languages_at_every_width(show, look, answer):
    shown = show(answer)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for place, (language, locale) in enumerate([("en", "en-US"), ("ja", "ja-JP")]):
        for width in (375, 1440):
            page = look(shown.url, locale, width)
            page.screenshot(
                path=PICTURES / f"{answer.lower()}-{language}-{width}.png", full_page=True
            )

            assert page.inner_text("#word") == WORDS[answer][place]
            assert page.title() == f"{WORDS[answer][place]} · sonoba"
            assert page.get_attribute("html", "lang") == language
            assert page.locator("canvas").count() == 4
            assert page.locator("main svg g:visible").count() == 1  # a shape beside the colour
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.complaints == []
            assert {url for url in page.asked if not url.startswith((shown.url, "data:"))} == set()


def test_the_curve_is_drawn_in_ink(show, look):
    def coloured(answer):
        page = look(show(answer).url)
        return page.evaluate(
            """() => {
              const canvas = document.querySelector("#score-chart canvas");
              const { width, height } = canvas;
              const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
              let count = 0;
              for (let i = 0; i < pixels.length; i += 4)
                if (pixels[i + 3] > 200 && pixels[i + 2] - pixels[i] > 100) count += 1;
              return count;
            }"""
        )

    assert coloured("NOT_MEASURED") == 0
    assert coloured("YES") > 500  # pixels of the blue line


def test_without_traffic_nothing_is_claimed(show, look):
    shown = show("NOT_MEASURED")
    shown.snapshots = [replace(WARMING, prompt_count=0)]

    page = look(shown.url)
    assert page.inner_text("#word") == "NOT MEASURED"
    assert page.inner_text("#reason") == "No prompt has been seen since the start."
    assert page.locator("#facts dd").first.inner_text() == "–"
    label = page.get_attribute("#score-chart", "aria-label")
    assert label == "Harm score: no measurement yet"


def test_a_harmed_model_is_explained(show, look):
    page = look(show("NO", page_names=True).url)

    assert re.fullmatch(
        r"The error of model weather is at least 3\.\d times normal; the line is 2\.0\.",
        page.inner_text("#reason"),
    )
    assert "deploy/runbooks/SonobaErrorInflationCritical.md" in page.inner_text("#runbook")
    assert page.inner_text("#since").startswith("Since ")
    assert page.inner_text("#moved-note") == "Kind of change: correlation."
    row = page.locator("#moved tr").nth(1).inner_text()
    assert row.split("\t") == ["humidity", "+2.3", "50.10 ± 9.80", "71.20 ± 11.50", "64%"]
    assert "no. 2 (70%)" in page.inner_text("#directions")
    assert page.inner_text("#skipped") == (
        "Prompts left out of the statistics: too few examples 12, repeated 3."
    )


EVALUATED = LastEvaluation(
    evaluation_id="e1",
    time_seconds=NOON + 21_000,
    verdict="RECALIBRATE",
    reason="COVARIATE",
    action="PROMOTE",
    sentence={"en": "The spread of `humidity` changed.", "ja": "「humidity」が変化。"},
    report_url="http://127.0.0.1:9/reports/e1",
)


@pytest.mark.parametrize(("language", "locale"), [("en", "en-US"), ("ja", "ja-JP")])
def test_the_last_evaluation_is_told_with_a_link_to_its_report(show, look, language, locale):
    page = look(show("NO", last_evaluation=lambda _: EVALUATED).url, locale, 375)
    page.screenshot(path=PICTURES / f"evaluated-{language}-375.png", full_page=True)

    said = {
        "en": "the inputs, or how labels follow them, have changed.",
        "ja": "再調整（入力、",
    }
    assert said[language] in page.inner_text("#evaluated")
    assert "humidity" not in page.content()  # not shown unless that is set
    link = page.get_attribute("#evaluated a", "href")
    assert link == f"http://127.0.0.1:9/reports/e1?lang={language}"
    word = {"en": "Recalibrate", "ja": "再調整"}[language]
    assert page.locator("#facts div").last.locator("dd").last.inner_text() == word
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert page.complaints == []


@pytest.mark.parametrize("address", ["", "javascript:alert(1)", "data:text/html,x"])
def test_what_is_no_address_of_a_report_is_no_link(show, look, address):
    told = changed(EVALUATED, report_url=address)
    page = look(show("YES", last_evaluation=lambda _: told).url)

    assert page.is_visible("#evaluated")
    assert not page.is_visible("#evaluated a")
    assert page.get_attribute("#evaluated a", "href") is None


def test_without_an_evaluation_nothing_is_said_of_one(show, look):
    page = look(show("YES").url)

    assert not page.is_visible("#evaluated")
    assert "none yet" in page.inner_text("#facts")


def test_the_page_follows_the_service_and_says_when_it_cannot(show, look):
    shown = show("YES")
    page = look(shown.url, before=HURRY)  # it asks again and again as ever, but sooner
    shown.snapshots = [harmed()]
    page.wait_for_selector("#word:text-is('NO')")
    shown.snapshots = [measured(1.0)]
    page.wait_for_selector("#reason:has-text('calmed down')")
    kept = page.inner_text("#reason")
    shown.port.close()
    page.wait_for_selector("#stale")
    lost = page.inner_text("#stale")
    again = HttpPort(
        "127.0.0.1", shown.port.number, metrics_page(CollectorRegistry(), shown.status)
    )
    page.wait_for_selector("#stale", state="hidden")
    again.close()

    assert kept.endswith("30 more minutes of calm are needed.")
    assert lost.startswith("The server does not answer. What is shown is the state of ")


def test_the_whole_page_can_be_walked_with_the_keyboard(show, look):
    page = look(show("NO").url)
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent"))

    for name in ("English", "日本語", "foundation", "status.json", "metrics"):
        assert name in reached, name


def test_another_model_is_a_link_away_and_the_language_stays(show, look):
    shown = show("NO")
    shown.snapshots.append(replace(measured(1.0), model="foundation"))
    page = look(f"{shown.url}?lang=ja")

    page.click("#models a:text-is('foundation')")
    page.wait_for_selector("#models a[aria-current]:text-is('foundation')")
    assert page.inner_text("#word") == "いいえ"  # the answer is for all
    assert page.locator("#facts dd").first.inner_text() == "0.50"
    page.click("nav a:text-is('English')")
    page.wait_for_selector("#models a[aria-current]:text-is('foundation')")
    assert page.inner_text("#word") == "NO"


def test_every_text_is_there_in_both_languages_with_the_same_numbers(show, look):
    texts = look(show().url).evaluate("TEXTS")

    for key, pair in texts.items():
        assert len(pair) == 2, key
        english, japanese = (set(re.findall(r"\{\w+\}", words)) for words in pair)
        assert english == japanese, key
        assert all(words.strip() for words in pair), key
    kinds = ("kind_correlation", "skip_queue_full", "YES", "adviceNO", "NO_REFERENCE")
    assert set(kinds) <= set(texts)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_keeps_to_the_scheme_of_the_system(show, look, scheme):
    page = look(show("WATCH").url, scheme=scheme)
    page.screenshot(path=PICTURES / f"watch-en-{scheme}.png", full_page=True)

    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
    assert (brightness > 128) is (scheme == "light")
    assert page.complaints == []
