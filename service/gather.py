"""The sums of all replicas as one: `Replica.GetMonitorState` of each, joined.

Only replicas that serve the version in force count: sums over another version say nothing of it.
"""

from typing import NamedTuple

from monitoring.paired import Paired
from monitoring.state import State


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
    candidate: str
    """The candidate asked about, where a replica lets it answer; else empty."""
    paired: Paired | None
    """Its joined errors beside the version's own."""
    refusals: dict[str, str]
    """Why replicas refused the candidate asked about, by replica."""
