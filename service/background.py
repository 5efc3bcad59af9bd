"""What works beside the calls of a server."""

from typing import Protocol


class Background(Protocol):
    """A thread beside the calls."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""
