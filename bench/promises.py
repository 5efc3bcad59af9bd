"""Promises a bench is held to, and what it found as plain objects for JSON."""

from dataclasses import dataclass, fields, is_dataclass


@dataclass(frozen=True, slots=True)
class Gate:
    """One promise: the number it is about, the bound, and whether it holds."""

    name: str
    measured: float
    bound: str
    ok: bool


def at_least(name: str, measured: float, bound: float) -> Gate:
    """Promise that a number is not below its bound."""
    return Gate(name, measured, f">= {bound:g}", measured >= bound)


def at_most(name: str, measured: float, bound: float) -> Gate:
    """Promise that a number is not above its bound."""
    return Gate(name, measured, f"<= {bound:g}", measured <= bound)


def plain(value: object) -> object:
    """Return dataclasses and named tuples as dictionaries, sequences as lists."""
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return value
