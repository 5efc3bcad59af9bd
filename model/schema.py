"""Named columns of a model, their order and their hash."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from model.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Column:
    """One feature: its name, unit and meaning."""

    name: str
    unit: str = ""
    description: str = ""


@dataclass(frozen=True)
class Schema:
    """The features of a model in order; empty when the model takes any."""

    columns: tuple[Column, ...] = ()
    label_unit: str = ""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names in the model's order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def hash(self) -> str:
        """Hex SHA-256, first 16 bytes, over name, unit separator, unit, newline of every column.

        >>> Schema((Column("temp", "celsius"),)).hash
        '351dbf4154f02dc11092f71272b757bf'
        """
        if not self.columns:
            return ""
        text = "".join(f"{column.name}\x1f{column.unit}\n" for column in self.columns)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def check_hash(self, given: str) -> None:
        """Refuse a hash that is not this schema's; an empty one is unchecked."""
        if given and given != self.hash:
            wanted = self.hash or "none (this model takes any features)"
            raise Refusal("SCHEMA_MISMATCH", "schema_hash", f"expected {wanted}, got {given:.64}")

    def positions(self, names: Sequence[str]) -> list[int] | None:
        """Return where each of the model's columns stands in `names`; None when nothing moves.

        Unknown, missing and repeated names are refused, each by name.
        """
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise _mismatch(f"expected every name once, got {_quoted(repeated)} more than once")
        if not self.columns or not names:
            return None
        wanted = self.names
        unknown = [name for name in names if name not in wanted]
        missing = [name for name in wanted if name not in names]
        if unknown or missing:
            parts = [f"unknown {_quoted(unknown)}"] if unknown else []
            parts += [f"missing {_quoted(missing)}"] if missing else []
            raise _mismatch(f"expected {_quoted(wanted)}, got {' and '.join(parts)}")
        return None if tuple(names) == wanted else [names.index(name) for name in wanted]


def _quoted(names: Sequence[str]) -> str:
    shown = [f"'{name:.64}'" for name in names[:8]]
    return ", ".join(shown) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _mismatch(sentence: str) -> Refusal:
    return Refusal("SCHEMA_MISMATCH", "columns", sentence)
