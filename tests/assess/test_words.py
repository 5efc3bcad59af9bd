"""Every code that a step can find has its sentence in both languages, with values it is given."""

import ast
import math
import re
import string
from dataclasses import replace
from pathlib import Path

import pytest

from service.assess import changes, crossing, evidence, steadiness
from service.assess.alerting import STALLED
from service.assess.findings import Argument, Bounds, QualityFinding
from service.assess.sentences_changes import (
    ABOUT,
    ALERTS,
    CHANGES,
    SEVERITIES,
    STEADINESS,
    STRENGTHS,
)
from service.assess.sentences_decision import ARGUMENTS, CHOICES, NEXT, WATCH
from service.assess.sentences_fixes import FIXES
from service.assess.sentences_glossary import GLOSSARY
from service.assess.words import (
    TEXTS,
    Speaker,
    argument_words,
    change_words,
    quality_words,
    watch_words,
    worst_words,
)
from service.held_out import METHODS
from tests.assess import findings_made as made
from tests.assess.test_decision import BRANCHES, CODES, decided

STEPS = Path(__file__).resolve().parents[2] / "service" / "assess"
LANGUAGES = ("en", "ja")
KANA = re.compile("[ぁ-んァ-ヶ一-龠]")
COUNTED = {"share": 0.03, "row": 18}
FAULTS = {  # an example of every fault's detail
    "number_as_text": {"kind": "unit", "mark": "kg", **COUNTED},
    "spelling": {"first": "Oslo", "second": "oslo", "count": 3, **COUNTED},
    "total_rows": {"word": "Total", **COUNTED},
    "missing_word": {"word": "unknown", **COUNTED},
    "rare_levels": {"levels": 14, "kept": 12, **COUNTED},
    "sentinel": {"value": "-999", "low": 0.4, "high": 61.0, **COUNTED},
    "far_values": {"low": 0.4, "high": 61.0, "farthest": 9000.0, "times": 80.0, **COUNTED},
    "mixed_units": {"kind": "factor", "factor": 25.4, "small": 1.0, "large": 25.0, **COUNTED},
    "missing": COUNTED,
    "rows_left_out": {"share": 0.03},
    "empty_column": {},
    "constant_column": {"value": "EUR"},
    "constant_in_groups": {"groups": 30, "group_count": 40, "share": 0.75},
    "same_column": {"correlation": 0.9999, "is_identical": 1},
    "leak": {"correlation": 0.9999, "is_copy": 1},
    "leak_together": {"explained": 0.99995},
    "name_like": {"low": 1, "high": 3821, "distinct": 3821},
    "repeated_rows": {"share": 0.03, "row": 18},
    "short_groups": {"groups": 3, "group_count": 40, "wanted": 11},
    "constant_label": {"groups": 3, "group_count": 40},
    "order_ties": {"share": 0.03, "groups": 3},
    "not_in_order": {"groups": 3, "group_count": 40, "share": 0.03},
    "order_not_told": {"groups": 40, "group_count": 40},
    "scale_in_time": {"factor": 10.0, "before": 1.2, "after": 12.0, "at": "2025-03-01"},
    "few_groups": {"groups": 5, "wanted": 8},
    "wide": {"features": 90, "rows": 40},
    "capped_target": {"value": 50.0, **COUNTED},
    "long_tailed_target": {"middle": 10.0, "high": 900.0, "times": 7.0},
    "read_as": {"encoding": "CP932"},
}
VARIANTS = {  # of a fault: what in its detail makes the sentence another one
    "number_as_text": [
        {"kind": kind} for kind in ("currency", "thousands", "decimal_comma", "full_width")
    ],
    "mixed_units": [{"kind": "temperature", "factor": 1.8}],
    "sentinel": [{"value": "0"}],
    "leak": [{"is_copy": 0}],
}
GROUP = {"rows": 41, "usual_rows": 92, "examples": 16, "refused": 0.0}
UNLIKE = {"deviations": 3.0, "middle": 9.0, "usual": 5.0, "spread": 1.2, "left": 0.1}
NOISY = {"own_error": 0.8, "usual_own_error": 0.3, "noise": 4.0, "usual_noise": 2.0}
NOISY |= {"label_spread": 3.0, "usual_label_spread": 9.0}
FEW = {"needed": 35, "usual_examples": 32, "usual_error": 0.35, "short_error": 0.41, "judged": 9}
WORST = [
    *(
        ("unlike_history", {"part": part, "direction": way, "column": of, **UNLIKE})
        for part, of in (("feature", "km"), ("target", ""))
        for way in ("above", "below", "around")
    ),
    *(("noisy", {"cause": cause, **NOISY}) for cause in ("noise", "little_to_tell")),
    ("shifted", {"own_error": 0.2, "column": "km", "slope": 3.0, "usual_slope": 1.0}),
    *(("few_rows", {"cause": cause, **FEW}) for cause in ("fewer_examples", "few_judged")),
    ("unexplained", {"own_error": -1.0, "usual_own_error": 0.3, "usual_error": 0.35}),
]


