"""The report in a real browser, as an owner opens and prints it; pictures are in out/assess."""

import re
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from service.assess.page import page
from tests.assess import findings_made as made

pytestmark = pytest.mark.slow

PICTURES = Path(__file__).resolve().parents[2] / "out" / "assess"
WORDS = {"go": ("GO", "導入可"), "pilot": ("PILOT", "試験導入"), "no-go": ("NO-GO", "見送り")}
PAPER = 688, 1017  # pixels of A4 within its margins of 14 and 13 mm
LONG = "売上高前年同月比較用調整済み在庫回転率_adjusted_inventory_turnover"


@pytest.fixture
def look(chromium, tmp_path):
    """Open a page as somebody saved it; every complaint and every request of it is kept."""
    contexts = []

    def open_page(text, width=1280, scheme="light", **options):
        (tmp_path / "report.html").write_text(text, encoding="utf-8")
        size = {"width": width, "height": 900}
        contexts.append(chromium.new_context(viewport=size, color_scheme=scheme, **options))
        opened = contexts[-1].new_page()
        opened.complaints, opened.asked = [], []
        opened.on("console", lambda said: opened.complaints.append(said.text))
        opened.on("request", lambda request: opened.asked.append(request.url))
        opened.goto((tmp_path / "report.html").as_uri())
        return opened

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def shown():
    PICTURES.mkdir(parents=True, exist_ok=True)
    return {
        (choice, language): page(made.assessment(choice), language)
        for choice, language in (("go", "en"), ("pilot", "ja"), ("no-go", "en"))
    }


@pytest.fixture(scope="module")
def crowded():
    """Return the page, in Japanese, of 60 columns with long names, 300 groups and many faults."""
    one, _, category, _ = made.columns()
    columns = [replace(one, name=f"{LONG}_{n}", features=(f"{LONG}_{n}",)) for n in range(60)]
    worst = [made.worst(LONG, 2.1), made.worst(f"{LONG}2", 2.05), made.worst("x", 2.0)]
    changes = [made.change(code, 0.5, 1.4, columns=(LONG,)) for code in ("missing", "wrong_unit")]
    changes += [made.change("mean", x, 1.0) for x in (0.5, 1.0, 2.0)]
    whole = made.assessment("pilot")
    whole = replace(
        whole,
        offer=made.offer(
            columns=(*columns, category),
            quality=tuple(made.fault(columns=(c.name,)) for c in columns[:20]),
        ),
        stability=made.stability(
            group_errors=tuple(0.2 + 0.001 * n for n in range(300)), worst=tuple(worst)
        ),
        conditions=made.conditions(changes=tuple(changes)),
    )
    return page(whole, "ja")


def visible(opened, selector):
    return opened.locator(f"{selector}:visible")


def overflow(opened):
    """Return by how many pixels the page is wider than its window."""
    return opened.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def misplaced(opened):
    """Return words of pictures that lie on each other or outside their frame."""
    return opened.evaluate(
        """() => [...document.querySelectorAll("svg.drawn")].flatMap((plot) => {
          const boxes = [...plot.querySelectorAll("text")]
            .map((text) => [text.textContent, text.getBoundingClientRect()])
            .filter(([, box]) => box.width);
          const frame = plot.getBoundingClientRect();
          const outside = boxes.filter(([, b]) => b.left < frame.left - 1 ||
            b.right > frame.right + 1 || b.top < frame.top - 4 || b.bottom > frame.bottom + 4);
          const crossed = boxes.flatMap(([one, a], place) => boxes.slice(place + 1)
            .filter(([, b]) => a.left + 1 < b.right && b.left + 1 < a.right &&
              a.top + 3 < b.bottom && b.top + 3 < a.bottom)
            .map(([other]) => `${one} × ${other}`));
          return [...crossed, ...outside.map(([words]) => `outside: ${words}`)];
        })"""
    )


@pytest.mark.parametrize(("choice", "language"), [("go", "en"), ("pilot", "ja")])
def test_a_report_is_read_without_scripts_network_or_scrolling_sideways(
    look, shown, choice, language
):
    for width in (320, 768, 1280):
        opened = look(shown[choice, language], width)
        name = f"{choice}-{language}-{width}.png"
        opened.screenshot(path=PICTURES / name, full_page=True)

        assert visible(opened, "main").count() == 1
        assert visible(opened, ".word").inner_text() == WORDS[choice][language == "ja"]
        assert visible(opened, ".light").count() == 1  # a shape beside the colour
        assert overflow(opened) <= 0
        assert [url for url in opened.asked if not url.startswith(("file:", "data:"))] == []
        assert opened.complaints == []
        assert misplaced(opened) == []


