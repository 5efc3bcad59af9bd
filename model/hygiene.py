"""What is checked of every prompt beside its shape: constant columns and far queries.

Thresholds and their reasons: docs/model.md, section 4.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from model.answer import Caution, Warned
from model.prompt import Block
from model.refusal import Refusal

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

EXTRAPOLATION_SD = 5.0  # beyond, the answer is an extrapolation: a warning
FAR_QUERY_SD = 300.0  # beyond, the query is in another unit or of another kind: a refusal


def constant_columns(block: Block, constant: Mask) -> Iterator[Warned]:
    """Warn of the columns of constant (B, d) that are the same in every example of a prompt."""
    for prompt in np.flatnonzero(constant.any(axis=1)):
        columns = np.flatnonzero(constant[prompt])
        first = int(columns[0])
        more = f" and {len(columns) - 1} more" if len(columns) > 1 else ""
        sentence = (
            f"feature {block.feature_name(first)}{more} is the same in every example, "
            "so its value in the queries is ignored"
        )
        yield Warned(int(prompt), Caution.CONSTANT_FEATURE, sentence, "examples.features", first)


def far_queries(block: Block, z: Array) -> tuple[list[Warned], list[tuple[int, Refusal]]]:
    """Warn of and refuse queries by their distance z (B, Q, d) in the examples' deviations."""
    warned: list[Warned] = []
    refused: list[tuple[int, Refusal]] = []
    size = np.abs(z).reshape(len(z), -1)  # (B, Q d)
    worst = size.argmax(axis=1)  # (B,) NaN before any number
    far = ~(size[np.arange(len(size)), worst] <= EXTRAPOLATION_SD)  # (B,)
    for prompt in np.flatnonzero(far).tolist():
        row, column = divmod(int(worst[prompt]), z.shape[2])
        distance = float(z[prompt, row, column])
        sentence = (
            f"query {row}, feature {block.feature_name(column)}: {distance:.3g} standard "
            "deviations from the examples' mean"
        )
        if not abs(distance) <= FAR_QUERY_SD:  # `not <=` also catches NaN
            sentence = f"expected at most {FAR_QUERY_SD:.0f} standard deviations, got {sentence}"
            refused.append((prompt, Refusal("OUT_OF_RANGE_FEATURE", "queries", sentence)))
        else:
            warned.append(Warned(prompt, Caution.EXTRAPOLATION, sentence, "queries", row))
    return warned, refused
