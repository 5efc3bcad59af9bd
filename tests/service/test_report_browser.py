"""Reports in a real browser, as an owner opens them; pictures are left in out/reports."""

import re
from pathlib import Path

import pytest

from service.report import write
from service.report_page import list_page, page
from tests.service.reports import ALL, promoted
from tests.service.test_report_access import Reports

pytestmark = pytest.mark.slow

PICTURES = Path(__file__).resolve().parents[2] / "out" / "reports"
TRUST = {
    "recalibrate-promoted": ("YES", "はい"),
    "tell-business-noise": ("NO", "いいえ"),
    "keep": ("YES", "はい"),
    "fall-back-proposed": ("NO", "いいえ"),
    "failed": ("NOT MEASURED", "未測定"),
    "shadowing": ("NO", "いいえ"),
    "taken-back": ("NO", "いいえ"),
}


@pytest.fixture
def look(chromium):
    """Open an address; every complaint and every request of the page is kept."""
    contexts = []

    def open_page(url, width=1280, scheme="light", **options):
        size = {"width": width, "height": 900}
        options |= {"viewport": size, "color_scheme": scheme}
        contexts.append(chromium.new_context(**options))
        opened = contexts[-1].new_page()
        opened.complaints, opened.asked = [], []
        opened.on("console", lambda said: opened.complaints.append(said.text))
        opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.on("request", lambda request: opened.asked.append(request.url))
        opened.goto(url)
        return opened

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def pictures():
    PICTURES.mkdir(parents=True, exist_ok=True)
    return PICTURES


@pytest.fixture
def saved(tmp_path):
    """Write a page as somebody saves it, and return its address."""

    def save(text):
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        return (tmp_path / "page.html").as_uri()

    return save


def visible(opened, selector):
    return opened.locator(f"{selector}:visible")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_saved_report_is_read_in_its_language_at_every_width(
    look, saved, pictures, name, language
):
    address = saved(page(ALL[name](), language))
    for width in (375, 1280):
        opened = look(address, width, java_script_enabled=False)
        opened.screenshot(path=pictures / f"{name}-{language}-{width}.png", full_page=True)

        assert visible(opened, "main").count() == 1
        assert visible(opened, ".lamp b").inner_text() == TRUST[name][language == "ja"]
        assert visible(opened, ".lamp svg").count() == 1  # a shape beside the colour
        assert opened.asked == [address, "data:,"][: len(opened.asked)]
        assert opened.complaints == []
    opened = look(address)
    assert opened.evaluate("document.documentElement.scrollWidth") <= 1280
    opened.set_viewport_size({"width": 375, "height": 900})
    assert opened.evaluate("document.documentElement.scrollWidth") <= 375


def test_the_language_is_changed_without_a_script(look, saved):
    opened = look(saved(page(promoted())), java_script_enabled=False)
    before = visible(opened, "h1").inner_text()

    opened.click("label[for=ja]")

    assert re.search("[ぁ-ん]", visible(opened, "h1").inner_text())
    opened.keyboard.press("ArrowLeft")  # the two are radio buttons
    assert visible(opened, "h1").inner_text() == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_keeps_to_the_scheme_of_the_system(look, saved, pictures, scheme):
    opened = look(saved(page(promoted())), scheme=scheme)
    opened.screenshot(path=pictures / f"recalibrate-promoted-en-{scheme}.png", full_page=True)

    style = "e => getComputedStyle(e)"
    ground = brightness(opened.evaluate(f"({style})(document.body).backgroundColor"))
    ink = brightness(visible(opened, ".plot .name").first.evaluate(f"e => ({style})(e).fill"))
    assert (ground > 128) is (scheme == "light")
    assert abs(ground - ink) > 120


def brightness(colour):
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def test_words_of_a_picture_do_not_lie_on_each_other(look, saved):
    for width in (375, 1280):
        for name in ("recalibrate-promoted", "fall-back-proposed"):
            opened = look(saved(page(ALL[name]())), width)
            overlaps = opened.evaluate(
                """() => [...document.querySelectorAll(".plot")].flatMap((plot) => {
                  const boxes = [...plot.querySelectorAll("text")]
                    .map((text) => [text.textContent, text.getBoundingClientRect()])
                    .filter(([, box]) => box.width);
                  const frame = plot.getBoundingClientRect();
                  const outside = boxes.filter(
                    ([, b]) => b.left < frame.left - 1 || b.right > frame.right + 1);
                  const crossed = boxes.flatMap(([one, a], place) =>
                    boxes.slice(place + 1)
                      .filter(([, b]) => a.left < b.right && b.left < a.right &&
                        a.top + 2 < b.bottom && b.top + 2 < a.bottom)
                      .map(([other]) => `${one} × ${other}`));
                  return [...crossed, ...outside.map(([words]) => `outside: ${words}`)];
                })"""
            )
            assert overlaps == []


def test_a_report_fits_on_paper_in_ink_on_white(look, saved, tmp_path, pictures):
    made = promoted()
    for language in ("en", "ja"):
        opened = look(saved(page(made, language)), scheme="dark")
        paper = pictures / f"recalibrate-promoted-{language}.pdf"
        opened.pdf(path=paper, prefer_css_page_size=True, print_background=True)
        raw = paper.read_bytes()

        width, height = map(float, re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", raw).groups())
        assert (round(width), round(height)) == (595, 842)  # A4, points
        assert 2 <= len(re.findall(rb"/Type /Page\b", raw)) <= 6
    opened.emulate_media(media="print")
    assert (
        opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    )
    words = visible(opened, ".plot .name").first.evaluate("e => getComputedStyle(e).fill")
    assert brightness(words) < 80


def test_a_reader_goes_from_the_list_to_a_report_and_its_json(look, tmp_path, pictures):
    served = Reports(tmp_path)
    try:
        for number, make in enumerate(ALL.values()):
            write(make(evaluation=f"e{number}"), served.folder)
        at = f"http://127.0.0.1:{served.server.server_port}/reports"
        known = {"username": "mori", "password": "of-the-operators-here"}
        opened = look(at, locale="ja-JP", http_credentials=known)
        opened.screenshot(path=pictures / "list-ja.png", full_page=True)

        opened.click("a[href*=e0]")
        assert visible(opened, ".lamp b").inner_text() == "はい"
        opened.click("a:visible[href$='.json']")
        assert opened.url == f"{at}/e0.json"
        opened.goto(f"{at}/latest?model=bikes")
        assert re.search(r"/reports/e\d$", opened.url)
        refused = [said for said in opened.complaints if "401" not in said]
        assert refused == []  # the style is allowed, and there is no script
        assert {line[:2] for line in served.audited()} == {
            ("mori", "report.listed"),
            ("mori", "report.read"),
        }
    finally:
        served.close()


def test_an_empty_list_is_a_page_too(look, saved):
    assert visible(look(saved(list_page([]))), "p.note").inner_text() == "No report is kept."
