"""Business rules as a file: YAML, validated, what it leaves out has its default.

version: 1
defaults: {minimum_gain: 0.08, cool_down_seconds: 12h}
models: {bikes: {recalibrate: approve}}
"""

from dataclasses import dataclass
from pathlib import Path

from monitoring.policy import Rules


class RulesError(Exception):
    """The file cannot be used; one sentence a line."""


@dataclass(frozen=True, slots=True)
class BusinessRules:
    """The rules of every model."""

    def for_model(self, name: str) -> Rules:
        """Return the rules in force for a model: its own, else the file's defaults, else ours."""
        raise NotImplementedError


def read(path: Path) -> BusinessRules:
    """Read and check a file; `RulesError` names what is wrong where, what was expected and got."""
    raise NotImplementedError


def default_rules() -> BusinessRules:
    """Return the rules of who has no file."""
    raise NotImplementedError
