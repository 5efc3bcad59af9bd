"""What repetitions say of a number: its median, and how far they were apart."""

import statistics
from collections.abc import Iterable
from typing import NamedTuple


class Spread(NamedTuple):
    """The median of the repetitions, the smallest and the largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Return the spread of one or more values.

        >>> Spread.of([3.0, 1.0, 2.0])
        Spread(median=2.0, low=1.0, high=3.0)
        """
        known = sorted(values)
        return cls(statistics.median(known), known[0], known[-1])

    def text(self, digits: int = 2) -> str:
        """Return the numbers as a table shows them.

        >>> Spread.of([0.701, 0.82, 0.75]).text()
        '0.75 (0.70-0.82)'
        """
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"
