"""What sending prompts together buys: 256 of one shape in a call, against one a call."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.serving import prompts
from bench.serving.floor import KINDS
from bench.serving.lab import Cost, Lab, ratio
from bench.serving.prompts import BATCH_PROMPTS, SHAPES, Shape
from bench.serving.servers import Service
from bench.spread import Spread


@dataclass(frozen=True, slots=True)
class Batch:
    """One model at one shape; costs are per call, the gain is per prompt."""

    model: str
    shape: Shape
    gain: Spread  # prompts/s in batches ÷ prompts/s one by one
    unary: Cost
    batch: Cost


def measure(lab: Lab, papers: list[Path], tick: Callable[[], None]) -> list[Batch]:
    """Return the gain of both models at the two smaller shapes."""
    rows = []
    with Service([lab.cores.server], papers) as service:
        for kind in KINDS:
            for shape in SHAPES[:2]:
                samples = lab.in_turns(
                    {
                        "unary": lab.contender(service, prompts.unary(kind, shape)),
                        "batch": lab.contender(
                            service, prompts.batch(kind, shape), prompts.PREDICT_BATCH
                        ),
                    }
                )
                one, many = samples["unary"], samples["batch"]
                gain = Spread(*(BATCH_PROMPTS * x for x in ratio(many, one, "rate")))
                rows.append(Batch(kind, shape, gain, Cost.of(one), Cost.of(many)))
                tick()
    return rows
