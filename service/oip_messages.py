"""The messages of the Open Inference Protocol, in a pool of descriptors of their own.

Public clients register the same names in the process's default pool, and one name may stand in a
pool once: who serves the protocol must not take theirs. The schema is proto/inference, compiled by
`make proto`; https://github.com/open-inference/open-inference-protocol.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Protocol, TypeVar, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from service import codec

SERVICE = "inference.GRPCInferenceService"
SCHEMA_FILE = "open_inference.binpb"

T = TypeVar("T")


class Parameter(Protocol):
    """The value of a parameter."""

    string_param: str
    double_param: float

    def WhichOneof(self, group: str) -> str | None:
        """Return the name of the field that is set."""


Parameters = Mapping[str, Parameter]


class Contents(Protocol):
    """Numbers in a typed form."""

    fp32_contents: Sequence[float]
    fp64_contents: Sequence[float]

    def ListFields(self) -> Sequence[tuple["Named", object]]:
        """Return what is set."""


class Named(Protocol):
    """Whatever has a name."""

    name: str


class Input(Named, Protocol):
    """A tensor of a request; its numbers may stand elsewhere."""

    datatype: str
    shape: Sequence[int]
    parameters: Parameters
    contents: Contents

    def HasField(self, name: str) -> bool:
        """Return whether a field is set."""


class Output(Named, Protocol):
    """A tensor that is wanted."""

    parameters: Parameters


class InferRequest(Protocol):
    """ModelInferRequest."""

    model_name: str
    model_version: str
    id: str
    parameters: Parameters
    inputs: Sequence[Input]
    outputs: Sequence[Output]
    raw_input_contents: Sequence[bytes]


class ModelRequest(Named, Protocol):
    """ModelReadyRequest and ModelMetadataRequest."""

    version: str


class IndexRequest(Protocol):
    """RepositoryIndexRequest."""

    repository_name: str
    ready: bool


class RepositoryRequest(Protocol):
    """RepositoryModelLoadRequest and RepositoryModelUnloadRequest."""

    repository_name: str
    model_name: str
    parameters: Mapping[str, object]


class Messages:
    """Reads and makes the messages of the protocol by their names."""

    def __init__(self) -> None:
        pool, schema = DescriptorPool(), FileDescriptorSet()
        schema.ParseFromString((files("service") / SCHEMA_FILE).read_bytes())
        for file in schema.file:
            pool.AddSerializedFile(file.SerializeToString())
        names = [
            f"{file.package}.{kind.name}" for file in schema.file for kind in file.message_type
        ]
        self._kinds = {
            descriptor.name: GetMessageClass(descriptor)
            for descriptor in map(pool.FindMessageTypeByName, names)
        }
        # The library holds the classes of nested messages by nothing but their instances, and one
        # that the collector frees while another thread asks for it again ends the process.
        self._nested = [*_nested(pool.FindMessageTypeByName(name) for name in names)]

    def infer_request(self, wire: bytes) -> InferRequest:
        """Return the request of a ModelInfer; bytes that are none are refused."""
        return cast(InferRequest, self._parsed("ModelInferRequest", wire))

    def model_request(self, kind: str, wire: bytes) -> ModelRequest:
        """Return the request of a ModelReady or a ModelMetadata."""
        return cast(ModelRequest, self._parsed(kind, wire))

    def index_request(self, wire: bytes) -> IndexRequest:
        """Return the request of a RepositoryIndex."""
        return cast(IndexRequest, self._parsed("RepositoryIndexRequest", wire))

    def repository_request(self, kind: str, wire: bytes) -> RepositoryRequest:
        """Return the request of a RepositoryModelLoad or a RepositoryModelUnload."""
        return cast(RepositoryRequest, self._parsed(kind, wire))

    def _parsed(self, kind: str, wire: bytes) -> Message:
        return codec.parse(self._kinds[kind], wire)

    def written(self, kind: str, fields: Mapping[str, object]) -> bytes:
        """Return a message of some fields as bytes; messages in it are mappings again."""
        return self._kinds[kind](**fields).SerializeToString()


def _nested(descriptors: Iterable[Descriptor]) -> Iterator[type[Message]]:
    """Yield the classes of the messages that are declared inside others."""
    for descriptor in descriptors:
        for inner in descriptor.nested_types:
            yield GetMessageClass(inner)
            yield from _nested([inner])
