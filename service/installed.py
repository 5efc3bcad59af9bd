"""Which versions a server has installed, from where, and what it refused: the store's reader.

A version is loaded and checked beside the one in force, and put in its place by one assignment
(docs/adr/0016). What is refused is never served, and not tried again until the pointer changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from monitoring.monitor import Monitor

if TYPE_CHECKING:
    from model.last_evaluation import LastEvaluation
    from monitoring.paired import Paired


class Told(NamedTuple):
    """What one server has of a model at one moment; empty strings where there is nothing."""

    model_version: str  # in force
    reference: str  # its id, empty while it is collected
    monitor: Monitor | None  # None where nobody watches
    candidate_version: str  # loaded, and answering beside the one in force
    paired: Paired | None  # a copy of its sums; None without a candidate, or before 20 prompts
    refused_version: str  # named by the store, and not served
    refusal: str  # why, one sentence


class Installed:
    """The models of a server: in force, before that, beside that; safe from many threads."""

    def told(self, model: str) -> Told:
        """Return what is known of a model; a name that nobody serves or refused is a KeyError."""
        raise NotImplementedError

    def last_evaluation(self, model: str) -> LastEvaluation | None:
        """Return what the store tells of a model's last evaluation; None where it tells nothing."""
        raise NotImplementedError
