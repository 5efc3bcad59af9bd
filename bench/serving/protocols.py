"""The same prompt in our own contract and in the Open Inference Protocol: what the adapter costs.

One server answers both, in turns on one core; requests are raw (docs/open-inference.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table

from bench.promises import Gate, at_most
from bench.serving import prompts
from bench.serving.lab import Cost, Lab, ratio
from bench.serving.part import SPREAD, Part, Tick
from bench.serving.prompts import BATCH_PROMPTS, SHAPES, Shape
from bench.serving.servers import Models, Service
from bench.spread import Spread
from bench.tables import titled
from model.prompt import Examples
from service.oip_messages import Messages

GATE = 1.5
ROWS = (*((shape, 1) for shape in SHAPES), (SHAPES[0], BATCH_PROMPTS))
GATED = ((SHAPES[0], 1), (SHAPES[1], 1))


@dataclass(frozen=True, slots=True)
class Spoken:
    """Prompts of one shape in both protocols; 1 would be an adapter for nothing."""

    shape: Shape
    prompt_count: int
    cpu_ratio: Spread  # processor time a call, Open Inference ÷ ours
    open_inference: Cost
    ours: Cost


def infer(kind: str, shape: Shape, prompt_count: int = 1) -> bytes:
    """Return a ModelInferRequest of a prompt, or of many stacked ones, its numbers raw."""
    block = prompts.block(shape, prompt_count)
    assert isinstance(block.context, Examples)
    arrays = {"x": block.context.x, "y": block.context.y, "query": block.queries}
    if prompt_count == 1:
        arrays = {name: array[0] for name, array in arrays.items()}
    inputs = [
        {"name": name, "datatype": "FP64", "shape": array.shape} for name, array in arrays.items()
    ]
    fields = {
        "model_name": prompts.model_name(kind, shape),
        "inputs": inputs,
        "raw_input_contents": [array.astype("<f8").tobytes() for array in arrays.values()],
    }
    return Messages().written("ModelInferRequest", fields)


def measure(lab: Lab, models: Models, tick: Tick) -> list[Spoken]:
    """Return the cost of both for `paper`."""
    with Service([lab.cores.server], models) as service:
        return [_row(lab, service, *row, tick) for row in ROWS]


def _row(lab: Lab, service: Service, shape: Shape, prompt_count: int, tick: Tick) -> Spoken:
    method, message = prompts.PREDICT, prompts.unary("paper", shape)
    if prompt_count > 1:
        method = prompts.PREDICT_BATCH
        message = prompts.batch("paper", shape, prompt_count=prompt_count)
    contenders = {
        "theirs": lab.contender(service, infer("paper", shape, prompt_count), prompts.MODEL_INFER),
        "ours": lab.contender(service, message, method),
    }
    samples = lab.in_turns(contenders)
    theirs, ours = samples["theirs"], samples["ours"]
    tick()
    cpu_ratio = ratio(theirs, ours, "cpu_us")
    return Spoken(shape, prompt_count, cpu_ratio, Cost.of(theirs), Cost.of(ours))


def tables(rows: list[Spoken]) -> Iterator[Table]:
    """Show every row."""
    table = titled(
        f"Open Inference Protocol against our own contract, `paper`, {SPREAD}",
        *("shape, prompts a call", "CPU, Open Inference ÷ ours"),
        *("µs CPU a call", "ours", "calls/s", "ours"),
    )
    for row in rows:
        table.add_row(
            f"{row.shape}, {row.prompt_count}",
            row.cpu_ratio.text(),
            f"{row.open_inference.cpu_us.median:.0f}",
            f"{row.ours.cpu_us.median:.0f}",
            f"{row.open_inference.rate.median:.0f}",
            f"{row.ours.rate.median:.0f}",
        )
    yield table


def gates(rows: list[Spoken]) -> Iterator[Gate]:
    """Promise what the adapter takes of a small prompt."""
    for row in rows:
        if (row.shape, row.prompt_count) in GATED:
            name = f"paper {row.shape}, Open Inference ÷ ours, CPU"
            yield at_most(name, row.cpu_ratio.median, GATE)


PART = Part("protocols", "protocols", lambda _: len(ROWS), measure, tables, gates)
