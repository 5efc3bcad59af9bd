"""What a candidate would do to single tenants, on the prompts that they let servers keep.

The gain over all can hide a loss of few. Both versions are judged as in the shadow
(service/candidate_shadow.py); the loss is the share by which a tenant's error would rise.
"""

import math

import numpy as np

from model.checkpoint import Artifact
from model.estimator import Estimating
from model.prompt import Block
from service.candidate_shadow import Beside
from service.candidates import Candidate
from service.evaluating import Kept
from service.monitors import reference_of
from service.seen import by_shape

PROMPTS_MIN = 30  # of a tenant; fewer say nothing of it


def worst_tenant_loss(
    served: Artifact, candidate: Candidate, kept: Kept | None, fallback: Estimating
) -> float | None:
    """Return the largest share by which one tenant's error would rise; None where none is known."""
    if kept is None or not isinstance(served.model, Estimating) or not served.reference:
        return None
    new = Artifact(served.name, "", served.schema, candidate.draft.created, candidate.model)
    losses = []
    for tenant, count in zip(*np.unique(kept.tenants, return_counts=True), strict=True):
        if count >= PROMPTS_MIN:
            own = [kept.blocks[place] for place in np.flatnonzero(kept.tenants == tenant).tolist()]
            losses.append(_loss(served, new, own, fallback))
    return max((one for one in losses if math.isfinite(one)), default=None)


def _loss(served: Artifact, new: Artifact, blocks: list[Block], fallback: Estimating) -> float:
    """Return the share by which the error on some prompts (B = 1 each) would rise; NaN: unknown."""
    reference = reference_of(served)
    assert reference is not None and isinstance(served.model, Estimating)  # the caller's own check
    beside = Beside(new, fallback, lambda *_: None)
    for block in by_shape(blocks):
        beside.look(block, served.model.estimator(block), reference)
    return -beside.paired.gain().mean if beside.paired.prompt_count else math.nan
