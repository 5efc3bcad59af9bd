"""The one exception with which a process says at its start why it cannot work."""


class StartError(Exception):
    """A process that cannot start, and what to do about it."""
