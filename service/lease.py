"""Who may act: a lock on a file, which the kernel takes back from a process that dies."""

from pathlib import Path


class Lease:
    """The right to act on a store, `<store>/.reevaluator.lock`; one process at a time has it."""

    def __init__(self, path: Path) -> None:
        raise NotImplementedError

    @property
    def held(self) -> bool:
        """Whether this process has it."""
        raise NotImplementedError

    def take(self) -> bool:
        """Take it if nobody else has it; at once. True if it is held then."""
        raise NotImplementedError

    def release(self) -> None:
        """Give it back; nothing where it is not held."""
        raise NotImplementedError
