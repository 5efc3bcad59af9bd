"""What starts a process that answers: settings that were read and checked, handed on as JSON.

`sonoba serve` and its supervisor read settings with pydantic and flags with click. A process that
answers loads neither: 12 MB that it would never use again (docs/adr/0038). What it is handed
travels in the environment, where no list of processes shows it.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from service.settings import Settings

HANDED = "SONOBA_HANDED"
MODULE = "service.process"


class Handed(NamedTuple):
    """What a process is to do."""

    settings: "Settings"
    program: str = ""  # by which our commands are called, for the line that shows one


def command(number: int | None = None) -> list[str]:
    """Return what starts such a process, importing from the same folders as this one.

    number is that of one of several workers.
    """
    is_here = {"", str(Path.cwd())} & set(sys.path)
    own = () if number is None else (str(number),)
    return [sys.executable, *(() if is_here else ("-P",)), "-m", MODULE, *own]


def handing(handed: Handed, environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which a process finds what it is handed."""
    told = {"settings": dict(handed.settings), "program": handed.program}
    return {**environ, HANDED: json.dumps(told, default=_told)}


def taken(text: str) -> Handed:
    """Return what was handed; the settings have the names and values of the class, not its type."""
    told = json.loads(text)
    values = {name: _value(value) for name, value in told["settings"].items()}
    return Handed(cast("Settings", SimpleNamespace(**values)), told["program"])


def _told(value: object) -> dict[str, str]:
    if isinstance(value, Path):
        return {"path": str(value)}
    raise TypeError(f"a setting is a {type(value).__name__}")


def _value(told: Any) -> Any:
    if isinstance(told, list):
        return tuple(_value(one) for one in told)
    return Path(told["path"]) if isinstance(told, dict) else told
