"""What the page reads out of an assessment: the sentence why, the reasons, cells of tables."""

from collections.abc import Sequence

from service.assess.findings import Accuracy, Argument, Assessment, Bounds, ColumnFound
from service.assess.words import Speaker, argument_words, main_accuracy
from service.held_out import MEAN, METHODS, PROFILE

REASONS = 3
LEVELS_NAMED = 4
ROUNDING = 1e-12  # of the largest value: a sine of π is no number to show


def why(made: Assessment, say: Speaker) -> str:
    """Return the one sentence that says why: of a no-go, what weighs most."""
    main, choice = main_accuracy(made), made.decision.choice
    if choice == "no-go" and made.decision.arguments:
        return argument_words(made.decision.arguments[0], made, say)
    beside = [one.ratio for one in main.methods if one.method == MEAN] if main else []
    typical = say.of_target(main.typical_error if main else None, made.offer.target)
    return say(
        f"why_{choice}",
        held_out=say.count(made.offer.held_out_groups),
        gap=say.gap(beside[0] if beside else Bounds(*3 * (float("nan"),))),
        typical=typical,
        count=say.count(sum(one.speaks == "caution" for one in made.decision.arguments)),
    )


def reasons(made: Assessment) -> Sequence[Argument]:
    """Return the three weightiest arguments; of a pilot, one that speaks for it among them.

    Of a no-go those behind the first, which `why` has said.
    """
    every = made.decision.arguments
    good = [one for one in every if one.speaks == "for"]
    if made.decision.choice == "pilot":
        doubts = [one for one in every if one.speaks != "for"]
        return [*doubts[: REASONS - len(good[:1])], *good[:1]]
    return good[:REASONS] if made.decision.choice == "go" else every[1 : REASONS + 1]


def methods(made: Assessment) -> list[str]:
    """Return the methods that were judged, ours first."""
    judged = {one.method for cell in made.stability.accuracy for one in cell.methods}
    return [name for name in METHODS if name in judged]


def cell(accuracy: Accuracy, method: str, say: Speaker) -> tuple[str, ...]:
    """Return a method's error, and ours against it."""
    found = [one for one in accuracy.methods if one.method == method]
    if not found:
        return ("–",)
    error = say.number(found[0].error)
    return (error,) if method == PROFILE else (error, say.gap(found[0].ratio))


def levels(made: Assessment) -> list[float]:
    """Return the levels of the intervals."""
    return sorted({one.level for one in made.stability.coverage})


def covered(made: Assessment, example_count: int, level: float, say: Speaker) -> tuple[str, ...]:
    """Return how many truths intervals hold with so many examples, its bounds, their width."""
    for one in made.stability.coverage:
        if (one.example_count, one.level) == (example_count, level):
            share = {key: say.share(getattr(one.covered, key)) for key in ("low", "high")}
            bounds = say("bounds_alone", **share)
            return say.share(one.covered.value), bounds, f"± {say.figure(one.half_width)}"
    return ("–",)


def ends(column: ColumnFound, say: Speaker) -> tuple[str, str, str]:
    """Return the smallest, middle and largest value of a column of numbers."""
    known = [value for value in (column.low, column.high) if value is not None]
    nothing = ROUNDING * max(map(abs, known), default=0.0)
    low, middle, high = (
        say.measure(0.0 if value is not None and abs(value) < nothing else value, column.unit)
        for value in (column.low, column.middle, column.high)
    )
    return low, middle, high


def levels_words(column: ColumnFound, say: Speaker) -> str:
    """Return the first levels of a category."""
    named = [level for level in column.levels if level]
    text = say("separator").join(named[:LEVELS_NAMED])
    more = len(named) - LEVELS_NAMED
    return say("levels_more", names=text, count=say.count(more)) if more > 0 else text
