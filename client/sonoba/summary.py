"""Sums that stand in for labelled examples: computed here, in SQL or by the server, and merged.

A prompt with a summary is answered like one with the examples behind it, from d² numbers instead of
M d. Summaries of one origin add, so that hours make days and stores make regions.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from operator import add, mul, sub
from typing import Self

from sonoba._examples import encode_examples
from sonoba._sql import summary_query
from sonoba._wire import Values

Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """Sufficient statistics of M labelled examples with d features.

    The sums run over x' = x - origin and y' = y - label_origin; an empty origin means 0. Measure
    from a point near the mean where a feature's mean exceeds its standard deviation 1e5 times.

    >>> monday = Summary.from_rows([[1, 0], [0, 2]], [1, 3])
    >>> tuesday = Summary.from_rows([[2, 1]], [4])
    >>> (monday + tuesday).feature_sums
    (3.0, 3.0)
    >>> monday + tuesday - monday == tuesday
    True
    """

    example_count: int
    feature_sums: Vector  # (d,) sum of x'
    label_products: Vector  # (d,) sum of x' y'
    label_sum: float
    label_square_sum: float
    second_moments: Vector = ()  # (d(d+1)/2,) upper triangle of the sum of x' x'ᵀ, row by row
    origin: Vector = ()  # (d,)
    label_origin: float = 0.0
    schema_hash: str = ""

    @classmethod
    def from_rows(
        cls,
        examples: Values,
        labels: Values,
        *,
        columns: Sequence[str] | None = None,
        origin: Sequence[float] = (),
        label_origin: float = 0.0,
        schema_hash: str = "",
    ) -> Self:
        """Return the sums of examples (M, d) and labels (M,), each rounded once.

        O(M d²) in plain Python: for much data let SQL or the server's `summarize` do it.
        """
        features, encoded_labels, _ = encode_examples(examples, labels, columns)
        d, flat = features.shape[1], features.floats()
        points = _point(origin, d)
        x = [[value - point for value in flat[j::d]] for j, point in enumerate(points)]  # d of M
        y = [value - label_origin for value in encoded_labels.floats()]
        return cls(
            example_count=len(y),
            feature_sums=tuple(map(math.fsum, x)),
            label_products=tuple(_dot(column, y) for column in x),
            label_sum=math.fsum(y),
            label_square_sum=_dot(y, y),
            second_moments=tuple(_dot(a, b) for a, b in combinations_with_replacement(x, 2)),
            origin=tuple(map(float, origin)),
            label_origin=float(label_origin),
            schema_hash=schema_hash,
        )

    @staticmethod
    def sql(
        columns: Sequence[str],
        target: str,
        table: str,
        group: str | None = None,
        *,
        origin: Sequence[float] = (),
        label_origin: float = 0.0,
    ) -> str:
        """Return the query whose rows `from_sql_row` reads; standard SQL, O(d²) sums in one scan.

        `table` stands as it is given, so that it may be qualified or a subquery. With `group` there
        is one row a group, and the group comes first: `for store, *sums in cursor`. Rows in which
        a value is missing are left out.
        """
        point = _point(origin, len(columns))
        return summary_query(columns, target, table, group, point, label_origin)

    @classmethod
    def from_sql_row(
        cls,
        row: Iterable[float | None],
        *,
        origin: Sequence[float] = (),
        label_origin: float = 0.0,
        schema_hash: str = "",
    ) -> Self:
        """Return the summary in one row of `sql`'s result, without its group.

        The origins are those the query was made with. No examples at all are a summary of zeros.
        """
        numbers = [float(value or 0) for value in row]
        d = (math.isqrt(8 * len(numbers) + 1) - 5) // 2
        if d < 1 or len(numbers) != 3 + 2 * d + d * (d + 1) // 2:
            raise ValueError(f"row: expected 3 + 2d + d(d+1)/2 numbers, got {len(numbers)}")
        count, *sums = numbers
        _point(origin, d)
        return cls(
            example_count=int(count),
            label_sum=sums[0],
            label_square_sum=sums[1],
            feature_sums=tuple(sums[2 : 2 + d]),
            label_products=tuple(sums[2 + d : 2 + 2 * d]),
            second_moments=tuple(sums[2 + 2 * d :]),
            origin=tuple(map(float, origin)),
            label_origin=float(label_origin),
            schema_hash=schema_hash,
        )

    def __add__(self, other: "Summary") -> Self:
        """Return the summary of both sets of examples."""
        return self._combined(other, add)

    def __sub__(self, other: "Summary") -> Self:
        """Return the summary without the examples of the other, as a window slides.

        Sums that nearly cancel lose digits: start afresh now and then.
        """
        if other.example_count > self.example_count:
            counts = f"at most {self.example_count} examples, got {other.example_count}"
            raise ValueError(f"expected to take away {counts}")
        return self._combined(other, sub)

    def _combined(self, other: "Summary", combine: Callable[[float, float], float]) -> Self:
        if self._ground() != other._ground():
            got = f"{self._ground()} and {other._ground()}"
            raise ValueError(
                f"expected summaries of one feature count, origin and schema, got {got}"
            )
        return replace(
            self,
            example_count=int(combine(self.example_count, other.example_count)),
            feature_sums=tuple(map(combine, self.feature_sums, other.feature_sums)),
            label_products=tuple(map(combine, self.label_products, other.label_products)),
            label_sum=combine(self.label_sum, other.label_sum),
            label_square_sum=combine(self.label_square_sum, other.label_square_sum),
            second_moments=tuple(map(combine, self.second_moments, other.second_moments)),
        )

    def _ground(self) -> tuple[int, int, tuple[float, ...], float, str]:
        """Return what two summaries must share before their sums mean anything together."""
        d = len(self.feature_sums)
        point = tuple(_point(self.origin, d))
        return d, len(self.second_moments), point, self.label_origin, self.schema_hash


def _point(origin: Sequence[float], d: int) -> Sequence[float]:
    """Return an origin of d numbers; an empty one is 0."""
    if len(origin) not in (0, d):
        raise ValueError(f"origin: expected none or {d} numbers, got {len(origin)}")
    return origin if len(origin) else (0.0,) * d


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(map(mul, a, b))
