"""Windows of shifted prompts, and what a re-evaluation concludes of them."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.drift_arrivals import Law, arrive, observed
from bench.drift_subjects import Setting, Subject
from bench.drift_worlds import SHIFTS, Prompts
from bench.verdict_versions import artifact_of, manifest_of
from model.prompt import Block, Examples
from monitoring.limits import Limits
from monitoring.monitor import Monitor
from service.candidates import Candidate
from service.evaluating import Kept, Sources, evaluate
from service.findings import Findings
from service.seen import by_shape, seen

Array = NDArray[np.float64]

PROMPTS = 275  # whole blocks of them are told: 256 and more
TENANTS = 8
BAD_ROWS = "bad_rows"  # of one tenant
BAD_SHARE, BAD_SCALE = 0.3, 40.0  # of that tenant's rows; labels have the wrong sign


class Case(NamedTuple):
    """One evaluation and what came of it."""

    setting: str
    kind: str
    shift: str
    evidence: str  # sums or kept
    findings: Findings
    candidate: Candidate | None


def run(setting: Setting, subject: Subject, shift: str, has_kept: bool, seed: int) -> Case:
    """Evaluate a subject on a window of shifted prompts."""
    rng = np.random.default_rng([seed, len(shift), ord(shift[0]), ord(shift[-1])])
    blocks, tenants = _prompts(setting, shift, rng)
    artifact = artifact_of(subject)
    monitor = Monitor(subject.kind, artifact.version, subject.kind, subject.reference)
    for start in range(0, len(blocks), 64):
        for block in by_shape(blocks[start : start + 64]):
            if (looked := seen(subject.model, block)) is not None:
                monitor.observe(looked)
    state = monitor.state()
    assert state is not None  # of so many prompts some blocks are whole
    kept = Kept(blocks, tenants) if has_kept else None
    sources = Sources(60.0, ("127.0.0.1:1",))
    found = evaluate(
        artifact, state, kept, Limits(), sources, manifest=manifest_of(subject), seed=seed
    )
    evidence = "kept" if has_kept else "sums"
    return Case(setting.name, subject.kind, shift, evidence, found.findings, found.candidate)


def _prompts(
    setting: Setting, shift: str, rng: np.random.Generator
) -> tuple[list[Block], NDArray[np.int64]]:
    """Return prompts (B = 1 each) in the order they come, and whose they are."""
    law = Law(setting.world, SHIFTS.get(shift, SHIFTS["quiet"]))
    found: dict[int, Block] = {}
    tenants = rng.integers(0, TENANTS, PROMPTS)  # (n,)
    for places, prompts in arrive(law, PROMPTS, setting.lengths, rng).parts:
        for row, place in enumerate(places.tolist()):
            one = Prompts(*(part[row : row + 1] for part in prompts))
            if shift == BAD_ROWS and tenants[place] == 0:
                grown = np.where(rng.random(one.y.shape) < BAD_SHARE, BAD_SCALE, 1.0)  # (1, M)
                x, y = grown[..., None] * one.x, np.where(grown > 1.0, -grown, 1.0) * one.y
                one = one._replace(x=x, y=y)
            found[place] = Block(Examples(one.x, one.y), one.queries)
    return [found[place] for place in range(PROMPTS)], tenants


def watched(setting: Setting, subject: Subject) -> Subject:
    """Return a subject whose reference knows how an exact ridge does.

    A layer in a mixed world is admitted without that comparison (`bench.drift_subjects`).
    """
    if subject.kind != "paper" or not setting.world.is_mixed:
        return subject
    came = arrive(setting.quiet, PROMPTS, setting.lengths, np.random.default_rng(0))
    numbers, _ = observed(subject.model, came, 1)
    base = subject.reference.baselines
    place = base.place(numbers.counts)  # (n,)
    ridge = np.array([numbers.ridge[place == k].mean() for k in range(len(base.lengths))])  # (k,)
    reference = replace(subject.reference, baselines=replace(base, ridge=ridge))
    return replace(subject, reference=reference)
