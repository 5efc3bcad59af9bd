"""A caller made from the protocol's schema, its messages in the pool that public clients use."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import GetMessageClass

from service import oip_messages

SERVICE = "inference.GRPCInferenceService"
SCHEMA = Path(oip_messages.__file__).with_name(oip_messages.SCHEMA_FILE)
DATATYPES = {"<f8": "FP64", "<f4": "FP32"}
TYPED = {"<f8": "fp64_contents", "<f4": "fp32_contents"}


def messages():
    """Return the classes of the protocol's messages, and add them to the default pool."""
    pool, schema = descriptor_pool.Default(), descriptor_pb2.FileDescriptorSet()
    schema.ParseFromString(SCHEMA.read_bytes())
    (file,) = schema.file
    pool.AddSerializedFile(file.SerializeToString())  # the same file again is no error
    found = {
        one.name: pool.FindMessageTypeByName(f"inference.{one.name}") for one in file.message_type
    }
    return SimpleNamespace(**{name: GetMessageClass(kind) for name, kind in found.items()})


def methods():
    """Return the names of the service's methods."""
    schema = descriptor_pb2.FileDescriptorSet.FromString(SCHEMA.read_bytes())
    return [method.name for method in schema.file[0].service[0].method]


class Stub:
    """Calls a server's methods by their names."""

    def __init__(self, channel):
        self.messages = messages()
        for name in methods():
            answer = getattr(self.messages, f"{name}Response")
            method = channel.unary_unary(
                f"/{SERVICE}/{name}",
                request_serializer=lambda request: request.SerializeToString(),
                response_deserializer=answer.FromString,
            )
            setattr(self, name, method)

    def infer(self, request, **more):
        return self.ModelInfer(request, timeout=30, **more)


def tensor(name, values, dtype="<f8", raw=True, **more):
    """Return the fields of an input."""
    fields = {"name": name, "datatype": DATATYPES[dtype], "shape": np.shape(values), **more}
    if not raw:
        fields["contents"] = {TYPED[dtype]: np.asarray(values, dtype).ravel()}
    return fields


def asking(x, y, query, dtypes="<f8", raw=True, outputs=(), parameters=None, **fields):
    """Return a request with the tensors of one prompt, or of many."""
    given = {"x": x, "y": y, "query": query}
    kinds = dict.fromkeys(given, dtypes) if isinstance(dtypes, str) else dtypes
    inputs = [tensor(name, values, kinds[name], raw) for name, values in given.items()]
    raws = [np.asarray(values, kinds[name]).tobytes() for name, values in given.items()]
    return messages().ModelInferRequest(
        inputs=inputs,
        raw_input_contents=raws if raw else (),
        outputs=[{"name": name} for name in outputs],
        parameters={name: parameter(value) for name, value in (parameters or {}).items()},
        **fields,
    )


def parameter(value):
    kinds = {str: "string_param", float: "double_param", bool: "bool_param", int: "int64_param"}
    return {kinds[type(value)]: value}


def said(response):
    """Return the parameters of a response, which are all strings."""
    return {name: value.string_param for name, value in response.parameters.items()}


def numbers(response, name="prediction"):
    """Return an output as an array, from raw or typed contents."""
    for place, output in enumerate(response.outputs):
        if output.name == name:
            if response.raw_output_contents:
                values = np.frombuffer(response.raw_output_contents[place], "<f8")
            else:
                values = np.array(output.contents.fp64_contents)
            return values.reshape(output.shape)
    raise KeyError(name)
