"""The page of a report says what its JSON says, in both languages, and asks nothing of anybody."""

import hashlib
import re
import string
from base64 import b64encode
from dataclasses import fields
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from monitoring.policy import Action
from monitoring.rules import Rules
from monitoring.verdict import Reason, Verdict
from service.evaluation_record import State, Trigger
from service.report import Listed
from service.report_codes import CODES, GLOSSARY
from service.report_page import list_page, page, policy
from service.report_pictures import shown, spread, stages
from service.report_reading import deciding, is_promoted, light, outcome, to_do
from service.report_rules import JAPANESE, meaning
from service.report_words import TEXTS, Voice
from service.trust import Trust
from service.words import Words
from tests.service.reports import (
    ALL,
    CANDIDATE,
    SERVED,
    bounds,
    fallen_back,
    feature,
    findings,
    kept,
    levels,
    promoted,
    report,
    shadowing,
    steps,
    taken_back,
)

EVIL = '<script>alert("x")</script>'
VOID = {"meta", "link", "input", "br"}


class Reader(HTMLParser):
    """Reads a page: text by language, tags, attributes; complains of what is not nested."""

    def __init__(self, text):
        super().__init__()
        self.open, self.faults, self.tags, self.ids = [], [], [], []
        self.urls, self.words = [], {"": [], "en": [], "ja": []}
        self.feed(text)
        self.close()
        self.faults += [f"never closed: {tag}" for tag, _ in self.open]

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.tags.append((tag, known))
        self.ids += [known["id"]] if "id" in known else []
        self.urls += [known[name] for name in ("href", "src", "xlink:href") if name in known]
        if tag not in VOID:
            self.open.append((tag, known.get("lang") if tag == "div" else None))

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
        if not any(tag == "style" for tag, _ in self.open):
            language = next((lang for _, lang in self.open if lang), "")
            self.words[language].append(data)

    def said(self, language):
        return " ".join(" ".join(self.words[language]).split())


def read(made, language="en"):
    return Reader(page(made, language))


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_page_is_whole_and_asks_for_nothing(make, language):
    text = page(make(), language)
    found = Reader(text)

    assert found.faults == []
    assert len(set(found.ids)) == len(found.ids)
    assert not {tag for tag, _ in found.tags} & {"script", "iframe", "img", "object", "form"}
    assert set(found.urls) == {"data:,", f"{make().evaluation}.json"}
    assert "://" not in text and "url(" not in text and "@import" not in text
    assert not any(
        "style" in known or name.startswith("on") for _, known in found.tags for name in known
    )
    assert text.startswith(f'<!doctype html>\n<html lang="{language}">')
    (checked,) = (known["id"] for tag, known in found.tags if "checked" in known)
    assert checked == language
    for _, known in found.tags:
        for name in known.get("aria-labelledby", "").split():
            assert name in found.ids


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_both_languages_say_the_sentences_and_the_same_numbers(make):
    made = make()
    found = read(made)

    for language in ("en", "ja"):
        said, say = found.said(language), Voice(language)
        sentences = [one.sentence for one in made.decisions]
        if made.findings:
            sentences.append(made.findings.sentence)
        for sentence in sentences:
            assert say.of(sentence) in said
        assert say(f"trust_{light(made).trust}") in said
        for _, error, count in stages(made):
            assert f"{say.number(error.lower)}–{say.number(error.upper)}" in said
            assert f"{count:,}" in said
        for name, value in made.rules.items():
            assert f"{name} {meaning(name, language)} {say.rule(name, value)}" in said
        for pair in GLOSSARY:
            assert all(say.pick(words) in said for words in pair)
    assert not re.search("[ぁ-ん]", found.said("en"))


