"""The file of business rules, and the commands that check and show it."""

import itertools
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner

from model.store import Store
from monitoring.rules import Rules
from service.business_rules import RulesError, default_rules, parse, read
from service.rule_values import RuleValues, duration_of, seconds_of
from service.rules_command import default_file, rules
from tests.model.versions import ARRAYS, a_draft

SHIPPED = Path(__file__).parents[2] / "deploy" / "business-rules.yaml"
TIME = "expected a time of at most a year such as 90, 90s, 30m, 6h or 7d"


def run(*arguments):
    return CliRunner().invoke(rules, [*map(str, arguments)], terminal_width=200)


def test_the_file_that_is_shipped_holds_the_defaults_and_every_rule():
    found = read(SHIPPED)

    assert found.for_model("any") == default_rules().for_model("any") == Rules()
    assert SHIPPED.read_text() == default_file()
    assert found.defaults.model_fields_set == set(asdict(Rules()))


def test_every_rule_of_the_policy_can_be_written_and_says_what_it_means():
    assert list(RuleValues.model_fields) == list(asdict(Rules()))
    assert RuleValues().model_dump() == asdict(Rules())
    assert all(field.description.endswith(".") for field in RuleValues.model_fields.values())


def test_a_model_has_its_own_rules_then_the_files_then_ours():
    found = parse(
        "version: 1\n"
        "defaults: {minimum_gain: 0.08, cool_down_seconds: 12h}\n"
        "models:\n  bikes: {cool_down_seconds: 90s, recalibrate: approve, minimum_prompts: 300}\n",
        "rules.yaml",
    )
    bikes, cars = found.for_model("bikes"), found.for_model("cars")

    assert (bikes.cool_down_seconds, bikes.recalibrate, bikes.minimum_prompts) == (
        90,
        "approve",
        300,
    )
    assert (bikes.minimum_gain, cars.minimum_gain) == (0.08, 0.08)
    assert (cars.cool_down_seconds, cars.recalibrate) == (43_200.0, "auto")
    assert found.changed("cars") == ["minimum_gain", "cool_down_seconds"]


def test_an_override_that_says_the_default_still_wins_over_the_files_defaults():
    found = parse(
        "version: 1\ndefaults: {minimum_gain: 0.5}\nmodels: {bikes: {minimum_gain: 0.05}}", "f"
    )

    assert found.for_model("bikes").minimum_gain == 0.05


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("6h", 21_600), ("7d", 604_800), ("1.5 h", 5400), (90, 90)],
)
def test_times_are_seconds_or_carry_their_unit(text, seconds):
    found = parse(f"version: 1\ndefaults: {{calm_seconds: {text}}}", "f").for_model("x")

    assert found.calm_seconds == seconds
    assert seconds_of(duration_of(float(seconds))) == seconds


