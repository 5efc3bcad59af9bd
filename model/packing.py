"""Nested dataclasses of numbers and arrays as a flat mapping of arrays, and back, without pickle.

A field's array is named by its path: `buckets.2.prior_mean`. Texts and booleans are arrays too.
"""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

Leaf = NDArray[np.generic]
T = TypeVar("T")


def pack(value: object, path: str = "") -> dict[str, Leaf]:
    """Return every leaf of a dataclass, tuple or mapping by its path; None leaves nothing.

    >>> pack(((1.0, 2.0), "int"))
    {'0.0': array(1.), '0.1': array(2.), '1': array('int', dtype='<U3')}
    """
    if is_dataclass(value) and not isinstance(value, type):
        parts = [(field.name, getattr(value, field.name)) for field in fields(value) if field.init]
    elif isinstance(value, tuple | list):
        parts = [(str(i), part) for i, part in enumerate(value)]
    elif isinstance(value, Mapping):
        parts = [(str(key), part) for key, part in value.items()]
    elif value is None:
        return {}
    else:
        leaf = np.asarray(value)
        if leaf.dtype.kind not in "fiubU":
            raise TypeError(f"{path}: expected numbers or text, got {type(value).__name__}")
        return {path: leaf}
    packed: dict[str, Leaf] = {}
    for name, part in parts:
        packed |= pack(part, f"{path}.{name}" if path else name)
    return packed


def unpack(kind: type[T], leaves: Mapping[str, Leaf]) -> T:
    """Return what was packed, by the annotations of its class; ValueError names what is missing."""
    value = _unpack(kind, leaves, "")
    assert isinstance(value, kind)
    return value


def below(leaves: Mapping[str, Leaf], prefix: str) -> dict[str, Leaf]:
    """Return the leaves whose path starts with a prefix, by the rest of it."""
    return {n.removeprefix(prefix): leaf for n, leaf in leaves.items() if n.startswith(prefix)}


def _unpack(kind: object, leaves: Mapping[str, Leaf], path: str) -> object:
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        named = [field.name for field in fields(kind) if field.init]
        return kind(**{name: _unpack(hints[name], leaves, _join(path, name)) for name in named})
    if origin in (types.UnionType, Union):
        present = path in leaves or any(name.startswith(f"{path}.") for name in leaves)
        (some,) = (part for part in arguments if part is not type(None))
        return _unpack(some, leaves, path) if present else None
    if origin is tuple:
        count = len(_children(leaves, path))
        kinds = [arguments[0]] * count if arguments[1:] == (...,) else arguments
        return tuple(_unpack(part, leaves, _join(path, str(i))) for i, part in enumerate(kinds))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key = arguments[0]
        return {
            key(name): _unpack(arguments[1], leaves, _join(path, name))
            for name in _children(leaves, path)
        }
    if path not in leaves:
        raise ValueError(f"expected an array {path!r}, got none")
    leaf = leaves[path]
    return kind(leaf.item()) if isinstance(kind, type) and kind in (float, int, bool, str) else leaf


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _children(leaves: Mapping[str, Leaf], path: str) -> list[str]:
    """Return the names one level below a path, in their order."""
    start = f"{path}." if path else ""
    return list(dict.fromkeys(name.partition(".")[0] for name in below(leaves, start)))
