"""A whole assessment by hand, taxi fares in forty cities: what tests of its last steps read."""

from dataclasses import replace
from datetime import UTC, datetime

from service.assess.decision import decide
from service.assess.findings import (
    Accuracy,
    Assessment,
    Bounds,
    Change,
    ColumnFound,
    Conditions,
    Cost,
    Coverage,
    CurvePoint,
    MethodError,
    Offer,
    QualityFinding,
    Share,
    Stability,
    Steadiness,
    WorstGroup,
)

CREATED = datetime(2026, 11, 4, 10, 32, 5, tzinfo=UTC)
EXAMPLES = 32


def around(value, share=0.05):
    return Bounds(value, value * (1 - share), value * (1 + share))


def columns():
    bars = (3, 40, 310, 920, 1400, 830, 260, 32, 9, 1)
    yield ColumnFound("km", "number", "km", 0.4, 5.2, 61.0, 0.0, ("km",), bars)
    yield ColumnFound("hour", "number", "h", 0.0, 14.0, 23.0, 0.004, ("hour",), (300,) * 12)
    levels = ("dry", "rain", "snow")
    yield ColumnFound(
        *("weather", "category", "", None, None, None, 0.012),
        features=("weather=rain", "weather=snow"),
        bars=(2600, 1000, 205),
        levels=levels,
    )
    yield ColumnFound("day", "date", "", 0.0, 180.0, 364.0, 0.0, ("day.days",), (310,) * 12)


def fault(**changed):
    found = QualityFinding(
        code="number_as_text",
        weight="repair",
        columns=("km",),
        row_count=41,
        examples=("5.2 km", "11 km"),
        detail={"kind": "unit", "mark": "km", "share": 0.011, "row": 18},
    )
    return replace(found, **changed)


def offer(**changed):
    bars = (10, 90, 480, 1320, 1100, 520, 210, 75)
    target = ColumnFound("fare", "number", "€", 3.2, 14.1, 96.0, 0.0, (), bars)
    errors = ((4, 0.71), (8, 0.52), (16, 0.41), (32, 0.35), (64, 0.34))
    curve = tuple(
        CurvePoint(
            *(M, 160, around(error)),
            {"ridge-CV": error * 1.3, "mean": 1.04, "boosting": error * 1.1},
        )
        for M, error in errors
    )
    made = Offer(
        source="fares.csv",
        group="city",
        target=target,
        columns=tuple(columns()),
        row_count=3821,
        used_row_count=3805,
        group_count=40,
        lengths=(41, 92, 180),
        length_bars=((32, 2), (48, 6), (64, 18), (96, 11), (128, 3)),
        is_ordered=False,
        learnt_groups=28,
        held_out_groups=12,
        queries=16,
        quality=(
            QualityFinding(
                *("missing", "know", ("weather",), 46, ()),
                {"share": 0.012, "row": 7},
            ),
        ),
        curve=curve,
        knee=EXAMPLES,
        notices=(),
    )
    return replace(made, **changed)


def accuracy(example_count, error, mean=0.34, ridge=0.78, boosting=0.91):
    """Return the methods' errors, given our error by theirs."""
    ratios = {"exact": 1.0, "ridge-CV": ridge, "OLS": ridge / 1.2, "boosting": boosting}
    ratios["mean"] = mean
    ours = MethodError("profile", error, Bounds(1.0, 1.0, 1.0))
    others = (MethodError(name, error / r, around(r)) for name, r in ratios.items())
    return Accuracy(example_count, 160, (ours, *others), typical_error=4.1, within=5.0)


def worst(name="Turku", ratio=2.1):
    answers = tuple((10.0 + i, 10.4 + 0.9 * i) for i in range(40))
    return WorstGroup(
        name=name,
        error=0.35 * ratio,
        ratio=ratio,
        prompt_count=13,
        answers=answers,
        code="few_rows",
        detail={
            **{"rows": 41, "usual_rows": 92, "examples": 16, "refused": 0.0, "needed": 35},
            **{"usual_examples": 32, "usual_error": 0.35, "short_error": 0.41, "judged": 25},
            "cause": "fewer_examples",
        },
        truth=31.0,
        answer=22.6,
        base=14.0,
        shares=(Share("km", 11.0, 5.0, 7.9), Share("weather = snow", 1.0, 0.06, 0.7)),
    )