def test_every_number_of_the_findings_stands_on_the_page():
    made = promoted()
    said, say = read(made).said("en"), Voice("en")

    for one in made.findings.features:
        assert one.name in said and say.percent(one.share) in said
        assert spread(say, one.window_mean, one.window_deviation, one.unit) in said
    for one in made.findings.candidates:
        assert say.code("candidate", one.name) in said
        assert f"{say.number(one.error.mean)} (" in said
    for name, value in made.findings.ratios.items():
        shown_value = say.percent(value) if name == "clipped_share" else say.number(value)
        assert f"{say.code('ratio', name)} {shown_value}" in said
    for words in (SERVED, CANDIDATE, "sonoba-2:50052", "sonoba-3:50052", "0a1b2c3d", "60,212"):
        assert words in said
    assert "no answer from sonoba-3:50052" in said


def test_names_are_text_wherever_they_stand():
    found = findings(
        "KEEP",
        "NONE",
        (EVIL, EVIL),
        (EVIL, EVIL),
        features=(feature(EVIL, EVIL, 0.5, 1.0, 1.0, 0.0, 1.0),),
        step=EVIL,
        signature=EVIL,
    )
    window = found.window.model_copy(update={"replicas": (EVIL,), "missing_replicas": (EVIL,)})
    found = found.model_copy(update={"window": window})
    made = report(found, steps(("ASKED", 0), ("DONE", 1)), (), failure=EVIL, rules={EVIL: EVIL})

    text = page(made)
    shown_to_people = Reader(text)

    assert "<script" not in text
    assert "script" not in {tag for tag, _ in shown_to_people.tags}
    assert shown_to_people.said("en").count(EVIL) > 8
    assert shown_to_people.faults == []


def test_an_unknown_code_is_shown_as_it_is():
    made = kept()
    odd = made.findings.model_copy(update={"verdict": "A_NEW_ONE", "shift_kind": "sideways"})

    said = read(made.model_copy(update={"findings": odd})).said("ja")

    assert "A_NEW_ONE" in said


def test_the_style_is_allowed_by_its_hash_and_nothing_else():
    text = page(kept())
    style = text.partition("<style>")[2].partition("</style>")[0]
    wanted = b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"style-src 'sha256-{wanted}'" in policy(text)
    assert f'content="{policy(text)}"' in text
    assert policy(text).startswith("default-src 'none'; ")
    assert "unsafe" not in policy(text)


def test_every_picture_is_well_formed_and_described():
    text = page(promoted())
    pictures = re.findall(
        r'<svg class="plot".*?</svg>(?=\s*(?:<ul|<p|</section|\n))', text, re.DOTALL
    )

    assert len(pictures) == 6  # three, in two languages
    for picture in pictures:
        svg = ElementTree.fromstring(picture)
        title, description = svg.find("title"), svg.find("desc")
        assert svg.get("role") == "img" and title.text and len(description.text) > 20
        assert svg.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        places = [
            float(v[:-1]) for one in svg.iter() for v in one.attrib.values() if v.endswith("%")
        ]
        assert all(0 <= place <= 100 for place in places)


def cost_marks(made):
    """Return where the marks of the picture of costs lie, percent."""
    text = page(made)
    picture = re.search(r'<svg class="plot"[^>]*cost-en.*?</svg>(?=\s*<ul)', text, re.DOTALL)[0]
    svg = ElementTree.fromstring(picture)
    return [float(one.get("x")[:-1]) for one in svg.iter("svg") if one.get("overflow")]


def test_marks_lie_where_their_values_are():
    high = 1.05 * max(error.upper for _, error, _ in stages(promoted()))
    expected = [2.5 + 95 * error.mean / high for _, error, _ in stages(promoted())]

    assert cost_marks(promoted()) == pytest.approx(expected, abs=0.01)


def test_a_mean_is_told_to_two_digits_of_its_deviation():
    say = Voice("en")
    told = [(31.44, 8.87, "°C"), (0.0009, 0.88, ""), (71.2, 11.5, "%"), (123_456.7, 4321.0, "")]

    assert [spread(say, *one) for one in told] == [
        *("31.4 ± 8.9 °C", "0.00 ± 0.88", "71 ± 12 %", "123,457 ± 4,321")
    ]


def test_without_shares_none_are_claimed():
    said = read(ALL["tell-business-noise"]()).said("en")

    assert "Right: its share of the harm." not in said
    assert "Which of them does the harm cannot be told." in said


