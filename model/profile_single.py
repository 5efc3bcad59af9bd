"""One prompt through a profile in as few array operations as there are.

Equivalent to `profile_layers` for the prompts it answers, which are those well inside the profile's
limits. Below d = 32 each operation costs more than its arithmetic.
"""

import math

import numpy as np
from numpy.typing import NDArray

from model.answer import Solver
from model.coordinates import PRIOR_ROWS
from model.ladder import PASSES
from model.profile_shared import Shared

Array = NDArray[np.float64]


class SinglePrompt(Shared):
    """The way of one prompt through what prompts of its length share."""

    def answer(self, x: Array, y: Array, queries: Array) -> tuple[Array, Solver] | None:
        """Return the answers (Q,) and how they were reached; None near the profile's limits."""
        mean, label_mean = self.average.dot(x), float(self.average.dot(y))  # (d,), ()
        labels = y - label_mean  # (M,)
        power = float(labels.dot(labels))
        near = np.concatenate((mean[None], queries)) - self.centre  # (1+Q, d)
        if not self._is_ordinary(near, label_mean, power):
            return None
        rows = self.centred(x, mean)  # (M or M+1, d)
        scatter, products = rows.T.dot(rows), labels.dot(rows[: self.count])  # (d, d), (d,)
        if self.is_scaled:
            scale = self._own_scale(scatter.diagonal())  # (d,)
            scatter, products = scatter / scale / scale[:, None], products / scale
            near /= scale
        told, unit, origin = near.dot(self.map), self._unit(power), label_mean  # (1+Q, p+1)
        off, u = told[0], told[1:] - told[0]  # (p+1,), (Q, p+1)
        A, b = self._sums(scatter, products / unit)  # (p, p), (p,)
        if self.has_intercept:
            origin = self.level + self.level_unit * float(off[-1])
            gap = self.gap + self.sigma * off[:-1]  # (p,)
            A += (self.coupling * gap)[:, None].dot(gap[None])
            shift = self.first + self.off_share * gap  # (p,) of every token
            b += (self.count * (label_mean - origin) / unit) * shift
            u[:, :-1] += shift
        learnt, solver = self._solved(A, b, u[:, :-1])  # (Q,)
        return origin + unit * (u[:, -1] + learnt), solver

    def _sums(self, scatter: Array, products: Array) -> tuple[Array, Array]:
        """Return the sums A (p, p) and b (p,) of the tokens, less the prior's.

        Of the rows' own sums, scatter (d, d) and products (d,): that takes M d² where the tokens
        themselves took twice as much.
        """
        seen = scatter.dot(self.map)  # (d, p+1)
        A = self.back.dot(seen[:, :-1])  # (p, p)
        A += self.prior_gram
        return A, self.back.dot(products - seen[:, -1])

    def _unit(self, power: float) -> float:
        """Return the unit of labels, σ in all."""
        if self.has_fixed_unit:
            return self.unit
        total = power + PRIOR_ROWS * self.label_variance
        return self.sigma * math.sqrt(total / (self.count + PRIOR_ROWS))

    def finite(self, x: Array, y: Array, queries: Array) -> tuple[Array, Solver] | None:
        """Return the same; None where an answer is not finite."""
        found = self.answer(x, y, queries)
        return found if found and math.isfinite(found[0].dot(found[0])) else None

    def _is_ordinary(self, near: Array, label_mean: float, power: float) -> bool:
        """Return whether the prompt lies well inside the profile's limits; NaN does not.

        near (1+Q, d) are its mean and its queries, about the history's.
        """
        return (
            abs(label_mean - self.label_centre) < self.label_reach
            and self.power_min < power < self.power_max
            and 0 not in (np.abs(near) < self.reach).tobytes()
        )

    def _own_scale(self, squares: Array) -> Array:
        """Return s · t (d,) of the prompt, of its rows' sums of squares (d,)."""
        power = squares / (self.s * self.s)  # (d,)
        share = (power + PRIOR_ROWS * self.variance) / (self.count + PRIOR_ROWS)
        scale: Array = self.s * np.sqrt(share)
        return scale

    def _solved(self, A: Array, b: Array, queries: Array) -> tuple[Array, Solver]:
        """Return what the examples add to the prior's answers (Q,), and the stage that did.

        A (p, p) is written over; queries (Q, p).
        """
        D: Array = A.diagonal() ** -0.5  # (p,)
        A *= D[:, None].dot(D[None])
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
        total, left = self.layers.once(S, rows)  # (1+Q, p), (1+Q, p)
        for passes, solver in PASSES:
            for _ in range(passes // 2):  # 1, 2, 4 passes in all
                more, left = self.layers.once(S, left)  # (1+Q, p), (1+Q, p)
                total += more
            keys = total[1:] * scale  # (Q, p)
            if self._is_certified(keys, rows, left[0]):
                return keys, solver
        keys = np.ascontiguousarray(np.linalg.solve(S, rows[1:].T).T)  # (Q, p)
        return scale * keys, Solver.EXACT

    def _is_certified(self, keys: Array, rows: Array, left: Array) -> bool:
        """Return whether one more pass would move no answer beyond the bound."""
        moved = np.abs(keys.dot(left))  # (Q,)
        if 0 not in (moved <= self.bound).tobytes():  # the noise alone covers it
            return True
        leverage = (keys * rows[1:]).sum(axis=1)  # (Q,)
        if not self.has_intercept:
            leverage += 1.0 / self.count
        return 0 not in (moved <= self.bound * np.sqrt(1.0 + leverage)).tobytes()
