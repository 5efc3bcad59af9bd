"""Prompts that were there a moment ago: a caller that asks again must not count twice.

Only hashes are kept, under a key that lives as long as the process (Python's own for bytes).
"""

REPEATS_MAX = 2**16


class Repeats:
    """The hashes of the prompts of the last seconds; memory is bounded."""

    def __init__(self, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._seen: dict[int, float] = {}  # by hash the second it came, the oldest first

    def is_new(self, prompt: tuple[bytes, ...], now_seconds: float) -> bool:
        """Return whether a prompt was not there within the window; remember it.

        >>> repeats = Repeats(60.0)
        >>> [repeats.is_new((b"x",), now) for now in (0.0, 30.0, 100.0)]
        [True, False, True]
        """
        self._forget(now_seconds - self._window_seconds)
        key = hash(prompt)
        if key in self._seen:
            return False
        self._seen[key] = now_seconds
        return True

    def _forget(self, before_seconds: float) -> None:
        old: list[int] = []
        for key, second in self._seen.items():
            if second > before_seconds and len(self._seen) - len(old) < REPEATS_MAX:
                break
            old.append(key)
        for key in old:
            del self._seen[key]
