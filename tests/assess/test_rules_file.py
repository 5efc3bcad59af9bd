"""The rules of a decision: read as the re-evaluator reads them, whatever a column is called."""

import math
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from model.manifest import NAME
from monitoring.rules import Rules
from service.assess.decision import decide
from service.assess.findings import Bounds, DeclaredLimits
from service.assess.rules_file import Lines, opportunity, rules_file
from service.business_rules import parse
from service.rules_command import rules
from tests.assess import findings_made as made

LIMITS = DeclaredLimits(4.1, 1.25, 0.77, 16, (("km", 0.4, 61.0),))
LINES = Lines("€", 32, 2.0, 1.0)


def read(text, name="fares"):
    return parse(text, "rules.yaml").for_model(name)


@pytest.mark.parametrize("choice", ["go", "pilot", "no-go"])
def test_the_command_finds_the_rules_right(choice, tmp_path):
    file = tmp_path / "fares.rules.yaml"
    file.write_text(made.assessment(choice).decision.rules, encoding="utf-8")

    done = CliRunner().invoke(rules, ["check", str(file)])

    assert done.exit_code == 0, done.output
    assert done.output.endswith(f"{file}: right\n")
    assert "models.fares: " in done.output


def test_a_go_is_left_to_itself_and_a_pilot_to_a_person():
    found = {c: read(made.assessment(c).decision.rules) for c in ("go", "pilot", "no-go")}

    assert found["go"] == Rules()  # what is declared of this history is what is usual
    assert found["pilot"] == replace(Rules(), recalibrate="approve", actions_per_day_max=1)
    assert found["no-go"].actions_per_day_max == 0
    assert {rule.repretrain for rule in found.values()} == {"approve"}


def test_a_small_gain_draws_the_lines_nearer():
    mean = Bounds(0.92, 0.9, 0.94)
    cell = made.stability().accuracy[2]
    methods = (replace(m, ratio=mean) if m.method == "mean" else m for m in cell.methods)
    stability = made.stability(accuracy=(replace(cell, methods=tuple(methods)),))

    found = read(
        decide(made.offer(), stability, made.conditions(), made.cost(), "fares").rules, "fares"
    )

    lost = math.floor(100 / 0.92**2) / 100  # the squared error of the mean over ours
    assert (found.error_risen, found.error_leave, found.error_enter) == (lost, lost, lost)


def test_where_history_ages_a_renewal_is_worth_less_than_usual():
    stale = replace(made.change("stale_rows", 0.5, 1.06), ratio=Bounds(1.06, 1.01, 1.1))
    conditions = made.conditions(changes=(stale,))

    found = read(decide(made.offer(), made.stability(), conditions, made.cost(), "fares").rules)

    naive = 1 - 1 / 1.06**2  # share of the squared error that age costs
    assert naive - 0.01 < found.opportunity_gain <= naive
    assert Rules().opportunity_gain == opportunity(2.0)


def test_what_was_declared_stands_in_plain_words():
    text = rules_file("fares", "pilot", LIMITS, LINES)

    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert "#   error     an answer errs by 4.1 € typically, with 32 examples a prompt" in comments
    assert "#   coverage  at least 77% of the truths lie in the 80 % intervals:" in comments
    assert "#   examples  at least 16 in every prompt" in comments
    assert "#             km: 0.4 to 61" in comments
    every_rule = re.findall(r"^    (#|\w+)", text, re.MULTILINE)
    assert every_rule[0] == "#"  # none without its reason before it


def test_what_was_not_measured_is_not_declared():
    nothing = DeclaredLimits(math.nan, 1.25, math.nan, 0, ())

    text = rules_file("fares", "no-go", nothing, LINES)

    assert "nan" not in text
    assert read(text).actions_per_day_max == 0


@pytest.mark.slow
@given(
    name=st.from_regex(NAME, fullmatch=True),
    column=st.text(max_size=200),
    unit=st.text(max_size=30),
    risen=st.floats(1.05, 1.25).map(lambda value: math.floor(value * 100) / 100),
    stale=st.floats(1.0, 50.0),
)
@settings(max_examples=200, deadline=None)
def test_no_name_breaks_the_file(name, column, unit, risen, stale):
    limits = replace(LIMITS, error_ratio_max=risen, ranges=((column, -1.0, 1e300),))

    found = parse(rules_file(name, "go", limits, Lines(unit, 8, 2.0, stale)), "rules.yaml")

    assert set(found.models) == {name}
    assert found.for_model(name).error_risen == risen


def test_a_very_wide_history_leaves_a_file_that_is_read(tmp_path):
    columns = tuple((f"column {i} " + "x" * 300, 0.0, 1.0) for i in range(5000))

    text = rules_file("wide", "go", replace(LIMITS, ranges=columns), LINES)

    assert len(text) < 2**16
    assert "and 4800 more" in text
    assert parse(text, "rules.yaml").models
