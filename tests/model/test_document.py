"""Stored JSON: what is refused on reading and on writing, and in which words."""

import math
from typing import Annotated

import numpy as np
import pytest
from msgspec import Meta

from model.document import Document, DocumentError, bytes_of, changed, read, remade, text_of


class Inner(Document, kw_only=True):
    mean: float
    count: Annotated[int, Meta(ge=0)] = 0


class Outer(Document, kw_only=True):
    name: Annotated[str, Meta(pattern=r"^[a-z]+\Z")]
    inner: tuple[Inner, ...] = ()
    low: float | None = None

    def __post_init__(self) -> None:
        if self.name == "nobody":
            raise ValueError("name: expected somebody")


WHOLE = Outer(name="a", inner=(Inner(mean=1.5, count=2),), low=0.1)

FAULTS = {
    "no JSON": ("{", "expected JSON, got input data was truncated"),
    "NaN": ('{"name":"a","low":NaN}', r"expected JSON, got invalid character \(byte 18\)"),
    "infinity by its size": ('{"name":"a","low":1e999}', "low: number out of range"),
    "too deep": ('{"name":"a","inner":' + "[" * 100_000, "inner"),
    "another type": ('{"name":"a","inner":[{"mean":"1"}]}', r"inner\[0\].mean: expected float"),
    "a bool as a number": ('{"name":"a","low":true}', "low: expected float"),
    "below its bound": ('{"name":"a","inner":[{"mean":1,"count":-1}]}', r"count: expected int.*0"),
    "missing": ('{"inner":[]}', "^name: missing$"),
    "missing inside": ('{"name":"a","inner":[{}]}', r"^inner\[0\].mean: missing$"),
    "unknown": ('{"name":"a","colour":1}', "^colour: no such field$"),
    "a line after the name": ('{"name":"a\\n"}', "name: expected str matching"),
    "its own rule": ('{"name":"nobody"}', "^name: expected somebody$"),
    "a list": ("[]", "expected object, got array"),
    "no text": (b"\xff", "expected JSON"),
}


@pytest.mark.parametrize(("raw", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_with_its_place(raw, sentence):
    with pytest.raises(DocumentError, match=sentence):
        read(Outer, raw if isinstance(raw, bytes) else raw.encode())


def test_what_is_written_is_read_again():
    assert read(Outer, text_of(WHOLE).encode()) == read(Outer, bytes_of(WHOLE)) == WHOLE
    assert bytes_of(WHOLE) == b'{"name":"a","inner":[{"mean":1.5,"count":2}],"low":0.1}'


def test_numbers_of_numpy_are_numbers():
    made = Outer(name="a", inner=(Inner(mean=np.float64(1.5), count=np.int64(2)),), low=0.1)  # type: ignore[arg-type]

    assert read(Outer, bytes_of(made)) == WHOLE


@pytest.mark.parametrize(
    "odd",
    [
        changed(WHOLE, name="A"),
        changed(WHOLE, low=math.nan),
        changed(WHOLE, low=math.inf),
        changed(WHOLE, inner=(Inner(mean=0.0, count=-1),)),
    ],
    ids=["name", "nan", "infinity", "count"],
)
def test_what_could_not_be_read_is_not_written(odd):
    with pytest.raises(DocumentError):
        text_of(odd)


class Labelled(Outer, kw_only=True):
    label: str


def test_a_document_of_another_kind_takes_what_both_say():
    made = remade(Labelled, WHOLE, label="y", low=None)

    assert made == Labelled(name="a", inner=WHOLE.inner, low=None, label="y")
    assert remade(Outer, made, low=0.1) == WHOLE
    with pytest.raises(AttributeError, match="label"):
        remade(Labelled, WHOLE)


def test_a_document_is_changed_in_a_copy():
    other = changed(WHOLE, name="b")

    assert (WHOLE.name, other.name) == ("a", "b") and other.low == 0.1
    with pytest.raises(AttributeError):
        other.name = "c"  # type: ignore[misc]