def stability(**changed):
    lengths = ((8, 0.52), (16, 0.41), (32, 0.35), (64, 0.34))
    moved = {"reordered": 0.0, "resampled": 0.34, "one_dropped": 0.03, "fifth_dropped": 0.14}
    made = Stability(
        accuracy=tuple(accuracy(M, error) for M, error in lengths),
        coverage=tuple(
            Coverage(level, EXAMPLES, Bounds(level, level - 0.03, level + 0.02), width)
            for level, width in ((0.8, 5.1), (0.9, 7.0), (0.95, 8.9))
        ),
        steadiness=tuple(
            Steadiness(code, EXAMPLES, m, 2.1 * m, 4.0 * m) for code, m in moved.items()
        ),
        group_errors=(0.21, 0.26, 0.3, 0.31, 0.33, 0.34, 0.36, 0.36, 0.4, 0.43, 0.52, 0.74),
        worst=(worst(), worst("Oulu", 1.5)),
        is_boosting_compared=True,
        answered_by_profile=0.99,
    )
    return replace(made, **changed)


def change(code, strength, ratio, **changed):
    """Return a change that is tolerated below 1.25; else an alert fires after 140 prompts."""
    told = ratio >= 1.25
    made = Change(
        code=code,
        strength=strength,
        columns=("km",) if code in ("missing", "wrong_unit") else (),
        error=0.35 * ratio,
        ratio=around(ratio),
        refused=0.0,
        is_tolerated=not told,
        alert="SonobaErrorInflationCritical" if told else "",
        severity="critical" if told else None,
        prompts_to_alert=140 if told else None,
        alerted=1.0 if told else 0.0,
    )
    return replace(made, **changed)


def conditions(**changed):
    tried = (
        *(("scale", 2.0, 1.02), ("scale", 10.0, 1.08), ("mean", 1.0, 1.01), ("mean", 3.0, 1.31)),
        *(("rotation", 30.0, 1.06), ("correlation", 0.9, 1.03), ("label_noise", 2.0, 1.84)),
        *(("missing", 1.0, 1.4), ("wrong_unit", 1000.0, 2.6), ("fewer_examples", 16.0, 1.17)),
        *(("fewer_examples", 8.0, 1.49), ("stale_groups", 0.4, 1.04)),
    )
    made = Conditions(
        example_count=EXAMPLES,
        changes=tuple(change(*one) for one in tried),
        quiet_alerts=0.0,
        run_prompts=600,
        run_count=20,
        unwatched="",
    )
    return replace(made, **changed)


def cost(**changed):
    return replace(Cost(EXAMPLES, 92.0, 0.026, 118.0, 6.4), **changed)


def findings(choice):
    """Return what the three steps find where they come to a choice."""
    match choice:
        case "go":
            return offer(), stability(), conditions()
        case "pilot":
            few = offer(group_count=10, learnt_groups=7, held_out_groups=3)
            told = conditions().changes
            silent = tuple(
                replace(c, alert="", alerted=0.1) if c.code == "label_noise" else c for c in told
            )
            return few, stability(), conditions(changes=silent)
    lengths = ((8, 1.2), (16, 1.1), (32, 1.05), (64, 1.01))
    useless = tuple(accuracy(M, error, mean=error) for M, error in lengths)
    return offer(), stability(accuracy=useless, group_errors=(0.9, 1.0, 1.1, 1.3)), conditions()


def assessment(choice="go", **changed):
    """Return a full assessment that ends with a choice."""
    offered, stable, tried = findings(choice)
    made = Assessment(
        name="fares",
        created=CREATED,
        code_version="0.1.0",
        command="sonoba assess fares.csv --group city --target fare --out report.html",
        seed=0,
        seconds=41.0,
        offer=offered,
        stability=stable,
        conditions=tried,
        decision=decide(offered, stable, tried, cost(), "fares"),
    )
    return replace(made, **changed)
