"""Versions that a re-evaluation made: ready for the store, not in force."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from model.checkpoint import Model
from model.manifest import Draft
from model.packing import Leaf

Kind = Literal["recalibrated", "repretrained", "foundation"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version for `Store.add(draft, arrays)`."""

    kind: Kind
    draft: Draft
    arrays: Mapping[str, Leaf] = field(repr=False)
    model: Model = field(repr=False)
