"""Pictures say their numbers: in lengths and places, in marks, and in words for who cannot see."""

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from service.assess.findings import Bounds, CurvePoint, Share
from service.assess.pictures import pictures
from service.assess.pictures_canvas import TONES, Canvas, fitted, wide
from service.assess.pictures_conditions import MOST_KINDS, changes, kinds, state, tolerated
from service.assess.pictures_curve import FOOT, curve
from service.assess.pictures_groups import strip
from service.assess.pictures_marks import box
from service.assess.pictures_stability import errors, ratios
from service.assess.pictures_worst import scatter, shares
from service.assess.words import Speaker
from tests.assess import findings_made as made

pytestmark = pytest.mark.slow

EN, JA = Speaker("en"), Speaker("ja")
NOTHING = Bounds(math.nan, math.nan, math.nan)


def drawn(svg):
    return ElementTree.fromstring(svg)


def filled(svg, tone):
    """Return the left and right end of every filled shape of a colour, in drawing order."""
    paths = [p for p in drawn(svg).iter("path") if p.get("class") == f"fill-{tone}"]
    ends = [[float(x) for x in re.findall(r"[ML] (-?[\d.]+)", p.get("d"))] for p in paths]
    return [(min(xs), max(xs)) for xs in ends]


def marked(svg, tone):
    """Return the places of the filled marks of a colour."""
    uses = [u for u in drawn(svg).iter("use") if f"fill-{tone}" in u.get("class", "")]
    return [(float(u.get("x")), float(u.get("y"))) for u in uses]


def words(svg):
    return [text.text for text in drawn(svg).iter("text")]


def told(svg):
    return drawn(svg).find("desc").text


@pytest.fixture(scope="module")
def every():
    return {say.language: pictures(made.assessment(), say) for say in (EN, JA)}


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_picture_keeps_to_the_page_and_is_told_in_words(every, language):
    ids = []
    for name, svg in every[language].items():
        root = drawn(svg)
        assert root.get("role") == "img", name
        title, description = root.find("title"), root.find("desc")
        assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        assert title.text and description.text, name
        assert not re.search(r"style|url\(|://|xmlns|#[0-9a-f]{6}\b", svg), name
        ids += [element.get("id") for element in root.iter() if element.get("id")]
        used = {u.get("href")[1:] for u in root.iter("use")}
        assert used <= set(ids)
    assert len(set(ids)) == len(ids)
    assert all(language in one.split("-") for one in ids)


def test_the_same_findings_give_the_same_bytes(every):
    assert pictures(made.assessment(), EN) == every["en"]


def test_every_colour_is_one_of_the_page(every):
    classes = set(re.findall(r'(?:fill|stroke)-[a-z]+(?=[ "])', "".join(every["en"].values())))
    opacities = {"stroke-width", "stroke-opacity", "fill-opacity", "stroke-linecap"}
    tones = {f"{kind}-{tone}" for kind in ("fill", "stroke") for tone in TONES}
    assert classes - opacities <= tones | {"stroke-dasharray", "stroke-linejoin"}


def test_bars_are_as_long_as_errors_are_large():
    accuracy = made.accuracy(32, 0.35, mean=0.5)
    svg = errors(accuracy, "k", EN)

    ((left, right),) = filled(svg, "first")
    outlines = [p for p in drawn(svg).iter("path") if p.get("class") == "stroke-third"]
    spans = [[float(x) for x in re.findall(r"[ML] (-?[\d.]+)", p.get("d"))] for p in outlines]
    shown = [one for one in accuracy.methods[1:] if one.method in ("ridge-CV", "boosting", "mean")]
    assert len(spans) == len(shown)
    for xs, one in zip(spans, shown, strict=True):
        assert (max(xs) - min(xs)) / (right - left) == pytest.approx(one.error / 0.35, abs=0.01)
    assert "sonoba 0.35" in told(svg) and "Mean of the examples 0.70" in told(svg)


