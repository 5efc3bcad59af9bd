"""The lines of the page gate, read by the service, its page and the generator of the alert rules.

The gate is the lower 95 % bound of a window's mean clipped ratio to the reference; 1 is normal.
"""

from typing import Final

CRITICAL: Final = 2.0  # someone is called
MAJOR: Final = 1.5  # a ticket
WARNING: Final = 1.25  # of the mean itself, in a short and a long window at once
LEAVE: Final = 1.25  # an alert that fires goes on until the gate is below this
CLIP: Final = 20.0  # a prompt's ratio counts at most this much: one wild row must not page
RATIO_MAX: Final = 1e6  # of a prompt in sums without a clip: digits are left for the others
DEVIATIONS_MAX: Final = 1e3  # the same of how far a prompt's mean lies from the reference's
Z95: Final = 1.645  # one-sided 95 % point of the normal law

WINDOW_PROMPTS: Final = 100  # fewer are silent
WINDOW_ROWS_MIN: Final = 2000
ROWS_PER_FEATURE: Final = 50


def window_rows(feature_count: int) -> int:
    """Return the rows below which a window of prompts is silent."""
    return max(WINDOW_ROWS_MIN, ROWS_PER_FEATURE * feature_count)
