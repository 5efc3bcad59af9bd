"""One re-evaluation: sums of a window, and prompts where some were kept, to findings and candidate.

A sequence of calls: numbers of the window, a recalibrated version from its sums, paired errors on
kept prompts where there are any (the first half fits, the second judges), the verdict
(`monitoring.verdict`), the candidate that goes with it, and the words.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.checkpoint import Artifact, ArtifactError
from model.estimator import Estimating
from model.layer_manifest import AnyManifest
from model.manifest import Origin
from model.prompt import Block
from monitoring.causes import NOTHING
from monitoring.limits import Limits
from monitoring.state import State
from monitoring.verdict import Numbers, judge
from service.answering import answering_of
from service.candidates import Candidate, Parent
from service.compared import clipped, own_prompts, source_count
from service.findings import CandidateName, Findings, Window
from service.monitors import reference_of
from service.told import Alternatives, Looked, findings_of, ratios_of, typical_error
from service.trial import RECALIBRATED, ByPrompts, BySums, by_prompts, by_sums, candidate_for


class Kept(NamedTuple):
    """Prompts of reservoirs, the oldest first."""

    blocks: Sequence[Block]  # n of one prompt each (B = 1), rows and labels, natural units
    tenants: NDArray[np.int64]  # (n,) which came from one tenant


class Sources(NamedTuple):
    """Where the sums came from."""

    age_seconds: float  # how far back they may reach
    replicas: tuple[str, ...]  # host:port
    missing_replicas: tuple[str, ...] = ()


class Evaluated(NamedTuple):
    """What was found, and the version that helps; None where none does."""

    findings: Findings
    candidate: Candidate | None


class NotComparable(ValueError):
    """Sums that say nothing of this version, and why, in one sentence."""


def evaluate(
    served: Artifact,
    state: State,
    kept: Kept | None,
    limits: Limits,
    sources: Sources,
    *,
    manifest: AnyManifest | None = None,
    evaluation: str = "",
    created: datetime | None = None,
    seed: int = 0,
) -> Evaluated:
    """Judge a served version by the sums of a window, and by kept prompts if there are any.

    manifest is that of a stored version, evaluation an id for the candidate's origin. Kept prompts
    count from `limits.prompts_min` on. Raises `NotComparable` where the version brings no
    reference, or where the state is of another one or of another number of features.
    """
    parent = _parent(served, state, manifest, evaluation, created)
    prompts = _judged_prompts(served, kept, limits)
    looked = _looked(parent, state, prompts, limits)
    sums = by_sums(parent, state.parts)
    tried = ByPrompts() if prompts is None else by_prompts(parent, prompts.blocks, seed)
    judged = judge(_numbers(state, looked, sums, tried, limits), limits)
    blocks = () if prompts is None else prompts.blocks
    candidate = candidate_for(judged.verdict, parent, sums, tried, blocks, seed)
    told = _alternatives(sums, tried, candidate)
    window = _window(state, sources, len(blocks))
    findings = findings_of(served, state, window, looked, judged, told, limits)
    return Evaluated(findings, candidate)


def _parent(
    served: Artifact,
    state: State,
    manifest: AnyManifest | None,
    evaluation: str,
    created: datetime | None,
) -> Parent:
    """Return what candidates are made from; refuse sums that say nothing of it."""
    try:
        reference = reference_of(served)
    except ArtifactError as error:
        raise NotComparable(str(error)) from None
    if reference is None:
        sentence = f"version {served.version} brings no reference, so every server has its own"
        raise NotComparable(f"{served.name}: {sentence}")
    if state.reference != reference.id:
        sentence = f"expected sums over the reference {reference.id}, got {state.reference}"
        raise NotComparable(f"{served.name}: {sentence}")
    if state.feature_count != reference.feature_count:
        sentence = f"expected sums of {reference.feature_count} features, got {state.feature_count}"
        raise NotComparable(f"{served.name}: {sentence}")
    origin = Origin(
        parent=served.version,
        evaluation=evaluation,
        prompt_count=state.prompt_count,
        row_count=state.row_count,
    )
    return Parent(served, manifest, reference, origin, created or datetime.now(UTC))


def _judged_prompts(served: Artifact, kept: Kept | None, limits: Limits) -> Kept | None:
    """Return the kept prompts of rows that the model answered itself; None of too few."""
    if kept is None:
        return None
    own = own_prompts(served.model, kept.blocks)  # places
    if len(own) < limits.prompts_min:
        return None
    return Kept([kept.blocks[place] for place in own], kept.tenants[own])


def _looked(parent: Parent, state: State, prompts: Kept | None, limits: Limits) -> Looked:
    """Return what the window shows, and from how many sources its worst prompts come."""
    reference, model = parent.reference, parent.artifact.model
    whole = state.pooled(len(reference.scene.means))
    causes = NOTHING
    if whole is not None:
        causes = state.causes(reference, answering_of(model, whole))
    groups = None
    if prompts is not None and isinstance(model, Estimating):
        at_clip = clipped(model, prompts.blocks, reference)  # (n,)
        groups = source_count(at_clip, prompts.tenants, limits.clipped_groups_min)
    typical = typical_error(state, reference.clip_means)
    return Looked(state.levels(), state.means(), causes, groups, typical)


def _numbers(
    state: State, looked: Looked, sums: BySums, tried: ByPrompts, limits: Limits
) -> Numbers:
    """Return what the verdict is drawn from."""
    repaired = tried.compared.get(RECALIBRATED)
    return Numbers(
        prompt_count=state.prompt_count,
        ratios=ratios_of(looked, limits.risen),
        h_mean=looked.h.clipped_mean,
        loo_mean=looked.loo.clipped_mean,
        gain=None if repaired is None else repaired.gain,
        expected_gain=sums.expected.gain,
        regret=sums.expected.regret,
        has_far_queries=looked.causes.kind == "query",
        repaired_error=sums.expected.error if repaired is None else repaired.error.mean,
    )


def _alternatives(sums: BySums, tried: ByPrompts, candidate: Candidate | None) -> Alternatives:
    made: list[CandidateName] = []
    if sums.recalibrated is not None:
        made.append("recalibrated")
    if candidate is not None and candidate.kind not in made:
        made.append(candidate.kind)
    return Alternatives(
        served=tried.served,
        compared=tried.compared,
        by_sums=tuple(made),
        expected_gain=sums.expected.gain,
        regret=sums.expected.regret,
        candidate="" if candidate is None else candidate.kind,
    )


def _window(state: State, sources: Sources, kept_count: int) -> Window:
    return Window(
        prompt_count=state.prompt_count,
        row_count=state.row_count,
        age_seconds=sources.age_seconds,
        replicas=sources.replicas,
        missing_replicas=sources.missing_replicas,
        kept_prompt_count=kept_count,
    )