def test_the_most_harmful_columns_are_drawn_and_the_others_counted():
    many = tuple(
        feature(f"column {n}", "", None if n < 3 else n / 100, 3.0 - n, 1.0, 0.0, 1.0)
        for n in range(11)
    )
    made = kept()
    made = made.model_copy(update={"findings": made.findings.model_copy(update={"features": many})})

    names = [one.name for one in shown(many)]
    assert names == [f"column {n}" for n in (10, 9, 8, 7, 6, 5, 4, 3)]
    assert "3 more columns are in the table below." in read(made).said("en")


def test_a_column_that_never_varied_is_listed_without_a_mark():
    constant = (feature("constant", "", 1.0, 5.0, 0.0, 3.0, 0.0),)
    made = kept()
    made = made.model_copy(
        update={"findings": made.findings.model_copy(update={"features": constant})}
    )

    assert "now 5.0 ± 0.0, normally 3.0 ± 0.0" in read(made).said("en")


LIGHTS = {
    "recalibrate-promoted": (Trust.YES, "outcome_PROMOTED", "todo_PROMOTED"),
    "tell-business-noise": (Trust.NO, "outcome_TELL", ""),
    "keep": (Trust.YES, "outcome_DONE", ""),
    "fall-back-proposed": (Trust.NO, "outcome_PROPOSED", "todo_PROPOSED"),
    "failed": (Trust.NOT_MEASURED, "outcome_FAILED", "todo_FAILED"),
    "shadowing": (Trust.NO, "outcome_SHADOWING", "todo_OPEN"),
    "taken-back": (Trust.NO, "outcome_ROLLED_BACK", "todo_ROLLED_BACK"),
}


@pytest.mark.parametrize("name", ALL)
def test_what_a_report_comes_to(name):
    made = ALL[name]()

    assert (light(made).trust, outcome(made), to_do(made).key) == LIGHTS[name]
    assert is_promoted(made) is (name == "recalibrate-promoted")


@pytest.mark.parametrize(
    ("loo", "trust"), [(1.1, "YES"), (1.34, "YES"), (1.4, "WATCH"), (2.1, "WATCH"), (2.3, "NO")]
)
def test_the_lines_are_those_of_the_alerts(loo, trust):
    """The bound lies 8 % below the mean: 1.34 → 1.23, 1.4 → 1.29, 2.1 → 1.93, 2.3 → 2.12."""
    made = kept()
    found = made.findings.model_copy(update={"levels": levels(1.0, loo)})

    assert light(made.model_copy(update={"findings": found})).trust == trust


def test_a_promotion_that_a_person_has_to_judge_is_no_proposal():
    made = taken_back()
    doubted = made.model_copy(
        update={
            "state": "PROPOSED",
            "versions": made.versions.model_copy(update={"in_force": CANDIDATE}),
        }
    )

    assert (outcome(doubted), to_do(doubted).key) == ("outcome_DOUBTED", "todo_DOUBTED")
    assert to_do(doubted).command.startswith("sonoba models rollback bikes")
    assert light(doubted).trust is Trust.WATCH
    assert "does worse than promised" in read(doubted).said("en")


def test_the_decision_told_of_is_the_one_that_changed_something():
    rules = {name: deciding(make()) for name, make in ALL.items()}

    assert {name: one and one.action for name, one in rules.items()} == {
        "recalibrate-promoted": "PROMOTE",
        "tell-business-noise": "TELL",
        "keep": "NOTHING",
        "fall-back-proposed": "PROPOSE",
        "failed": None,
        "shadowing": "SHADOW",
        "taken-back": "ROLL_BACK",
    }


def test_a_recalibration_that_is_not_enough_leaves_something_to_do():
    made = promoted()
    more = made.findings.model_copy(update={"verdict": "RECALIBRATE_AND_REPRETRAIN"})

    assert to_do(made.model_copy(update={"findings": more})).key == "todo_REPRETRAIN"


@pytest.mark.parametrize("name", ["shadowing", "taken-back"])
def test_advice_that_events_have_overtaken_is_not_given(name):
    made = ALL[name]()

    assert made.findings.advice.en not in read(made).said("en")
    assert fallen_back().findings.advice.en in read(fallen_back()).said("en")


