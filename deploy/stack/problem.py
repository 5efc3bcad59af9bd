"""The one exception with which the stack says why it cannot start or go on."""


class Problem(Exception):
    """What keeps the stack from working, and what to do about it: a sentence."""
