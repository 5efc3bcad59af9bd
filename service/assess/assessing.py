"""The steps of an assessment in their order: read, learn, look three times, count the cost, decide.

`Refused` and `TableError` say in a sentence what to do about a history that cannot be assessed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from model.profile_fit import Tick
from service import __version__
from service.assess.conditions import conditions
from service.assess.cost import cost
from service.assess.decision import decide
from service.assess.evidence import Evidence
from service.assess.findings import Assessment
from service.assess.material import Material, prepare
from service.assess.offer import offer
from service.assess.stability import stability
from service.history_reader import Roles
from service.pretrain_run import Plan, Refused, read

LEARNT = "pooled gradient boosting"  # the stage of `prepare` before which the profile is complete
SPANS = {  # share of the bar at which each step begins
    **{"reading": 0.0, "learning": 0.05, "offer": 0.25, "stability": 0.4},
    **{"conditions": 0.6, "cost": 0.95},
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be assessed, and the line that asks for it."""

    name: str
    source: Path
    roles: Roles
    seed: int
    command: str


class _Clock:
    """Moves one bar through all steps, and notices when the profile is complete."""

    def __init__(self, tick: Tick) -> None:
        self._tick, self.learnt = tick, 0.0

    def of(self, step: str, words: str) -> Tick:
        """Return the tick of one step, whose shares are a span of the whole."""
        begins = [*SPANS.values(), 1.0]
        low = SPANS[step]
        high = begins[begins.index(low) + 1]

        def tick(stage: str, share: float) -> None:
            if stage == LEARNT and not self.learnt:
                self.learnt = time.monotonic()
            self._tick(f"{words}: {stage}" if stage else words, low + (high - low) * share)

        tick("", 0.0)
        return tick


def assess(asked: Asked, created: datetime, tick: Tick) -> Assessment:
    """Read a history, look at it in three steps and decide.

    Raises `TableError` and `Refused`: sentences on what to do about the file.
    """
    begin, clock = time.monotonic(), _Clock(tick)
    clock.of("reading", f"reading {asked.source.name}")
    found = read(Plan(asked.name, asked.source, False, asked.roles, seed=asked.seed))
    learning = time.monotonic()
    material = prepare(found, asked.seed, clock.of("learning", "learning from part of the groups"))
    if not material.prompts:
        raise Refused(_nothing_varies(asked.roles, material))
    learnt = (clock.learnt or time.monotonic()) - learning
    return _looked(asked, created, begin, learnt, material, clock.of)


def _looked(
    asked: Asked,
    created: datetime,
    begin: float,
    learning_seconds: float,
    material: Material,
    step: Callable[[str, str], Tick],
) -> Assessment:
    """Take the three steps and decide."""
    offered = offer(
        asked.source, asked.roles, material, step("offer", "step 1, what the data offers")
    )
    stable = stability(material, step("stability", "step 2, is the answer stable"))
    changed = conditions(material, step("conditions", "step 3, changed conditions"))
    step("cost", "what a prediction costs")
    examples = Evidence(offered, stable, changed).examples
    priced = cost(material, examples, learning_seconds)
    return Assessment(
        name=asked.name,
        created=created,
        code_version=__version__,
        command=asked.command,
        seed=asked.seed,
        seconds=time.monotonic() - begin,
        offer=offered,
        stability=stable,
        conditions=changed,
        decision=decide(offered, stable, changed, priced, asked.name),
    )


def _nothing_varies(roles: Roles, material: Material) -> str:
    groups = len(material.unseen.groups)
    return (
        f"{roles.target!r} does not vary within any of the {groups} groups held out, so there is "
        "nothing to predict: choose another --target, or a coarser --group"
    )
