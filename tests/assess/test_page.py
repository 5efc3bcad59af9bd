"""The page says what the assessment found, in both languages, and asks nothing of anybody."""

import hashlib
import itertools
import re
from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from service.assess.findings import Share
from service.assess.page import page
from service.assess.page_read import reasons, why
from service.assess.words import Speaker, argument_words, quality_words, watch_words
from service.report_page import policy
from tests.assess import findings_made as made
from tests.assess.test_pictures import odd_assessments

pytestmark = pytest.mark.slow

EVIL = '<script>alert("x")</script>'
KANA = re.compile("[ぁ-ん]")
VOID = {"meta", "link", "input", "br"}
NOT_SAID = {"style", "code", "pre"}  # a style; what is a command or a file in any language
CHOICES = ("go", "pilot", "no-go")
EN, JA = Speaker("en"), Speaker("ja")


class Reader(HTMLParser):
    """Reads a page: text by language, headings, tags; complains of what is not nested."""

    def __init__(self, text):
        super().__init__()
        self.open, self.faults, self.tags, self.ids = [], [], [], []
        self.words, self.headings = {"": [], "en": [], "ja": []}, {"en": [], "ja": []}
        self.feed(text)
        self.close()
        self.faults += [f"never closed: {tag}" for tag, _ in self.open]

    @property
    def place(self):
        return next((lang for tag, lang in self.open if tag == "div" and lang), "")

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.tags.append((tag, known))
        self.ids += [known["id"]] if "id" in known else []
        if re.fullmatch("h[1-6]", tag):
            self.headings[self.place].append(int(tag[1]))
        if tag not in VOID:
            self.open.append((tag, known.get("lang")))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.faults.append(f"{self.getpos()}: </{tag}> after {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        inside = [lang for tag, lang in self.open if lang and tag != "html"]
        is_english = self.place == "ja" and inside[-1] == "en"
        if not any(tag in NOT_SAID for tag, _ in self.open) and not is_english:
            self.words[self.place].append(data)

    def said(self, language):
        return " ".join(" ".join(self.words[language]).split())


def plain(sentence):
    return " ".join(sentence.replace("`", "").split())


def squeezed(text):
    return re.sub(r"\s", "", text)


@pytest.fixture(scope="module")
def texts():
    return {choice: page(made.assessment(choice), "en") for choice in CHOICES}


@pytest.mark.parametrize("choice", CHOICES)
def test_a_page_is_whole_and_asks_for_nothing(texts, choice):
    text = texts[choice]
    found = Reader(text)

    assert found.faults == []
    assert len(set(found.ids)) == len(found.ids)
    assert not {tag for tag, _ in found.tags} & {"script", "iframe", "img", "object", "form"}
    assert "://" not in text and "url(" not in text and "@import" not in text
    addresses = {known[name] for _, known in found.tags for name in known if name == "href"}
    assert all(one == "data:," or one[1:] in found.ids for one in addresses)
    assert not any(
        name == "style" or name.startswith("on") for _, known in found.tags for name in known
    )
    for _, known in found.tags:
        for name in ("aria-labelledby", "for"):
            assert set(known.get(name, "").split()) <= set(found.ids)


def test_the_style_is_allowed_by_its_hash_and_nothing_else(texts):
    text = texts["go"]
    style = text.partition("<style>")[2].partition("</style>")[0]
    wanted = b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert text.count("<style") == 1
    assert f'content="{policy(text)}"' in text
    assert f"style-src 'sha256-{wanted}'" in policy(text)
    assert policy(text).startswith("default-src 'none'; ")


def test_a_page_opens_in_its_language_and_holds_both(texts):
    japanese = page(made.assessment("go"), "ja")

    again, before = (text.partition("</header>")[2] for text in (japanese, texts["go"]))
    assert again == before  # the same findings, drawn again, are the same bytes
    for text, language in ((texts["go"], "en"), (japanese, "ja")):
        assert text.startswith(f'<!doctype html>\n<html lang="{language}">')
        tags = Reader(text).tags
        (checked,) = (known["id"] for tag, known in tags if "checked" in known)
        assert checked == language
        assert [known["lang"] for tag, known in tags if known.get("class") == "in"] == ["en", "ja"]
    assert not KANA.search(Reader(texts["go"]).said("en"))
    assert KANA.search(Reader(texts["go"]).said("ja"))


@pytest.mark.parametrize("choice", CHOICES)
def test_no_english_sentence_stands_in_the_japanese_page(texts, choice):
    said = Reader(texts[choice]).said("ja")
    for name in ("sonoba rules check", "km", "hour", "weather", "fare", "day"):
        said = said.replace(name, "")  # commands and columns are called so in any language

    assert re.findall(r"[a-z]+ [a-z]+ [a-z]+", said) == []


@pytest.mark.parametrize("choice", CHOICES)
def test_both_languages_say_what_was_found(texts, choice):
    whole, found = made.assessment(choice), Reader(texts[choice])
    for say in (EN, JA):
        said = squeezed(found.said(say.language))
        sentences = [why(whole, say), say(f"choice_{choice}"), say(f"meaning_{choice}")]
        sentences += [argument_words(one, whole, say) for one in whole.decision.arguments]
        sentences += [watch_words(code, whole, say) for code in whole.decision.watch]
        for one in whole.offer.quality:
            sentences += quality_words(one, whole.offer, say)
        for sentence in sentences:
            assert squeezed(plain(sentence)) in said, sentence
        for number in ("3,821", "3,805", "0.35", "4.1", "61 km"):
            assert squeezed(number) in said


def test_the_summary_names_three_reasons_and_what_weighs_most():
    speaks = [[one.speaks for one in reasons(made.assessment(choice))] for choice in CHOICES]
    against = made.assessment("no-go")

    assert speaks[0] == ["for"] * 3
    assert speaks[1][:2] == ["caution"] * 2 and speaks[1][2:] == ["for"]
    assert why(against, EN) == argument_words(against.decision.arguments[0], against, EN)
    assert against.decision.arguments[0] not in reasons(against)


def test_headings_are_in_order_and_tables_have_their_captions(texts):
    found = Reader(texts["pilot"])

    for levels in found.headings.values():
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    tables = re.findall(r"<table.*?</table>", texts["pilot"], re.DOTALL)
    assert len(tables) > 10
    for table in tables:
        assert "<caption" in table
        assert not re.search(r"<th(?![^>]*scope=)[ >]", table)
    for tag, known in found.tags:
        if tag == "svg":
            assert known.get("role") == "img" or known.get("aria-hidden") == "true"


def test_names_are_text_wherever_they_stand():
    column = replace(next(iter(made.columns())), name=EVIL, unit=EVIL)
    category = replace(list(made.columns())[2], levels=(EVIL, EVIL, ""))
    target = replace(made.offer().target, name=EVIL, unit="")
    offer = made.offer(
        source=EVIL,
        group=EVIL,
        target=target,
        columns=(column, category),
        quality=(made.fault(columns=(EVIL,), examples=(EVIL,)),),
        notices=(EVIL,),
    )
    worst = replace(made.worst(EVIL), shares=(Share(EVIL, 1.0, 0.5, 8.6),))
    harmed = made.change("missing", 1.0, 1.5, columns=(EVIL,), alert=EVIL)
    whole = made.assessment("go", name=EVIL, command=EVIL, offer=offer)
    whole = replace(
        whole,
        stability=made.stability(worst=(worst,)),
        conditions=made.conditions(changes=(harmed,), unwatched=EVIL),
        decision=replace(whole.decision, rules=EVIL),
    )
    text = page(whole)
    found = Reader(text)

    assert "<script" not in text and found.faults == []
    assert found.said("en").count(EVIL) > 12


@pytest.mark.parametrize(("name", "odd"), list(odd_assessments()))
def test_little_found_is_a_page_too(name, odd):
    found = Reader(page(odd, "ja"))

    assert found.faults == []
    for language in ("en", "ja"):
        assert not re.search(r"\b(nan|inf|None)\b", found.said(language))


def test_a_limit_that_was_not_measured_is_a_dash():
    whole = made.assessment("no-go")
    nothing = float("nan")
    limits = replace(
        whole.decision.limits, error=nothing, coverage=nothing, example_count_min=0, ranges=()
    )
    found = Reader(page(replace(whole, decision=replace(whole.decision, limits=limits))))

    assert f"{EN('limit_error')} –" in found.said("en")
    assert f"{EN('limit_examples')} –" in found.said("en")


def brightness(colour):
    """Return the relative luminance of #rrggbb or #rgb (WCAG 2.2)."""
    digits = colour.lstrip("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((brightness(one), brightness(other)))
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_has_the_contrast_of_the_standard():
    assert contrast("#000", "#ffffff") == pytest.approx(21.0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_marks_stand_out_in_both_schemes(texts, scheme):
    css = files("service").joinpath("page", "page.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]+)", light if scheme == "light" else dark))

    for ground in ("card", "paper"):
        for words in ("ink", "quiet", "yes", "watch", "no", "accent"):
            assert contrast(colours[words], colours[ground]) >= 4.5, (words, ground)
    for mark in ("first", "second", "third", "yes", "watch", "no", "quiet"):
        assert contrast(colours[mark], colours["card"]) >= 3.0
    used = set(re.findall(r"var\(--(\w+)\)", texts["go"].partition("</style>")[0]))
    assert used - {"tone", "none"} <= set(colours) | {"fill", "danger"}
