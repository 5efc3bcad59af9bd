"""One re-evaluation: sums of a window, and prompts where some were kept, to findings and candidate."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.checkpoint import Artifact
from model.manifest import Manifest
from model.prompt import Block
from monitoring.verdict import Limits
from service.candidates import Candidate
from service.findings import Findings


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
    state: object,  # monitoring.state.State
    kept: Kept | None,
    limits: Limits,
    sources: Sources,
    *,
    manifest: Manifest | None = None,  # of the served version where it is a stored one
    evaluation: str = "",  # id, for the candidate's origin
    created: datetime | None = None,  # of the candidate; now by default
    seed: int = 0,
) -> Evaluated:
    """Judge a served version by the sums of a window, and by kept prompts if there are any.

    Raises `NotComparable` where the state is of another reference or another number of features.
    """
    raise NotImplementedError
