"""How good the answers are on real groups, through gRPC, beside what else could be done.

`python -m bench.accuracy` takes the shipped sets, `--sets FOLDER` others. Of every set a profile is
pretrained from the history as `sonoba pretrain` does, served, and asked prompts of other groups,
then prompts with a mistake in them. Medians of 160 prompts a cell differ by 5 % from draw to draw,
which is more than what is promised leaves room for: hence PROMPTS.
"""

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

import sonoba
from bench.accuracy_table import Cell, gates, show
from bench.data_sets import DataSet, read_sets
from bench.mistakes import LENGTHS as MISTAKEN_LENGTHS
from bench.mistakes import share_noticed
from bench.serving.servers import Service
from model import baselines
from model.history import Prompts
from model.prompt import Block, Examples
from service.held_out import LENGTHS, draw
from service.history_reader import Roles
from service.pretrain_run import Learnt, Plan, Refused, keep, learn, read

Array = NDArray[np.float64]

LEVELS = (0.80, 0.95)
PROMPTS, MISTAKEN_PROMPTS = 1600, 160  # of one length
PROMPTS_PER_CALL = 100
REFUSED = np.inf  # no answer is infinite: the server refuses those too


def measure(data: DataSet, folder: Path, seed: int) -> Iterator[Cell]:
    """Yield the cells of a set: one a length that its groups are long enough for."""
    store = folder / f"{data.name}-store"
    store.mkdir()
    learnt = _pretrained(data, store, seed)
    with (
        Service([], flags=("--store", str(store))) as server,
        sonoba.Client(f"127.0.0.1:{server.port}", timeout=60.0) as client,
    ):
        for length in LENGTHS:
            if prompts := draw(data.unseen(), length, seed, PROMPTS):
                cell = _cell(client, data, learnt, prompts)
                if length in MISTAKEN_LENGTHS and not cell.refusal:
                    few = prompts.take(np.arange(len(prompts.y)) < MISTAKEN_PROMPTS)
                    cell.noticed.update(share_noticed(client, _name(data), few, seed))
                yield cell


def _pretrained(data: DataSet, store: Path, seed: int) -> Learnt | None:
    """Pretrain into the store as `sonoba pretrain` does; None where it refuses the history."""
    history = store.with_suffix(".csv")
    data.write_history(history)
    roles = Roles(group=data.header[0], target=data.header[-1], is_in_order=data.is_ordered)
    plan = Plan(_name(data), history, False, roles, seed=seed)
    try:
        found = read(plan)
    except Refused:
        return None
    learnt = learn(plan, found, lambda *_: None)
    if not learnt.admission.refusal:
        keep(plan, found, learnt, store, 0.0, datetime.now(UTC))
    return learnt


def _name(data: DataSet) -> str:
    return f"{data.name}-profile".replace("_", "-")


def _cell(client: sonoba.Client, data: DataSet, learnt: Learnt | None, prompts: Prompts) -> Cell:
    x, y, queries = prompts.x, prompts.y, prompts.queries
    answers = {"foundation": _ask(client, "foundation", (), prompts)[0]}
    refusal = learnt.admission.refusal if learnt else "too few groups"
    asked = ("foundation", ()) if refusal else (_name(data), tuple(data.header[1:-1]))
    coverage = {}
    for level in LEVELS:
        answers["profile"], lower, upper = _ask(client, *asked, prompts, level)
        held = (lower <= prompts.targets) & (prompts.targets <= upper)  # (B, Q)
        coverage[level] = float((prompts.weight * held).sum() / prompts.weight.sum())
    if learnt and learnt.fitted.parameters.buckets:
        answers["EB"] = learnt.fitted.exact_answers(Block(Examples(x, y), queries))
    answers["ridge-CV"] = baselines.ridge_cv(x, y, queries)
    answers["OLS"] = baselines.ols(x, y, queries)
    errors = {method: _error(prompts, answer) for method, answer in answers.items()}
    bad = sum(int(np.isnan(answers[m]).any(axis=1).sum()) for m in ("profile", "foundation"))
    refused = int(np.isinf(answers["profile"]).any(axis=1).sum())
    sizes = x.shape[1], errors, coverage, bad, refusal
    return Cell(data.name, *sizes, prompt_count=len(x), refused_count=refused)


def _ask(
    client: sonoba.Client,
    model: str,
    columns: tuple[str, ...],
    prompts: Prompts,
    level: float | None = None,
) -> tuple[Array, Array, Array]:
    """Return predictions and bounds (B, Q) of a served model; bounds NaN without a level.

    A prompt that is refused with its reason has predictions of REFUSED.
    """
    levels = () if level is None else (level,)
    rows = zip(prompts.x, prompts.y, prompts.queries, strict=True)
    asked = [sonoba.Prompt(*row, columns, levels=levels) for row in rows]
    found = np.full((3, *prompts.targets.shape), np.nan)  # (3, B, Q)
    for start in range(0, len(asked), PROMPTS_PER_CALL):
        part = asked[start : start + PROMPTS_PER_CALL]
        told = client.predict_many(part, return_exceptions=True, model=model)
        for b, one in enumerate(told, start):
            if isinstance(one, sonoba.Prediction):
                found[0, b] = one.values
                for interval in one.intervals:
                    found[1, b], found[2, b] = interval.lower, interval.upper
            elif not isinstance(one, sonoba.InvalidPrompt):
                raise one
            else:
                found[0, b] = REFUSED
    return found[0], found[1], found[2]


def _error(prompts: Prompts, answer: Array) -> float:
    """Return the median NRMSE: RMSE over a prompt's queries by the sd of its labels.

    A refused prompt counts as infinitely far off, and in `coverage` as not held.
    """
    square = np.where(prompts.weight > 0.0, (answer - prompts.targets) ** 2, 0.0)  # (B, Q)
    rmse = np.sqrt(square.sum(axis=1) / prompts.weight.sum(axis=1))  # (B,)
    return float(np.median(rmse / prompts.y.std(axis=1)))


@click.command()
@click.option("--sets", type=click.Path(path_type=Path, exists=True), help="Folder of CSV files.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/accuracy.json"))
@click.option("--seed", default=0)
@click.option("--gate", is_flag=True, help="Exit with 1 when a gate is missed.")
def main(sets: Path | None, out: Path, seed: int, gate: bool) -> None:
    """Print the error of every model and baseline on real sets, and write it as JSON."""
    cells: list[Cell] = []
    with tempfile.TemporaryDirectory() as folder:
        for data in read_sets(sets):
            cells += measure(data, Path(folder), seed)
            click.echo(f"{data.name}: {cells[-1].refusal or 'done'}", err=True)
    show(cells)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([cell.as_json() for cell in cells], indent=2) + "\n")
    if gate and not all(one.ok for one in gates(cells)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
