"""JSON that is stored beside weights: read and checked by msgspec, field by field.

msgspec and not pydantic, for every process that answers reads such files, and pydantic would be an
eighth of its memory (docs/adr/0038-what-answers-does-without.md).
"""

import re
from types import UnionType
from typing import Any, TypeVar, dataclass_transform

import msgspec
import numpy as np

FIELD = re.compile(
    r"Object (?:(?P<missing>missing required)|contains unknown) field `(?P<name>.*)`"
)


class DocumentError(ValueError):
    """What a document should say and does not, in one sentence that names the field."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document or a part of one: frozen, and a field that nobody knows is refused.

    Made in code it is as the type checker saw it; bounds are checked by `read`. A subclass inherits
    everything but `kw_only`, which it has to say again.
    """


Read = TypeVar("Read", bound=msgspec.Struct)


def read(kind: type[Read] | UnionType, raw: bytes) -> Read:
    """Return the document in some bytes; raise `DocumentError` with the first fault.

    >>> class Point(Document):
    ...     x: float
    >>> read(Point, b'{"x": 1}')
    Point(x=1.0)
    """
    try:
        found: Read = msgspec.json.decode(raw, type=kind)
        return found
    except msgspec.ValidationError as error:
        raise DocumentError(sentence(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        got = str(error).removeprefix("JSON is malformed: ")
        raise DocumentError(f"expected JSON, got {got[0].lower()}{got[1:]}") from None


def sentence(error: msgspec.ValidationError) -> str:
    """Return a fault in our words: where, what was expected, what was got.

    >>> sentence(msgspec.ValidationError("Expected `float`, got `str` - at `$.features[0].mean`"))
    'features[0].mean: expected float, got str'
    >>> sentence(msgspec.ValidationError("Object contains unknown field `unit` - at `$.label`"))
    'label.unit: no such field'
    """
    fault, _, place = str(error).partition(" - at `")
    path = re.sub(r"^(key in )?\$\.?", "", place.rstrip("`"))
    if found := FIELD.fullmatch(fault):
        path = f"{path}.{found['name']}".lstrip(".")
        fault = "missing" if found["missing"] else "no such field"
    said = fault[0].lower() + fault[1:].replace("`", "")
    return f"{path}: {said}" if path else said


def changed(document: Read, **fields: Any) -> Read:
    """Return a document with other values in some fields."""
    return msgspec.structs.replace(document, **fields)


def remade(kind: type[Read], document: msgspec.Struct, **fields: Any) -> Read:
    """Return a document of another kind with the fields of one, and other values in some."""
    kept = (name for name in kind.__struct_fields__ if name not in fields)
    return kind(**{name: getattr(document, name) for name in kept}, **fields)


def bytes_of(document: msgspec.Struct, without: str = "") -> bytes:
    """Return a document's JSON; one field of it may be left out.

    Raise `DocumentError` where reading it would fail or give something else.
    """
    told = msgspec.to_builtins(document, enc_hook=_plain)
    told.pop(without, None)
    raw = msgspec.json.encode(told)
    if read(type(document), raw) != document:
        raise DocumentError("expected what JSON can say, got NaN or the like")
    return raw


def text_of(document: msgspec.Struct, without: str = "") -> str:
    """Return the same, indented for people."""
    return msgspec.json.format(bytes_of(document, without), indent=2).decode()


def _plain(value: object) -> object:
    """Return a number of NumPy as Python's; what else JSON has no word for is an error of ours."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a document holds a {type(value).__name__}")
