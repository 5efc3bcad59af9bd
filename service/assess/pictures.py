"""Every picture of the report, in one language, by its place on the page."""

from collections.abc import Sequence

from service.assess.findings import Assessment, Coverage
from service.assess.pictures_conditions import changes, kinds, tolerated
from service.assess.pictures_curve import curve
from service.assess.pictures_groups import strip
from service.assess.pictures_offer import lengths, prompt, tiny
from service.assess.pictures_stability import coverage, errors, ratios, steadiness
from service.assess.pictures_worst import scatter, shares
from service.assess.words import Speaker, main_accuracy
from service.held_out import BOOSTING, MEAN, RIDGE

THIRD = 250.0  # pixels of a picture of the summary, a third of the page
METHODS = (RIDGE, BOOSTING, MEAN)  # of the learning curve, beside ours


def pictures(made: Assessment, say: Speaker) -> dict[str, str]:
    """Return the SVG of each picture by its name; empty where there is nothing to draw."""
    found = {**_offered(made, say), **_stable(made, say), **_changed(made, say)}
    accuracy = main_accuracy(made)
    found["glance_errors"] = ""
    if accuracy:
        found["glance_errors"] = errors(accuracy, _key("glance-errors", say), say, THIRD)
    offer, name = made.offer, _key("glance-curve", say)
    found["glance_curve"] = curve(offer.curve, offer.knee, (RIDGE, MEAN), name, say, THIRD)
    found["glance_changes"] = tolerated(made.conditions, _key("glance-changes", say), say, THIRD)
    return found


def _offered(made: Assessment, say: Speaker) -> dict[str, str]:
    offer = made.offer
    found = {
        f"column_{n}": tiny(column, _key(f"column-{n}", say), say)
        for n, column in enumerate((offer.target, *offer.columns))
    }
    found["lengths"] = lengths(offer, _key("lengths", say), say)
    found["prompt"] = prompt(offer, _key("prompt", say), say)
    found["curve"] = curve(offer.curve, offer.knee, METHODS, _key("curve", say), say)
    return found


def _stable(made: Assessment, say: Speaker) -> dict[str, str]:
    stability, accuracy = made.stability, main_accuracy(made)
    found = {
        "ratios": ratios(accuracy, _key("ratios", say), say) if accuracy else "",
        "coverage": coverage(_usual(made), _key("coverage", say), say),
        "steadiness": steadiness(stability.steadiness, _key("steadiness", say), say),
        "strip": strip(stability, made.offer, _key("strip", say), say),
    }
    for n, worst in enumerate(stability.worst):
        unit = made.offer.target.unit
        found[f"scatter_{n}"] = scatter(worst, _key(f"scatter-{n}", say), unit, say)
        found[f"shares_{n}"] = shares(worst, _key(f"shares-{n}", say), unit, say)
    return found


def _usual(made: Assessment) -> Sequence[Coverage]:
    """Return the intervals with the number of examples that the decision is about, or all."""
    every, main = made.stability.coverage, main_accuracy(made)
    usual = [one for one in every if main and one.example_count == main.example_count]
    return usual or every


def _changed(made: Assessment, say: Speaker) -> dict[str, str]:
    return {
        f"change_{code}": changes(every, _key(f"change-{code}", say), say.code("change", code), say)
        for code, every in kinds(made.conditions.changes).items()
    }


def _key(name: str, say: Speaker) -> str:
    return f"{name}-{say.language}"