def codes_made(*makers):
    """Return the codes written where a step makes a finding: the first argument, if literal."""
    found = set()
    for path in STEPS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in makers:
                first = next(iter(node.args), None)
                if isinstance(first, ast.Starred) and isinstance(first.value, ast.Tuple):
                    first = first.value.elts[0]
                named = [key.value for key in node.keywords if key.arg == "code"]
                for one in (first, *named):
                    if isinstance(one, ast.Constant) and isinstance(one.value, str):
                        found.add(one.value)
    return found


def is_whole(sentence):
    return "{" not in sentence and "nan" not in sentence and sentence.strip() != ""


def test_every_fault_has_a_sentence_and_a_fix():
    written = codes_made("QualityFinding", "Suspect")
    assert written > {"missing", "sentinel", "few_groups", "leak_together"}
    assert written <= set(FAULTS)  # and the rest are handed on by name
    source = "".join(path.read_text(encoding="utf-8") for path in STEPS.glob("quality*.py"))
    assert all(f'"{code}"' in source for code in set(FAULTS) - written)
    assert set(FIXES) == set(FAULTS)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_is_told_with_its_columns_and_numbers(code, language):
    say = Speaker(language)
    for variant in ({}, *VARIANTS.get(code, [])):
        detail = FAULTS[code] | variant
        found = QualityFinding(code, "repair", ("km", "hour"), 41, (), detail)
        sentence, fix = quality_words(found, made.offer(), say)
        assert sentence != code and is_whole(sentence) and is_whole(fix)
        assert bool(KANA.search(sentence + fix)) is (language == "ja")


def test_a_value_of_a_column_has_the_unit_of_the_column():
    found = QualityFinding("sentinel", "repair", ("km",), 41, (), FAULTS["sentinel"])

    assert "between 0.4 km and 61 km" in quality_words(found, made.offer(), Speaker("en"))[0]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("code", "detail"), WORST)
def test_a_worst_group_says_why(code, detail, language):
    worst = replace(made.worst(), code=code, detail={**GROUP, **detail})

    sentence = worst_words(worst, made.offer(), Speaker(language))

    assert not sentence.startswith(code) and is_whole(sentence)


def test_the_reasons_of_a_worst_group_are_those_of_its_step():
    tree = ast.parse((STEPS / "reasons.py").read_text(encoding="utf-8"))
    returned = {
        node.value.elts[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Return)
        and isinstance(node.value, ast.Tuple)
        and isinstance(node.value.elts[0], ast.Constant)
    }
    assert returned == {code for code, _ in WORST}


def test_every_kind_of_change_has_its_words():
    known = codes_made("Changed", "Parts") | evidence.UNITS | evidence.MISSING | evidence.STALE
    assert known >= {"scale", "fewer_examples", "label_noise", "stale_rows"}
    assert changes.SCALES  # the step that tries them
    assert set(CHANGES) == set(STRENGTHS) == set(ABOUT) == known
    for code in known:
        for language in LANGUAGES:
            change = replace(made.change("mean", 0.5, 1.1), code=code, columns=("km",))
            assert all(map(is_whole, change_words(change, Speaker(language))))


