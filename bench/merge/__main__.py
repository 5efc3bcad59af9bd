"""`python -m bench.merge`: do the sums of many replicas merge exactly, and what does a look cost?

One stream of prompts is split among replicas with a real monitor each. What they tell travels as
bytes, is merged by the re-evaluator's code, and is compared with one monitor that saw the same
prompts. Then the re-evaluator's client asks as many admin ports over gRPC.
"""

import json
import sys
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import machine
from bench.drift_subjects import KINDS, BestLayer, Setting, Subject, first_prompts, subjects
from bench.drift_worlds import worlds
from bench.merge.compare import Compared, compare
from bench.merge.fleet import CASES, run
from bench.merge.pull import Pulled, answer_of, pull
from bench.promises import Gate, at_least, plain
from bench.tables import held, titled
from service.gather import SHARE_MIN
from service.replicas import Told

SETTING = Setting("iid5, two lengths", "iid5", worlds()["iid5"], (16, 50))
STATES = 20  # made for the ports, which hand them out in turn


def subject_of(kind: str) -> Subject:
    """Return the model of a kind with its reference."""
    if kind == "paper":  # without fitting the others, which takes most of the time
        model, rng = BestLayer(SETTING.world), np.random.default_rng(0)
        return Subject(kind, model, first_prompts(kind, model, SETTING, rng), {})
    return next(one for one in subjects(SETTING, 0, 100) if one.kind == kind)


def merged(found: list[Compared]) -> Table:
    """Return what merges are off by."""
    table = titled(
        "Merged, beside one monitor that saw the same prompts",
        *("prompts split", "shift", "told of prompts", "replicas missing", "verdict"),
        *("counts off", "sums off", "other order", "gate off", "merge, ms"),
    )
    for one in found:
        same = "" if one.verdict == one.single_verdict else f" (alone: {one.single_verdict})"
        few = "" if one.is_enough else ", too many"
        table.add_row(
            *(one.case.name, one.case.shift, f"{one.told_count:,} of {one.prompt_count:,}"),
            *(f"{one.missing_count}{few}", one.verdict + same, f"{one.count_error:g}"),
            *(f"{one.sum_error:.1e}", f"{one.order_error:.1e}", f"{one.level_error:.1e}"),
            f"{1e3 * one.merge_seconds:.0f}",
        )
    return table


def pulled(found: list[Pulled]) -> Table:
    """Return what looks at many ports cost."""
    table = titled(
        "Asked over gRPC, and merged",
        *("replicas", "first look, s", "answered", "later looks, s", "answered", "CPU a look, s"),
        *("MB before", "after one", "after all"),
    )
    for one in found:
        first, *later = one.looks
        table.add_row(
            *(f"{one.replica_count:,}", f"{first.seconds:.2f}", str(first.told_count)),
            f"{min(it.seconds for it in later):.2f}-{max(it.seconds for it in later):.2f}",
            str(min(it.told_count for it in later)),
            f"{max(it.cpu_seconds for it in later):.2f}",
            *(f"{memory:.0f}" for memory in one.memory_mb),
        )
    return table


def asked(subject: Subject, replica_count: int, each: int) -> list[Pulled]:
    """Ask a tenth of the ports, then all."""
    fleet = run(SETTING, subject, CASES[0], STATES, each)
    answers = [answer_of(one) for one in fleet.found if isinstance(one, Told)]
    return [pull(answers, count) for count in sorted({max(replica_count // 10, 1), replica_count})]


def promised(found: list[Pulled]) -> list[Gate]:
    """Return what is promised of looks: on a busy machine too, enough answer in time."""
    return [
        at_least(
            f"answers of {one.replica_count} replicas, later looks",
            min(look.told_count for look in one.looks[1:]),
            SHARE_MIN * one.replica_count,
        )
        for one in found
    ]


@click.command()
@click.option("--replicas", default=1000, help="Replicas.")
@click.option("--each", default=90, help="Prompts a replica, on average.")
@click.option("--kind", type=click.Choice(KINDS), default="paper", help="Of the model.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/merge.json"))
@click.option("--gate", is_flag=True, help="Exit with 1 when a promise is not kept.")
def main(replicas: int, each: int, kind: str, out: Path, gate: bool) -> None:
    """Merge the sums of many replicas and compare; about five minutes with 1,000."""
    console = Console(width=None if sys.stdout.isatty() else 200)
    progress, subject = Console(stderr=True), subject_of(kind)
    cases = track(CASES, "cases", console=progress, transient=True)
    found = [compare(SETTING, subject, case, replicas, each) for case in cases]
    looks = asked(subject, replicas, each)
    gates = [it for one in found for it in one.gates()] + promised(looks)
    for table in (merged(found), pulled(looks), held(gates)):
        console.print(table)
    console.print(f"a replica's state: at most {max(one.byte_count for one in found):,} bytes")
    report = {"machine": machine.describe(), "merged": plain(found), "asked": plain(looks)}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")
    console.print(f"wrote {out}")
    if gate and not all(one.ok for one in gates):
        sys.exit(1)


if __name__ == "__main__":
    main()
