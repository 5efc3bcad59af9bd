"""A bar on a terminal's stderr: what is being done, and how much of it is done."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tick = Callable[[str, float], None]


@contextmanager
def progress() -> Iterator[Tick]:
    """Yield what moves the bar: a stage and its share, 0 where that is not known."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)

        def tick(stage: str, share: float) -> None:
            bar.update(task, description=stage, total=1.0 if share else None, completed=share)

        yield tick
