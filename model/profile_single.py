"""One prompt through a profile in as few array operations as there are.

Equivalent to `profile_layers` for the prompts it answers, which are those well inside the profile's
limits. Below d = 32 each operation costs more than its arithmetic.
"""

import math

import numpy as np
from numpy.typing import NDArray

from model.answer import Solver
from model.coordinates import CENTRED, INTERCEPT, PRIOR_ROWS, SCALED, Units
from model.ladder import PASSES
from model.layers import Steps, pass_through
from model.profile_parameters import BucketParameters, Level
from model.profile_range import LABEL_SD_FACTOR, RANGE_SD

Array = NDArray[np.float64]

INSIDE = 0.999  # of a limit: nearer to it, `profile_range` decides


class SinglePrompt:
    """Everything that prompts of one length share, in natural units and with σ = 1."""

    def __init__(
        self, bucket: BucketParameters, count: int, steps: Steps, correction_bound: float
    ) -> None:
        self._steps, self._bound, self._count = steps, correction_bound, count
        self._has_intercept = bucket.coordinates == INTERCEPT
        self._is_scaled = bucket.coordinates == SCALED
        self._has_fixed_unit = bucket.coordinates in (INTERCEPT, CENTRED)
        self._average = np.full(count, 1.0 / count)  # (M,)
        self._limits(bucket)
        self.whitening = bucket.whitening(count)  # (p, p)
        self._maps(bucket, self.whitening)

    def _limits(self, bucket: BucketParameters) -> None:
        """Prepare the comparisons that say a prompt is of the profile's kind."""
        units, seen, free = bucket.units, bucket.reference, self._count - 1
        self._centre, self._s = units.feature_mean, units.feature_scale  # (d,), (d,)
        off = np.abs(seen.mean - units.feature_mean)  # (d,) rounding
        self._reach = INSIDE * seen.sd * seen.reach - off  # (d,)
        self._label_centre, self._label_reach = seen.label_mean, INSIDE * RANGE_SD * seen.label_sd
        low, high = seen.label_spreads[0] / LABEL_SD_FACTOR, seen.label_spreads[2] * LABEL_SD_FACTOR
        self._power_min = float(low / INSIDE) ** 2 * free
        self._power_max = float(high * INSIDE) ** 2 * free

    def _maps(self, bucket: BucketParameters, C: Array) -> None:
        """Prepare what takes centred rows to tokens; the last column answers for the prior."""
        units, s, sigma = bucket.units, bucket.units.feature_scale, math.sqrt(bucket.noise_variance)
        d, p, m = len(s), len(C), bucket.prior_mean
        slopes, C1 = m[p - d :], C[p - d :]  # (d,), (d, p)
        self._map = np.column_stack([C1, slopes]) / s[:, None] / sigma  # (d, p+1)
        if self._is_scaled:  # the scale of a prompt comes between
            self._map *= s[:, None]
        self._back = np.ascontiguousarray(self._map[:, :-1].T)  # (p, d)
        label_unit = units.label_scale if self._has_intercept else math.sqrt(units.label_variance)
        self._sigma, self._unit = sigma, label_unit * sigma
        self._label_variance, self._variance = units.label_variance, units.feature_variance
        self._prior_gram = np.zeros((p, p))  # (p, p)
        self._prior_gram[:] = C1.T @ bucket.slope_precision() @ C1
        if self._has_intercept:
            self._prepare_intercept(bucket.level(self._count), units, C, m, sigma)

    def _prepare_intercept(
        self, level: Level, units: Units, C: Array, m: Array, sigma: float
    ) -> None:
        """Prepare what the prompt's mean adds to tokens and to their sums."""
        C1, s = C[1:], units.feature_scale  # (d, p), (d,)
        self._prior_gram[0, 0] = level.total * C[0, 0] ** 2
        self._gap = -level.anchor @ C1  # (p,) of a mean at the history's
        self._gap_map = C1 / s[:, None]  # (d, p)
        self._coupling = level.coupling
        self._off_share = level.corner / level.total / sigma
        self._first = np.append(C[0, 0], np.zeros(len(C) - 1)) / sigma  # (p,)
        self._level = units.label_mean + units.label_scale * float(m[0])
        self._level_slopes = units.label_scale * m[1:] / s  # (d,)

    def answer(self, x: Array, y: Array, queries: Array) -> tuple[Array, Solver] | None:
        """Return the answers (Q,) and how they were reached; None near the profile's limits."""
        mean, label_mean = self._average.dot(x), float(self._average.dot(y))  # (d,), ()
        labels = y - label_mean  # (M,)
        power, off = float(labels.dot(labels)), mean - self._centre  # (), (d,)
        if not self._is_ordinary(queries - self._centre, off, label_mean, power):
            return None
        rows, v = x - mean, queries - mean  # (M, d), (Q, d)
        if self._is_scaled:
            scale = self._own_scale(rows)  # (d,)
            rows, v = rows / scale, v / scale
        unit, origin = self._unit, label_mean
        if self._has_intercept:
            origin = self._level + float(off.dot(self._level_slopes))
        elif not self._has_fixed_unit:
            total = power + PRIOR_ROWS * self._label_variance
            unit = self._sigma * math.sqrt(total / (self._count + PRIOR_ROWS))
        u = v.dot(self._map)  # (Q, p+1)
        A, b = self._sums(rows, labels, unit)  # (p, p), (p,)
        if self._has_intercept:
            gap = self._gap + off.dot(self._gap_map)  # (p,)
            A += (self._coupling * gap)[:, None] * gap
            shift = self._first + self._off_share * gap  # (p,) of every token
            b += (self._count * (label_mean - origin) / unit) * shift
            u[:, :-1] += shift
        learnt, solver = self._solved(A, b, u[:, :-1])  # (Q,)
        return origin + unit * (u[:, -1] + learnt), solver

    def _sums(self, rows: Array, labels: Array, unit: float) -> tuple[Array, Array]:
        """Return the sums A (p, p) and b (p,) of the tokens of centred rows, labels less prior's.

        Of the rows' own sums: that takes M d² where the tokens themselves took twice as much.
        """
        told = rows.T.dot(rows).dot(self._map)  # (d, p+1)
        A = self._back.dot(told[:, :-1])  # (p, p)
        A += self._prior_gram
        return A, self._back.dot(labels.dot(rows) / unit - told[:, -1])

    def finite(self, x: Array, y: Array, queries: Array) -> tuple[Array, Solver] | None:
        """Return the same; None where an answer is not finite."""
        found = self.answer(x, y, queries)
        return found if found and math.isfinite(found[0].dot(found[0])) else None

    def _is_ordinary(self, queries: Array, mean: Array, label_mean: float, power: float) -> bool:
        """Return whether the prompt lies well inside the profile's limits; NaN does not."""
        return (
            abs(label_mean - self._label_centre) < self._label_reach
            and self._power_min < power < self._power_max
            and 0 not in (np.abs(mean) < self._reach).tobytes()
            and 0 not in (np.abs(queries) < self._reach).tobytes()
        )

    def _own_scale(self, rows: Array) -> Array:
        """Return s · t (d,) of the prompt."""
        power = (rows * rows).sum(axis=0) / (self._s * self._s)  # (d,)
        scale: Array = self._s * np.sqrt(
            (power + PRIOR_ROWS * self._variance) / (self._count + PRIOR_ROWS)
        )
        return scale

    def _solved(self, A: Array, b: Array, queries: Array) -> tuple[Array, Solver]:
        """Return what the examples add to the prior's answers (Q,), and the stage that did.

        A (p, p) is written over; queries (Q, p).
        """
        D: Array = A.diagonal() ** -0.5  # (p,)
        A *= D[:, None] * D
        flat = A.ravel()  # (p p,)
        scale = 1.0 / math.sqrt(flat.dot(flat))  # 1/‖A‖_F
        A *= scale
        rows = np.empty((1 + len(queries), len(b)))  # (1+Q, p)
        rows[0], rows[1:] = b, queries
        rows *= D
        keys, solver = self._climbed(A, rows, scale)  # (Q, p)
        return keys.dot(rows[0]), solver

    def _climbed(self, S: Array, rows: Array, scale: float) -> tuple[Array, Solver]:
        """Return P u (Q, p) of the queries, rows (1+Q, p) being b and u, and P's stage.

        A pass starts from what the one before has left of every row: docs/model.md, 3.
        """
        total, left = pass_through(S, rows, self._steps)  # (1+Q, p), (1+Q, p)
        for passes, solver in PASSES:
            for _ in range(passes // 2):  # 1, 2, 4 passes in all
                more, left = pass_through(S, left, self._steps)  # (1+Q, p), (1+Q, p)
                total += more
            keys = total[1:] * scale  # (Q, p)
            if self._is_certified(keys, rows, left[0]):
                return keys, solver
        return scale * np.asarray(np.linalg.solve(S, rows[1:].T)).T, Solver.EXACT

    def _is_certified(self, keys: Array, rows: Array, left: Array) -> bool:
        """Return whether one more pass would move no answer beyond the bound."""
        moved = np.abs(keys.dot(left))  # (Q,)
        if 0 not in (moved <= self._bound).tobytes():  # the noise alone covers it
            return True
        leverage = (keys * rows[1:]).sum(axis=1)  # (Q,)
        if not self._has_intercept:
            leverage += 1.0 / self._count
        return 0 not in (moved <= self._bound * np.sqrt(1.0 + leverage)).tobytes()