WRONG = [
    ("", "expected a mapping with version: 1, got nothing"),
    ("- 1", "expected a mapping with version: 1, got a list"),
    ("defaults: {}", "version: expected 1, got nothing"),
    ("version: 2", "version: expected 1, got 2"),
    ("version: true", "version: expected 1, got True"),
    ("version: 1\nrules: {}", "rules: there is no such rule"),
    (
        "version: 1\ndefaults: {minimum_gian: 0.1}",
        "defaults.minimum_gian: there is no such rule; did you mean minimum_gain?",
    ),
    (
        "version: 1\nmodels: {bikes: {cool_down: 1h}}",
        "models.bikes.cool_down: there is no such rule; did you mean cool_down_seconds?",
    ),
    (
        "version: 1\ndefaults: {minimum_gain: much}",
        "defaults.minimum_gain: expected a number, got 'much'",
    ),
    ("version: 1\ndefaults: {minimum_gain: 5}", "minimum_gain: expected at most 1, got 5"),
    ("version: 1\ndefaults: {minimum_gain: .nan}", "minimum_gain: expected a number, got nan"),
    ("version: 1\ndefaults: {minimum_prompts: 1}", "minimum_prompts: expected at least 20, got 1"),
    ("version: 1\ndefaults: {minimum_prompts: 1e3}", "expected a whole number, got '1e3'"),
    ("version: 1\ndefaults: {minimum_prompts: 300.5}", "expected a whole number, got 300.5"),
    ("version: 1\ndefaults: {actions_per_day_max: true}", "expected a whole number, got True"),
    (
        "version: 1\ndefaults: {recalibrate: never}",
        "defaults.recalibrate: expected one of 'auto' or 'approve', got 'never'",
    ),
    ("version: 1\ndefaults: {propose_below_minimum_gain: 1}", "expected true or false, got 1"),
    ("version: 1\ndefaults: {calm_seconds: 6 hours}", f"calm_seconds: {TIME}, got '6 hours'"),
    ("version: 1\ndefaults: {calm_seconds: -1}", f"calm_seconds: {TIME}, got -1"),
    ("version: 1\ndefaults: {watch_seconds_max: 400d}", f"watch_seconds_max: {TIME}, got"),
    ("version: 1\nmodels: {bikes: }", "models.bikes: expected rules by name, got nothing"),
    ("version: 1\nmodels: [bikes]", "models: expected rules by name, got a list"),
    ("version: 1\nmodels: {1: {}}", "expected a name, in quotes where YAML would read a number"),
    (
        "version: 1\ndefaults: {error_enter: 1.1}",
        "defaults.error_leave: expected at most error_enter, 1.1, got 1.25",
    ),
    (
        "version: 1\nmodels: {bikes: {error_leave: 3}}",
        "models.bikes.error_leave: expected at most error_enter, 2, got 3",
    ),
    ("version: 1\nversion: 1", "line 2, column 1: version stands here twice"),
    ("version: 1\n  a: b: c", "line 2, column 4: mapping values are not allowed here"),
    ("version: 1\n[a]: 2", "line 2, column 1: "),
    ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ("{" * 3000, "expected YAML, got: "),
    ("version: \x00", "expected YAML, got: "),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_what_is_wrong_is_a_sentence_that_names_the_place(text, sentence):
    with pytest.raises(RulesError) as error:
        parse(text, "rules.yaml")

    assert str(error.value).startswith("rules.yaml: ")
    assert sentence in str(error.value)


def test_every_fault_is_told_at_once():
    with pytest.raises(RulesError) as error:
        parse("version: 3\ndefaults: {minimum_gain: x}\nmodels: {a: {b: 1}}", "f")

    assert len(str(error.value).splitlines()) == 3


def test_a_bomb_of_aliases_is_refused_quickly_and_briefly():
    names = "abcdefghijklmnopqrstuvwxyz"
    lines = [f"{names[0]}: &{names[0]} [x, x]"]
    for before, name in itertools.pairwise(names):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    with pytest.raises(RulesError) as error:
        parse("\n".join(["version: 1", *lines, "defaults: *z"]), "f")

    assert len(str(error.value)) < 10_000


def test_files_that_cannot_be_read_are_sentences(tmp_path):
    text, large = tmp_path / "latin.yaml", tmp_path / "large.yaml"
    text.write_bytes("version: 1 # é".encode("latin-1"))
    large.write_text("#" * 2**21)
    for path, sentence in (
        (tmp_path / "none.yaml", "no such file or directory"),
        (tmp_path, "is a directory"),
        (text, "expected UTF-8 text"),
        (large, "expected at most 1048576 bytes"),
    ):
        with pytest.raises(RulesError, match=sentence):
            read(path)


def test_the_command_checks_a_file_as_the_reevaluator_reads_it(tmp_path):
    Store(tmp_path / "store").save(a_draft(), ARRAYS)
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(
        "version: 1\ndefaults: {minimum_gain: 0.05}\n"
        "models: {bikes: {shadow_prompts: 500}, bycicles: {roll_back: approve}}"
    )
    bad.write_text("version: 1\ndefaults: {minimum_gian: 0.1}")
    checked, refused = run("check", good, "--store", tmp_path / "store"), run("check", bad)

    assert checked.exit_code == 0
    assert checked.stdout.splitlines() == [
        "defaults: nothing changed",
        "models.bikes: shadow_prompts changed",
        "models.bycicles: roll_back changed",
        f"{good}: right",
    ]
    assert "models.bycicles" in checked.stderr and "models.bikes" not in checked.stderr
    assert refused.exit_code == 1
    assert "did you mean minimum_gain?" in refused.stderr


def test_the_command_shows_the_rules_in_force_and_marks_what_was_changed(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("version: 1\nmodels: {bikes: {cool_down_seconds: 12h}}")
    shown = run("show", "--file", path, "--model", "bikes").stdout
    lines = [line.split() for line in shown.splitlines()]

    assert ["*", "cool_down_seconds", "12h"] in [line[:3] for line in lines]
    assert ["minimum_gain", "0.05"] in [line[:2] for line in lines]
    for name in RuleValues.model_fields:
        assert name in shown
    assert run("show", "--yaml").stdout == SHIPPED.read_text()
    assert "the defaults, no file was named" in run("show").stdout
