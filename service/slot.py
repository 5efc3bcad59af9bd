"""Which models are in force: a version with all that belongs to it, found and replaced as one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Self

from model.checkpoint import Artifact
from model.refusal import Refusal
from monitoring.monitor import Monitor
from service.line import Line


@dataclass(frozen=True, slots=True)
class Served(Artifact):
    """One version as it is served: what answers, and what watches its answers.

    A call that holds it knows its model, columns, version and reference, whatever is installed
    meanwhile.
    """

    line: Line | None = None  # None where nobody watches

    @classmethod
    def of(cls, artifact: Artifact, line: Line | None = None) -> Self:
        """Return an artifact with the line of its prompts."""
        own = {field.name: getattr(artifact, field.name) for field in fields(Artifact)}
        return cls(**own, line=line)

    @property
    def monitor(self) -> Monitor | None:
        """What watches this version; None where nobody does."""
        return None if self.line is None else self.line.monitor

    @property
    def reference_id(self) -> str:
        """Id of what its prompts are compared with; empty while there is none."""
        return "" if self.line is None else self.line.monitor.reference_id


class Slots:
    """The served models by name; a request looks once and keeps what it found.

    One thread may install while others look: all of a version changes in one assignment
    (docs/adr/0016).
    """

    def __init__(self, artifacts: Iterable[Artifact], default: str) -> None:
        served = (one if isinstance(one, Served) else Served.of(one) for one in artifacts)
        self._served = {one.name: one for one in served}
        self._default = default
        self.find("", "")  # a default that is not served stops the start

    def find(self, name: str, version: str) -> Served:
        """Return the artifact of a name (empty: the default) and a version (empty: in force)."""
        artifact = self._served.get(name or self._default)
        if artifact is None:
            known = ", ".join(self.names())
            sentence = f"expected one of {known}, got '{name or self._default:.64}'"
            raise Refusal("MODEL_NOT_FOUND", "model", sentence)
        if version and version != artifact.version:
            sentence = (
                f"expected {artifact.version} (the version of model {artifact.name} in force), "
                f"got '{version:.64}'"
            )
            raise Refusal("VERSION_NOT_FOUND", "model_version", sentence)
        return artifact

    def get(self, name: str) -> Served | None:
        """Return the version of a name in force; None of a name that is not served."""
        return self._served.get(name)

    @property
    def default(self) -> str:
        """Name of the model that answers who names none."""
        return self._default

    def names(self) -> list[str]:
        """Return the names of all models, sorted."""
        return sorted(self._served)

    def install(self, served: Served) -> None:
        """Put a version in force: who looks from now on finds it, and nothing of the one before."""
        self._served = {**self._served, served.name: served}

    def remove(self, name: str) -> None:
        """Take a name out of service; calls that found it before are answered to their end."""
        self._served = {key: one for key, one in self._served.items() if key != name}

    def __iter__(self) -> Iterator[Served]:
        """Yield what is in force at this moment, the default model first."""
        served = self._served
        return iter(sorted(served.values(), key=lambda one: one.name != self._default))