def test_every_alert_and_every_way_of_choosing_examples_has_its_words():
    rules = {rule.alert for rule in (*crossing.HARM, crossing.MOVED)}
    assert set(ALERTS) == rules | {STALLED}
    assert set(SEVERITIES) == {"critical", "warning", "information"}
    assert set(STEADINESS) == set(steadiness.DRAWS)
    assert {f"method_{name}" for name in METHODS} <= set(TEXTS)


def test_every_argument_has_a_sentence_and_no_other_has():
    assert set(ARGUMENTS) == set().union(*CODES.values())


@pytest.mark.parametrize("code", BRANCHES)
def test_a_decision_is_told_in_both_languages(code):
    steps, _ = BRANCHES[code]
    decision = decided(*steps)
    whole = made.assessment(decision.choice)
    for one in decision.arguments:
        for language in LANGUAGES:
            sentence = argument_words(one, whole, Speaker(language))
            assert sentence != one.code and is_whole(sentence), one
            assert bool(KANA.search(sentence)) is (language == "ja")
    for watched in decision.watch:
        assert is_whole(watch_words(watched, whole, Speaker("ja")))
        assert watched in WATCH


def test_everything_to_watch_has_its_words():
    (watch,) = (
        node
        for node in ast.walk(ast.parse((STEPS / "decision.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name == "watch"
    )
    (wanted,) = (node for node in ast.walk(watch) if isinstance(node, ast.Dict))

    assert [key.value for key in wanted.keys] == list(WATCH)


def test_a_code_without_words_is_shown_as_it_is():
    say = Speaker("ja")
    odd = replace(made.change("mean", 0.5, 1.1), code="thunder")

    assert change_words(odd, say) == ("thunder", "0.5")
    assert argument_words(Argument("thunder", "for", {}), made.assessment(), say) == "thunder"


def test_numbers_that_were_not_measured_are_a_dash():
    say, nothing = Speaker("en"), Bounds(math.nan, math.nan, math.nan)
    infinite = Bounds(math.inf, math.inf, math.inf)

    assert [say.figure(math.nan), say.number(math.inf), say.share(math.nan)] == ["–"] * 3
    assert [say.gap(nothing), say.gap_alone(infinite), say.measure(math.nan, "€")] == ["–"] * 3
    assert say.times(nothing) == "not answered"
    assert say.gap(Bounds(0.8, math.nan, math.inf)) == "20% smaller (– to –%)"


def test_an_error_beside_another_is_told_as_smaller_the_same_or_larger():
    say = Speaker("en")

    assert say.gap(Bounds(0.34, 0.30, 0.41)) == "66% smaller (59 to 70%)"
    assert say.gap(Bounds(1.002, 0.98, 1.03)) == "about the same (−2 to 3%)"
    assert say.gap(Bounds(2.5, 2.0, 3.0)) == "150% larger (100 to 200%)"


def test_a_target_without_a_unit_is_named_beside_its_values():
    target = replace(made.offer().target, unit="")

    assert Speaker("ja").of_target(4.1, target) == "4.1 (fare)"
    assert Speaker("ja").of_target(4.1, made.offer().target) == "4.1 €"


def test_both_languages_fill_in_the_same_values():
    pairs = [*TEXTS.values(), *(pair for steps in NEXT.values() for pair in steps)]
    for english, japanese in pairs:
        named = [
            {name for _, name, _, _ in string.Formatter().parse(text) if name}
            for text in (english, japanese)
        ]
        assert named[0] == named[1], english
    for english, japanese in [*pairs, *(pair for entry in GLOSSARY for pair in entry)]:
        assert english.strip() and japanese.strip()
        assert not KANA.search(english)
    assert {f"choice_{choice}" for choice in ("go", "pilot", "no-go")} <= set(CHOICES)
