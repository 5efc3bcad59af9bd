"""The monitors of a server: one a model, the thread that feeds them, and what reads them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from model.checkpoint import Artifact, ArtifactError
from model.estimator import Estimating
from monitoring.exporter import MonitorCollector
from monitoring.monitor import Monitor
from monitoring.reference import Reference
from monitoring.snapshot import Snapshot
from service.settings import Settings
from service.shift import Trusted
from service.watching import Budget, Watching


class Monitors(NamedTuple):
    """What a server is watched by."""

    by_model: dict[str, Monitor]
    watching: Watching
    collector: MonitorCollector

    def diagnosed(self, name: str) -> Snapshot | None:
        """Return what is known of one model with causes; None where it is not watched."""
        monitor = self.by_model.get(name)
        return None if monitor is None else monitor.diagnosed()

    def reference_id(self, name: str) -> str | None:
        """Return the id of a model's reference, empty while warming; None where not watched."""
        monitor = self.by_model.get(name)
        return None if monitor is None else monitor.reference_id

    def trusted(self, harmed: Callable[[str], bool]) -> Trusted:
        """Return what calls are told of models; `harmed` says where a harmful shift is open."""
        return Trusted(self.by_model, harmed)


def monitors_of(artifacts: Sequence[Artifact], settings: Settings) -> Monitors:
    """Return the monitors of all models that can be watched; none where settings forbid it."""
    watched = [one for one in artifacts if isinstance(one.model, Estimating)]
    if not settings.monitor_prompts_per_second:
        watched = []
    by_model = {one.name: _monitor(one, settings) for one in watched}
    budget = Budget(
        settings.monitor_prompts_per_second,
        settings.monitor_processor_share,
        settings.monitor_repeat_seconds,
    )
    watching = Watching(watched, by_model, budget)
    collector = MonitorCollector(list(by_model.values()), watching.queued)
    return Monitors(by_model, watching, collector)


def _monitor(artifact: Artifact, settings: Settings) -> Monitor:
    return Monitor(
        artifact.name,
        artifact.version,
        artifact.model.mode.name.lower(),
        reference_of(artifact),
        settings.monitor_baseline_prompts,
        settings.monitor_window_prompts,
        settings.monitor_rows_per_alarm,
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
    if reference.feature_count != artifact.model.feature_count:
        sentence = f"expected {artifact.model.feature_count}, got {reference.feature_count}"
        raise ArtifactError(f"{artifact.name}: features of the reference: {sentence}")
    return reference