def test_shares_lead_step_by_step_from_the_base_to_the_answer():
    steps = (Share("km", 11.0, 5.0, 7.9), Share("wind", 4.0, 2.0, -2.1), Share("", 0, 0, 0.4))
    worst = replace(made.worst(), base=14.0, answer=20.2, truth=31.0, shares=steps)
    svg = shares(worst, "k", "€", EN)

    ups, ((down_left, down_right),) = filled(svg, "first")[:2], filled(svg, "second")
    ((base, _),) = marked(svg, "quiet")
    ((answer, _),) = marked(svg, "first")
    ((truth, _),) = marked(svg, "ink")
    scale = (truth - base) / (31.0 - 14.0)  # pixels a unit
    assert ups[0] == pytest.approx((base, base + 7.9 * scale), abs=0.2)
    assert (down_right, down_left) == pytest.approx((ups[0][1], ups[0][1] - 2.1 * scale), abs=0.2)
    assert ups[1] == pytest.approx((down_left, down_left + 0.4 * scale), abs=0.2)
    assert answer == pytest.approx(ups[1][1], abs=0.2)
    for text in ("km = 11 (usually 5)", "+7.9 €", "−2.1 €", "all others", "31 €"):
        assert text in words(svg)


def test_the_strip_has_a_dot_for_every_group_and_names_the_worst():
    stability = made.stability()
    svg = strip(stability, made.offer(), "k", EN)

    assert len(marked(svg, "first")) == len(stability.group_errors)  # of worst ones invented here
    assert len(marked(svg, "second")) == len(stability.worst)
    assert {"city Turku", "city Oulu"} <= set(words(svg))
    many = replace(stability, group_errors=tuple(0.3 + 0.0001 * n for n in range(300)), worst=())
    heights = [y for _, y in marked(strip(many, made.offer(), "k", EN), "first")]
    assert len(heights) == 300 and min(heights) > 0


def test_a_worst_group_is_no_dot_as_well():
    stability = made.stability(group_errors=(0.3, 0.4, 0.735))
    assert len(marked(strip(stability, made.offer(), "k", EN), "first")) == 2


def test_an_interval_lies_where_its_numbers_say():
    change = replace(made.change("mean", 1.0, 1.5), ratio=Bounds(1.5, 1.2, 1.9))
    svg = changes([change], "k", "title", EN)

    (bar,) = [p for p in drawn(svg).iter("path") if p.get("stroke-width") == "5"]
    low, high = (float(x) for x in re.findall(r"[ML] (-?[\d.]+)", bar.get("d")))
    ((middle, _),) = marked(svg, "watch")
    share = (middle - low) / (high - low)  # of a logarithmic axis
    assert share == pytest.approx(math.log(1.5 / 1.2) / math.log(1.9 / 1.2), abs=0.01)
    assert "1.50 times (1.20–1.90)" in words(svg)


def test_what_lies_beyond_the_axis_is_an_arrow_at_its_edge():
    far = replace(made.change("mean", 1.0, 1.5), ratio=Bounds(90.0, 80.0, 100.0))
    near = replace(made.change("mean", 1.0, 1.5), ratio=Bounds(3.9, 3.8, 4.0))

    ((x_far, _),) = marked(changes([far], "k", "title", EN), "watch")
    ((x_near, _),) = marked(changes([near], "k", "title", EN), "watch")
    shapes = [
        p.get("d")
        for one in (far, near)
        for p in drawn(changes([one], "k", "title", EN)).iter("path")
        if (p.get("id") or "").startswith("k-m")
    ]
    assert x_near < x_far <= 348.0
    assert len(set(shapes)) == 2


def test_a_state_has_its_own_shape_and_word():
    conditions = made.conditions(
        changes=(
            made.change("mean", 0.5, 1.0),
            made.change("mean", 1.0, 1.5),
            made.change("mean", 1.5, 1.5, alert="", severity=None, alerted=0.1),
            made.change("mean", 2.0, 1.1, is_tolerated=False),
        )
    )
    found = [state(one) for one in conditions.changes]
    svg = tolerated(conditions, "k", EN)

    assert found == ["borne", "noticed", "silent", "unsure"]
    shapes = {u.get("href") for u in drawn(svg).iter("use")}
    assert len(shapes) >= 4
    assert sum(words(svg).count(EN(f"state_{name}")) for name in found) == 4
    for name in found:
        assert EN(f"is_{name}") in told(svg)


