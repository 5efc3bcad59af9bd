"""Which models are in force: name and version to artifact."""

from collections.abc import Iterable

from model.checkpoint import Artifact
from model.refusal import Refusal


class Slots:
    """The served models by name; a request looks once and keeps what it found."""

    def __init__(self, artifacts: Iterable[Artifact], default: str) -> None:
        self._artifacts = {artifact.name: artifact for artifact in artifacts}
        self._default = default
        self.find("", "")  # a default that is not served stops the start

    def find(self, name: str, version: str) -> Artifact:
        """Return the artifact of a name (empty: the default) and a version (empty: in force)."""
        artifact = self._artifacts.get(name or self._default)
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

    def names(self) -> list[str]:
        """Return the names of all models, sorted."""
        return sorted(self._artifacts)
