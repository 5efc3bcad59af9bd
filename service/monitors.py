"""The monitors of a server: one a version in force, the thread that feeds them, what reads them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from model.checkpoint import Artifact, ArtifactError
from model.estimator import Estimating
from monitoring.exporter import MonitorCollector
from monitoring.monitor import Monitor
from monitoring.reference import Reference
from monitoring.snapshot import Snapshot
from service.line import Budget, Line
from service.slot import Served, Slots
from service.watching import Watching

if TYPE_CHECKING:
    from service.settings import Settings


class Monitors:
    """What a server is watched by: the monitors of what is in force at the moment."""

    def __init__(self, slots: Slots, settings: "Settings") -> None:
        self._slots = slots
        self.watching = Watching(slots, budget_of(settings))
        self.collector = MonitorCollector(self, self.watching.queued)

    def __iter__(self) -> Iterator[Monitor]:
        """Yield the monitors, the default model's first."""
        return iter([one.line.monitor for one in self._slots if one.line is not None])

    @property
    def by_model(self) -> dict[str, Monitor]:
        """The monitors by the name of their model."""
        return {monitor.model: monitor for monitor in self}

    def diagnosed(self, name: str) -> Snapshot | None:
        """Return what is known of one model with causes; None where it is not watched."""
        monitor = self.by_model.get(name)
        return None if monitor is None else monitor.diagnosed()

    def reference_id(self, name: str) -> str | None:
        """Return the id of a model's reference, empty while warming; None where not watched."""
        monitor = self.by_model.get(name)
        return None if monitor is None else monitor.reference_id


def watched(artifact: Artifact, settings: "Settings") -> Served:
    """Return a version with its own monitor and line: none where it cannot, or must not, have one.

    Raises `ArtifactError` of a damaged reference.
    """
    model, reference = artifact.model, reference_of(artifact)
    if not settings.monitor_prompts_per_second or not isinstance(model, Estimating):
        return Served.of(artifact)
    monitor = Monitor(
        artifact.name,
        artifact.version,
        artifact.model.mode.name.lower(),
        reference,
        settings.monitor_baseline_prompts,
        settings.monitor_window_prompts,
        settings.monitor_rows_per_alarm,
    )
    return Served.of(artifact, Line(model, monitor, budget_of(settings)))


def budget_of(settings: "Settings") -> Budget:
    """Return what monitoring may cost a server."""
    return Budget(
        settings.monitor_prompts_per_second,
        settings.monitor_processor_share,
        settings.monitor_repeat_seconds,
    )


def reference_of(artifact: Artifact) -> Reference | None:
    """Return the reference a version brings; None without, `ArtifactError` of a damaged one."""
    if not artifact.reference:
        return None
    try:
        arrays = {name: np.asarray(leaf, np.float64) for name, leaf in artifact.reference.items()}
        reference = Reference.from_arrays(arrays)
    except ValueError as error:
        raise ArtifactError(f"{artifact.name}: {error}") from None
    wanted = artifact.feature_count
    if wanted and reference.feature_count != wanted:
        sentence = f"expected {wanted}, got {reference.feature_count}"
        raise ArtifactError(f"{artifact.name}: features of the reference: {sentence}")
    return reference