def test_many_kinds_leave_room_in_the_summary_and_those_that_harm_stay():
    codes = [f"kind-{n}" for n in range(14)]
    some = [made.change(code, 1.0, 1.5 if code == "kind-13" else 1.0) for code in codes]
    conditions = made.conditions(changes=tuple(some))
    shown = words(tolerated(conditions, "k", EN))

    assert list(kinds(conditions.changes)) == codes
    assert sum(word.startswith("kind-") for word in shown) == MOST_KINDS
    assert "kind-13" in shown


def test_the_curve_ends_at_its_axis_and_marks_the_knee():
    points = made.offer().curve
    svg = curve(points, 32, ("ridge-CV", "mean"), "k", EN)

    ours = [(x, y) for x, y in marked(svg, "first") if y < FOOT]  # its key stands below
    assert len(ours) == len(points)
    assert [x for x, _ in ours] == sorted(x for x, _ in ours)
    assert [y for _, y in ours] == sorted(y for _, y in ours)  # errors fall: y grows downwards
    assert EN("knee_mark") in words(svg)
    assert EN("knee_mark") not in words(curve(points, 0, (), "k", EN))
    assert "4 examples: sonoba 0.71, Line fitted per prompt 0.92" in told(svg)


def odd_assessments():
    whole = made.assessment()
    yield (
        "nothing",
        replace(
            whole,
            offer=made.offer(curve=(), knee=0, length_bars=(), quality=(), columns=()),
            stability=made.stability(
                accuracy=(), coverage=(), steadiness=(), group_errors=(), worst=()
            ),
            conditions=made.conditions(changes=()),
        ),
    )
    unknown = tuple(
        replace(one, methods=tuple(replace(m, error=math.inf, ratio=NOTHING) for m in one.methods))
        for one in whole.stability.accuracy
    )
    nowhere = replace(made.change("wrong_unit", 1000.0, 1.5), ratio=NOTHING, refused=1.0)
    point = CurvePoint(8, 3, Bounds(0.5, math.nan, math.inf), {"ridge-CV": math.inf})
    flat = replace(made.worst(), answers=((5.0, 5.0),), truth=5.0, answer=5.0, base=5.0, shares=())
    yield (
        "unknown",
        replace(
            whole,
            offer=made.offer(curve=(point,), knee=8, length_bars=((24, 5),)),
            stability=made.stability(accuracy=unknown, group_errors=(0.0,), worst=(flat,)),
            conditions=made.conditions(changes=(nowhere,)),
        ),
    )


@pytest.mark.parametrize(("name", "odd"), list(odd_assessments()))
def test_odd_findings_are_drawn_without_a_word_of_nan(name, odd):
    for say in (EN, JA):
        for svg in pictures(odd, say).values():
            assert not svg or ("nan" not in svg.replace("Finance", "") and "inf" not in svg)
    assert scatter(replace(made.worst(), answers=()), "k", "", EN) == ""
    assert ratios(replace(made.accuracy(8, 0.4), methods=()), "k", EN) == ""


def test_long_names_are_cut_with_an_ellipsis_and_never_wider_than_their_room():
    for name in ("x" * 80, "非常に長い列の名前がここに入ります" * 3, "a b c"):
        cut = fitted(name, 100.0)
        assert wide(cut) <= 100.0
        assert cut == name or cut.endswith("…")


def test_a_canvas_places_words_where_its_axes_say():
    canvas = Canvas("k", 100.0, 200.0)
    axes = canvas.axes((50, 10, 100, 80), (0, 10), (0, 1))
    box(axes, (0, 10), (0, 1), "line")
    canvas.text(axes, (5, 0.5), "middle", "middle", (2, 3))
    svg = canvas.written("t", "d")

    text = drawn(svg).find("text")
    assert (float(text.get("x")), float(text.get("y"))) == (102.0, 53.0)
    assert filled(svg, "line") == [(50.0, 150.0)]
