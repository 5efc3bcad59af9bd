"""Units that a column of numbers is mistaken for, by what its name, unit and range allow."""

import re

TEMPERATURE = re.compile(r"temp|celsius|℃|°\s*c\b|気温|温度|水温|室温", re.IGNORECASE)
COLDEST, WARMEST = -60.0, 60.0  # °C, of weather and rooms
THOUSAND, INCH, PERCENT = 1000.0, 25.4, 100.0
FAHRENHEIT = (1.8, 32.0)

Misreading = tuple[str, float, float]
"""(code, factor, what is added): the value v is written as factor · v + added."""


def misreadings(name: str, unit: str, low: float, high: float) -> list[Misreading]:
    """Return the likeliest mistakes for a column from low to high.

    >>> misreadings("temp", "", -5.0, 35.0)[0]
    ('fahrenheit', 1.8, 32.0)
    >>> misreadings("discount", "", 0.0, 0.4), misreadings("weight", "kg", 1.0, 80.0)
    ([('wrong_unit', 100.0, 0.0)], [('wrong_unit', 1000.0, 0.0), ('wrong_unit', 25.4, 0.0)])
    """
    if TEMPERATURE.search(f"{name} {unit}") and low >= COLDEST and 1.0 < high <= WARMEST:
        return [("fahrenheit", *FAHRENHEIT)]
    if low >= 0.0 and high <= 1.0:
        return [("wrong_unit", PERCENT, 0.0)]
    return [("wrong_unit", THOUSAND, 0.0), ("wrong_unit", INCH, 0.0)]
