"""Requests of the Open Inference Protocol, and what an answer to one must be."""

from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Any

import numpy as np
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from numpy.typing import NDArray

from bench.hostility.values import Generator, Prompt
from service.oip import UNARY
from service.oip_messages import SCHEMA_FILE

Array = NDArray[np.float64]

OUTPUTS = [[], ["prediction"], ["prediction", "standard_error", "lower", "upper"], ["lower"], ["?"]]
OTHERS = sorted(set(UNARY) - {"ModelInfer"})
METHODS = frozenset(UNARY)


def _kinds(descriptors: Iterable[Descriptor]) -> Iterator[type[Message]]:
    """Yield the classes of messages and of those declared inside them."""
    for descriptor in descriptors:
        yield GetMessageClass(descriptor)
        yield from _kinds(descriptor.nested_types)


class Schema:
    """The protocol's messages, from a pool of their own."""

    def __init__(self) -> None:
        pool, schema = DescriptorPool(), FileDescriptorSet()
        schema.ParseFromString((files("service") / SCHEMA_FILE).read_bytes())
        for file in schema.file:
            pool.AddSerializedFile(file.SerializeToString())
        self._pool = pool
        names = [
            f"{file.package}.{kind.name}" for file in schema.file for kind in file.message_type
        ]
        self._kinds = [
            *_kinds(map(pool.FindMessageTypeByName, names))
        ]  # else the collector has them

    def made(self, name: str, **fields: object) -> Any:
        """Return a message of some fields."""
        return GetMessageClass(self._pool.FindMessageTypeByName(f"inference.{name}"))(**fields)

    def other(self, rng: Generator, name: str, version: str) -> tuple[str, Message]:
        """Return a method that predicts nothing, and a request to it."""
        method = OTHERS[rng.integers(len(OTHERS))]
        request = self.made(f"{method}Request")
        known = {field.name for field in request.DESCRIPTOR.fields}
        said = {"name": name, "model_name": name, "version": ["", version, "v0"][rng.integers(3)]}
        said |= {"repository_name": ["", "", "elsewhere"][rng.integers(3)]}
        for field in known & set(said):
            setattr(request, field, said[field])
        return method, request

    def infer(
        self, rng: Generator, name: str, columns: tuple[str, ...], prompts: list[Prompt]
    ) -> Message:
        """Return a request for one prompt, or for several as one stack."""
        is_raw, is_single = rng.random() < 0.6, rng.random() < 0.3
        request = self.made(
            "ModelInferRequest", model_name=name, id=["", "order-7"][rng.integers(2)]
        )
        for tensor, parts in zip(("x", "y", "query"), zip(*prompts, strict=True), strict=True):
            array = np.stack(parts) if len(parts) > 1 or rng.random() < 0.2 else parts[0]
            self._add(request, tensor, array, is_raw, is_single)
        for output in OUTPUTS[rng.integers(len(OUTPUTS))]:
            request.outputs.add(name=output)
        if columns:
            request.parameters["columns"].string_param = ",".join(columns)
        if rng.random() < 0.2:
            request.parameters["confidence_level"].double_param = rng.choice([0.9, 0.5])
        if rng.random() < 0.2:
            request.parameters["group_id"].string_param = "shop-7"
        return request  # type: ignore[no-any-return]

    def _add(self, request: Any, name: str, array: Array, is_raw: bool, is_single: bool) -> None:
        datatype, dtype = ("FP32", "<f4") if is_single else ("FP64", "<f8")
        tensor = request.inputs.add(name=name, datatype=datatype, shape=array.shape)
        if is_raw:
            request.raw_input_contents.append(array.astype(dtype).tobytes())
        elif is_single:
            tensor.contents.fp32_contents.extend(array.astype(dtype).ravel().tolist())
        else:
            tensor.contents.fp64_contents.extend(array.ravel())

    def check(self, method: str, wire: bytes, answer: bytes) -> str:
        """Raise AssertionError of an answer that fits no request; return what it was, in a word."""
        response = self.made(f"{method}Response")
        response.ParseFromString(answer)
        if method != "ModelInfer":
            return "answered"
        request = self.made("ModelInferRequest")
        request.ParseFromString(wire)
        wanted = [one.name for one in request.outputs] or ["prediction"]
        assert [one.name for one in response.outputs] == wanted, "other outputs than asked for"
        assert request.id in ("", response.id), "an answer to another request"
        assert response.model_name and request.model_name in ("", response.model_name)
        query = next(one for one in request.inputs if one.name == "query")
        for place, output in enumerate(response.outputs):
            assert list(output.shape) == list(query.shape)[:-1], "another shape"
            raw = response.raw_output_contents
            numbers = np.frombuffer(raw[place]) if raw else np.array(output.contents.fp64_contents)
            assert len(numbers) == np.prod(output.shape), "another number of numbers"
            is_one = len(output.shape) == 1  # of several, one that fails is NaN
            assert np.isfinite(numbers).all() or not is_one, "an answer that is no number"
        return "answered"