def test_long_names_and_many_columns_have_their_room(look, crowded):
    opened = look(crowded, 320)
    opened.screenshot(path=PICTURES / "crowded-ja-320.png", full_page=True)

    assert overflow(opened) <= 0
    assert misplaced(opened) == []
    opened.set_viewport_size({"width": 1280, "height": 900})
    assert overflow(opened) <= 0
    assert misplaced(opened) == []


def test_the_language_is_changed_by_the_keyboard(look, shown):
    opened = look(shown["go", "en"], java_script_enabled=False)
    opened.keyboard.press("Tab")
    opened.keyboard.press("ArrowRight")  # the two are radio buttons

    assert visible(opened, ".word").inner_text() == "導入可"
    label = opened.locator("label[for=ja]")
    assert float(label.evaluate("e => parseFloat(getComputedStyle(e).outlineWidth)")) >= 2
    opened.keyboard.press("ArrowLeft")
    assert visible(opened, ".word").inner_text() == "GO"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_keep_to_the_scheme_of_the_system(look, shown, scheme):
    opened = look(shown["pilot", "ja"], scheme=scheme)
    opened.screenshot(path=PICTURES / f"pilot-ja-{scheme}.png", full_page=True)

    style = "e => getComputedStyle(e)"
    ground = brightness(opened.evaluate(f"({style})(document.body).backgroundColor"))
    ink = brightness(visible(opened, ".drawn .name").first.evaluate(f"e => ({style})(e).fill"))
    bar = visible(opened, ".drawn .fill-first").first.evaluate(f"e => ({style})(e).fill")
    assert (ground > 128) is (scheme == "light")
    assert abs(ground - ink) > 120 and abs(ground - brightness(bar)) > 60


def brightness(colour):
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def printed(opened, path):
    """Print, and return the size of the paper and the number of letters on every page."""
    opened.pdf(path=path, prefer_css_page_size=True, print_background=True)
    raw = path.read_bytes()
    size = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", raw)
    counts = []
    for body in re.findall(rb"obj\s*<<([^>]*?/Type /Page\b.*?)endobj", raw, re.DOTALL):
        number = re.search(rb"/Contents (\d+) 0 R", body)[1]
        stream = re.search(
            rb"\n" + number + rb" 0 obj\s*<<.*?>>\s*stream\r?\n(.*?)endstream", raw, re.DOTALL
        )[1]
        shown_text = re.findall(rb"<([0-9A-Fa-f]+)> Tj", zlib.decompress(stream))
        counts.append(sum(len(one) // 2 for one in shown_text))
    return [round(float(side)) for side in size.groups()], counts


@pytest.mark.parametrize(("choice", "language"), [("no-go", "en"), ("pilot", "ja")])
def test_a_report_is_printed_on_a4_with_the_summary_first(look, shown, choice, language):
    opened = look(shown[choice, language], scheme="dark")
    size, letters = printed(opened, PICTURES / f"{choice}-{language}.pdf")

    assert size == [595, 842]
    assert 6 <= len(letters) <= 16
    assert min(letters) > 80, letters  # no page of a heading alone
    on_paper(opened)
    assert visible(opened, ".glance").bounding_box()["height"] <= PAPER[1]
    after = "e => [getComputedStyle(e).breakAfter, getComputedStyle(e).breakInside]"
    assert visible(opened, ".glance").evaluate(after) == ["page", "avoid"]
    ground = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    ink = visible(opened, ".drawn .name").first.evaluate("e => getComputedStyle(e).fill")
    assert brightness(ink) < 80
    assert visible(opened, ".in").count() == 1  # the other language is not printed
    assert misplaced(opened) == []


def on_paper(opened):
    """Show the page as it is printed, as wide as what the margins of A4 leave."""
    opened.emulate_media(media="print")
    opened.set_viewport_size(dict(zip(("width", "height"), PAPER, strict=True)))


def test_a_crowded_report_is_printed_without_cutting_anything(look, crowded):
    opened = look(crowded)
    _, letters = printed(opened, PICTURES / "crowded-ja.pdf")
    on_paper(opened)

    assert min(letters) > 80, letters
    assert visible(opened, ".glance").bounding_box()["height"] <= PAPER[1]
    assert overflow(opened) <= 0
    cut = opened.evaluate(
        """() => [...document.querySelectorAll(".wide, .card, figure")]
          .filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1)
          .map((e) => e.className + e.textContent.slice(0, 40))"""
    )
    assert cut == []
