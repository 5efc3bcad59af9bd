"""The gates that are known to be missed: the bound that is kept instead, and why.

None is loosened in silence: a gate on this list is printed with its own bound, the one that holds,
and the reason.
"""

from typing import Final

KNOWN: Final[dict[str, tuple[float, str]]] = {}
