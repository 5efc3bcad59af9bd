"""`python -m bench.verdicts`: are verdicts of re-evaluations right? Measures it, prints gates.

Windows of 275 prompts of known worlds, shifted in known ways, go through a monitor and are judged
twice: by their sums alone, and with the prompts themselves kept (`bench.verdict_right` says what is
right of each). OPENBLAS_NUM_THREADS=1.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import machine
from bench.drift_subjects import KINDS, LENGTH, WORLDS, Setting, settings, subjects
from bench.tables import titled
from bench.verdict_cases import Case, run, watched
from bench.verdict_right import PAPER, is_forbidden, is_right, share_min

EVIDENCE = ("sums", "kept")
Counted = dict[tuple[str, str, str, str], list[Case]]  # by world, kind, shift, evidence


def measure(names: list[str], kinds: list[str], seeds: range, console: Console) -> Counted:
    """Judge every shift of every kind in the worlds named."""
    found: Counted = {}
    chosen = [one for one in settings() if one.world_name in names and one.lengths == (LENGTH,)]
    total = len(chosen) * len(kinds) * len(PAPER) * len(EVIDENCE) * len(seeds)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        for setting in chosen:
            for subject in subjects(setting, 0, 100):
                if subject.kind not in kinds:
                    continue
                for key, seed in _rounds(setting, subject.kind, seeds):
                    case = run(setting, watched(setting, subject), key[2], key[3] == "kept", seed)
                    found.setdefault(key, []).append(case)
                    progress.update(task, advance=1, description=f"{key[0]} {key[1]} {key[2]:<13}")
    return found


def _rounds(
    setting: Setting, kind: str, seeds: range
) -> list[tuple[tuple[str, str, str, str], int]]:
    keys = [(setting.world_name, kind, shift, told) for shift in PAPER for told in EVIDENCE]
    return [(key, seed) for key in keys for seed in seeds]


def right_share(cases: list[Case]) -> float:
    """Return the share of right verdicts."""
    return sum(is_right(case.findings, case.kind, case.shift) for case in cases) / len(cases)


def missed(found: Counted) -> list[str]:
    """Return which promises are not kept, one sentence each."""
    sentences = []
    for (world, kind, shift, told), cases in found.items():
        share, least = right_share(cases), share_min(world, kind, shift)
        if share < least:
            named = Counter(f"{c.findings.verdict}/{c.findings.reason}" for c in cases)
            of = f"{kind} in {world}, {shift}, {told}"
            sentences.append(f"{of}: {share:.0%} right (at least {least:.0%}): {dict(named)}")
        wrong = sum(is_forbidden(case.findings, case.kind, case.shift) for case in cases)
        if wrong:
            sentences.append(f"{kind} in {world}, {shift}, {told}: {wrong} forbidden verdicts")
    return sentences


def table(found: Counted) -> Table:
    """Return the shares by shift: sums / kept prompts."""
    columns = list(dict.fromkeys((world, kind) for world, kind, *_ in found))
    made = titled(
        "Right verdicts, % of windows: sums / kept prompts",
        *("shift", *(f"{kind} {world}" for world, kind in columns)),
    )
    for shift in PAPER:
        cells = []
        for world, kind in columns:
            shares = [right_share(found[world, kind, shift, told]) for told in EVIDENCE]
            cells.append(" / ".join(f"{100.0 * share:.0f}" for share in shares))
        made.add_row(shift, *cells)
    return made


def as_json(found: Counted, seeds: range) -> dict[str, object]:
    """Return the counts of every verdict."""
    counted = {
        " ".join(key): Counter(f"{c.findings.verdict}/{c.findings.reason}" for c in cases)
        for key, cases in found.items()
    }
    return {"machine": machine.describe(), "seeds": list(seeds), "verdicts": counted}


@click.command()
@click.option("--seeds", default=20, help="Windows of each shift.")
@click.option("--first", default=0, help="The first seed.")
@click.option("--world", "names", multiple=True, default=WORLDS)
@click.option("--kind", "kinds", multiple=True, default=KINDS)
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/verdicts.json"))
@click.option("--gate", is_flag=True, help="Exit with 1 when a promise is not kept.")
def main(
    seeds: int, first: int, names: tuple[str, ...], kinds: tuple[str, ...], out: Path, gate: bool
) -> None:
    """Measure how right verdicts are; about 40 minutes, with --seeds 2 about four."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    drawn = range(first, first + seeds)
    found = measure(list(names), list(kinds), drawn, Console(stderr=True))
    console.print(table(found))
    sentences = missed(found)
    for sentence in sentences:
        console.print(sentence)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(as_json(found, drawn), indent=1) + "\n")
    console.print(f"wrote {out}")
    if gate and sentences:
        sys.exit(1)


if __name__ == "__main__":
    main()
