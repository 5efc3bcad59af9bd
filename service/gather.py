"""The sums of all replicas as one: what each tells of the version in force, joined.

Only replicas that serve that version with the reference of most of them count: sums over another
version say nothing of it. Fewer than four in five replicas are too few to speak for all.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from monitoring.paired import Paired
from monitoring.state import State
from service.evaluating import Kept
from service.replicas import Collected, Replicas, Silent, Told

SHARE_MIN = 0.8  # of the replicas must serve the version
PROMPTS_PER_REPLICA = 512


class Gathered(NamedTuple):
    """What the replicas know of one version of one model, together."""

    model_version: str
    reference: str
    state: State | None
    """Joined sums; None where no replica has 20 prompts."""
    replicas: tuple[str, ...]
    """Replicas that serve the version, host:port."""
    missing: tuple[str, ...]
    """Replicas that did not answer or serve another version."""
    paired: Paired | None
    """Errors of the candidate asked about beside the version's own, joined."""
    beside: tuple[str, ...]
    """Replicas that let the candidate asked about answer."""
    refusals: dict[str, str]
    """Why replicas refused the candidate asked about, or without one the version; by replica."""

    @property
    def is_enough(self) -> bool:
        """Whether these replicas speak for all."""
        count = len(self.replicas)
        return count > 0 and count >= SHARE_MIN * (count + len(self.missing))

    @property
    def prompt_count(self) -> int:
        """Prompts of the joined sums."""
        return 0 if self.state is None else self.state.prompt_count

    @property
    def refusal(self) -> str:
        """Why the first replica refused it; empty where none did."""
        return next((f"{who}: {why}" for who, why in sorted(self.refusals.items())), "")


def gather(
    replicas: Replicas,
    model: str,
    version: str,
    candidate: str = "",
    prompt_count: int = 0,
    age_seconds: float = 0.0,
) -> Gathered:
    """Ask every replica what it knows of a version, and of a candidate beside it.

    The newest blocks that hold prompt_count (0: all), not begun before age_seconds (0: no bound).
    """
    found = replicas.told(model, prompt_count, age_seconds)
    return joined(found, version, candidate)


def joined(found: Sequence[Told | Silent], version: str, candidate: str = "") -> Gathered:
    """Return as one what replicas told of a version and of a candidate beside it."""
    told = [one for one in found if isinstance(one, Told)]
    serving = [one for one in told if one.model_version == version]
    reference = _most(one.reference for one in serving)
    speaking = [one for one in serving if one.reference == reference]
    counted = {one.replica for one in speaking}
    beside = [one for one in speaking if candidate and one.candidate_version == candidate]
    asked = candidate or version
    return Gathered(
        version,
        reference,
        _sums(one.state for one in speaking),
        tuple(sorted(counted)),
        tuple(sorted({one.replica for one in found} - counted)),
        _paired(one.paired for one in beside),
        tuple(sorted(one.replica for one in beside)),
        {one.replica: one.refusal for one in told if one.refused_version == asked},
    )


def collect(
    replicas: Replicas, model: str, version: str, age_seconds: float, reason: str
) -> Kept | None:
    """Return the prompts that tenants let replicas of a version keep, the oldest first.

    None where nobody opted in. A tenant of two replicas counts as two.
    """
    found = replicas.kept(model, PROMPTS_PER_REPLICA, age_seconds, reason)
    told = [one for one in found if isinstance(one, Collected) and one.model_version == version]
    prompts = [prompt for one in told for prompt in one.prompts]
    if not prompts:
        return None
    prompts.sort(key=lambda prompt: -prompt.age_seconds)
    places = {
        tenant: place for place, tenant in enumerate(dict.fromkeys(p.tenant for p in prompts))
    }
    tenants = np.array([places[prompt.tenant] for prompt in prompts], np.int64)  # (n,)
    return Kept([prompt.block for prompt in prompts], tenants)


def _most(references: Iterable[str]) -> str:
    """Return the reference that most replicas have, one that there is before none."""
    counts = Counter(references)
    return max(counts, key=lambda one: (counts[one], one), default="")


def _sums(states: Iterable[State | None]) -> State | None:
    known = [one for one in states if one is not None]
    return reduce(lambda a, b: a.joined(b), known) if known else None


def _paired(several: Iterable[Paired | None]) -> Paired | None:
    known = [one for one in several if one is not None]
    return reduce(lambda a, b: a.joined(b), known) if known else None
