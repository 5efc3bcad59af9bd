"""The lines of the gate, once: the service, the rules and the page take them from here.

Derived by simulation: docs/monitoring.md, "The gate".
"""

CRITICAL = 2.0  # lower bound of the error ratio from which people are woken
MAJOR = 1.5  # from which somebody should look in working hours
WARNING = 1.25  # from which a rise is worth a line
LEAVE = 1.25  # below which a firing alarm may end
CLIP = 20.0  # most that one prompt may count for, in normal errors
Z95 = 1.645  # one-sided 95 % of a normal law
WINDOW_PROMPTS = 100
WINDOW_ROWS_MIN = 2000
ROWS_PER_FEATURE = 50


def window_rows(feature_count: int) -> int:
    """Return the fewest rows a window of prompts must hold for d features.

    >>> window_rows(5), window_rows(64)
    (2000, 3200)
    """
    return max(WINDOW_ROWS_MIN, ROWS_PER_FEATURE * feature_count)