def test_a_promotion_whose_error_is_not_known_yet_is_to_be_watched():
    made = promoted()
    fresh = made.model_copy(
        update={
            "state": "WATCHING",
            "ended": None,
            "after": None,
            "versions": made.versions.model_copy(update={"in_force": ""}),
        }
    )

    assert (light(fresh).trust, to_do(fresh).key) == (Trust.WATCH, "todo_OPEN")
    assert "still in progress" in read(shadowing()).said("en")


def test_too_few_prompts_are_no_answer():
    made = kept()
    found = made.findings.model_copy(update={"verdict": "INSUFFICIENT", "reason": "FEW_PROMPTS"})

    assert light(made.model_copy(update={"findings": found})).trust is Trust.NOT_MEASURED


def test_the_commands_are_named():
    proposed = read(fallen_back()).said("en")

    assert f"sonoba models promote bikes {CANDIDATE} --address HOST:PORT" in proposed
    assert "sonoba evaluate bikes" in read(ALL["failed"]()).said("ja")


def test_every_text_is_there_in_both_languages_with_the_same_values():
    for key, pair in TEXTS.items():
        assert len(pair) == 2 and all(words.strip() for words in pair), key
        english, japanese = (
            {name for _, name, _, _ in string.Formatter().parse(words) if name} for words in pair
        )
        assert english == japanese, key
    assert len(GLOSSARY) == 10


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("verdict", Verdict),
        ("reason", Reason),
        ("action", Action),
        ("state", State),
        ("outcome", set(State)),
        ("trust", Trust),
        ("trigger", [one.lower() for one in Trigger]),
    ],
)
def test_every_code_has_words(kind, codes):
    assert {f"{kind}_{code}" for code in codes} <= set(TEXTS)


def test_there_are_no_words_for_codes_that_do_not_exist():
    known = {"verdict": Verdict, "reason": Reason, "action": Action, "state": State}
    for key in CODES:
        kind, _, code = key.partition("_")
        assert kind not in known or code in set(known[kind]), key


def test_every_rule_is_explained_in_both_languages():
    names = {field.name for field in fields(Rules)}

    assert set(JAPANESE) == names
    assert all(len(meaning(name, "en")) > 15 for name in names)
    assert meaning("not_a_rule", "en") == meaning("not_a_rule", "ja") == ""


def test_names_in_a_sentence_stand_out():
    made = kept()
    words = Words(en="The spread of `a<b>` changed.", ja="`a<b>`が変化。")
    made = made.model_copy(
        update={"findings": made.findings.model_copy(update={"sentence": words})}
    )

    assert 'The spread of <b class="quoted">a&lt;b&gt;</b> changed.' in page(made)


def test_every_sentence_can_be_said():
    values = {"served": "a", "candidate": "b", "model": "m", "error": "1", "lower": "1"}
    for key in TEXTS:
        if key.startswith(("outcome_", "todo_", "light_")):
            for language in ("en", "ja"):
                assert Voice(language)(key, **values, before="2")


def test_the_list_names_what_is_kept_in_one_language():
    made = promoted()
    line = Listed(
        evaluation=made.evaluation,
        model=EVIL,
        asked=made.asked,
        ended=made.ended,
        state=made.state,
        verdict="RECALIBRATE",
        action="PROMOTE",
    )

    for language, word in (("en", "Recalibrate"), ("ja", "再調整")):
        text = list_page([line], language)
        found = Reader(text)
        assert found.faults == [] and "<script" not in text
        assert f"reports/{made.evaluation}?lang={language}" in found.urls
        assert word in found.said("")
    assert "No report is kept." in list_page([])


def test_what_lies_beyond_the_axis_is_an_arrow_at_its_edge():
    made = fallen_back()
    text = page(made)

    assert made.findings.candidates[1].gain == bounds(-1.9, 0.6)
    assert "M5-7-6 0 5 7Z" in text
    assert "190% more (130 to 250)" in Reader(text).said("en")
