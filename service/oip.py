"""The Open Inference Protocol, version 2, beside our own contract on the same port.

Every call is read, asked of the same core in the words of our contract, and its answer or refusal
said in the words of the protocol (docs/open-inference.md). Bytes in, bytes out: no gRPC here.
"""

from collections.abc import Callable
from typing import NamedTuple

from model.refusal import Refusal
from service import oip_metadata
from service.call import Call
from service.core import Predictor
from service.errors import Handler
from service.oip_absent import ABSENT, absent
from service.oip_fields import renamed
from service.oip_layout import Layout, Layouts
from service.oip_messages import Messages
from service.oip_repository import Repository
from service.oip_request import question
from service.oip_response import Responses
from service.slot import Slots
from service.validate import Limits
from sonoba.v1 import predictor_pb2 as pb


class SpokenFor(NamedTuple):
    """What the protocol is spoken for."""

    predictor: Predictor
    slots: Slots
    limits: Limits
    repository: Repository
    is_ready: Callable[[], bool]


class OpenInference:
    """Answers the calls of `inference.GRPCInferenceService`."""

    def __init__(self, served: SpokenFor) -> None:
        """Take what answers; the messages are made here, not on import."""
        self._served, self._messages = served, Messages()
        self._responses, self._layouts = Responses(self._messages), Layouts()

    def model_infer(self, wire: bytes, call: Call) -> bytes:
        """Answer one prompt, or n stacked ones."""
        try:
            known = self._layouts.of(wire)
            answer = None if known is None else self._infer_like(*known, wire, call)
            return self._infer(wire, call) if answer is None else answer
        except Refusal as refusal:
            raise renamed(refusal) from None

    def _infer_like(self, layout: Layout, ours: bytes, wire: bytes, call: Call) -> bytes | None:
        """Answer a request of a known layout; None where its id is no text, as a parser says."""
        try:
            request_id = layout.id_of(wire)
        except UnicodeDecodeError:
            return None
        call.name(request_id)
        reply = self._served.predictor.predict(ours, call)
        response = layout.response(reply)
        if response is None:
            response = self._responses.one(reply, layout.asked, request_id)
            layout.learn(reply, response)
        return response

    def _infer(self, wire: bytes, call: Call) -> bytes:
        """Answer any request: parsed, checked, and asked of the core."""
        request, served = self._messages.infer_request(wire), self._served
        call.name(request.id)
        asked = question(request, served.limits)
        if asked.prompt_count:
            answer = served.predictor.predict_batch(asked.wire, call)
            return self._responses.many(answer, asked, request.id)
        answer = served.predictor.predict(asked.wire, call)
        self._layouts.learn(wire, request, asked)
        return self._responses.one(answer, asked, request.id)

    def server_live(self, wire: bytes, call: Call) -> bytes:
        """Say that the server runs."""
        return self._messages.written("ServerLiveResponse", {"live": True})

    def server_ready(self, wire: bytes, call: Call) -> bytes:
        """Say whether calls are welcome, as the health service does."""
        return self._messages.written("ServerReadyResponse", {"ready": self._served.is_ready()})

    def model_ready(self, wire: bytes, call: Call) -> bytes:
        """Say whether a version of a model is served, and calls are welcome."""
        request = self._messages.model_request("ModelReadyRequest", wire)
        slots = self._served.slots
        found = slots.get(request.name or slots.default)
        is_served = found is not None and request.version in ("", found.version)
        ready = is_served and self._served.is_ready()
        return self._messages.written("ModelReadyResponse", {"ready": ready})

    def server_metadata(self, wire: bytes, call: Call) -> bytes:
        """Describe the server."""
        return self._messages.written("ServerMetadataResponse", oip_metadata.server())

    def model_metadata(self, wire: bytes, call: Call) -> bytes:
        """Describe a model's tensors."""
        request = self._messages.model_request("ModelMetadataRequest", wire)
        ours = pb.GetModelRequest(model=request.name, model_version=request.version)
        try:
            answer = self._served.predictor.get_model(ours.SerializeToString(), call)
        except Refusal as refusal:
            raise renamed(refusal) from None
        described = pb.GetModelResponse.FromString(answer).model
        return self._messages.written("ModelMetadataResponse", oip_metadata.model(described))

    def repository_index(self, wire: bytes, call: Call) -> bytes:
        """List the versions that are served and those that are stored."""
        request = self._messages.index_request(wire)
        _check_repository(request.repository_name)
        found = [
            one for one in self._served.repository.index() if not (request.ready and one.reason)
        ]
        models = [version._asdict() for version in found]
        return self._messages.written("RepositoryIndexResponse", {"models": models})

    def load_model(self, wire: bytes, call: Call) -> bytes:
        """Bring a model in line with the store at once."""
        self._served.repository.load(self._named("RepositoryModelLoad", wire))
        return self._messages.written("RepositoryModelLoadResponse", {})

    def unload_model(self, wire: bytes, call: Call) -> bytes:
        """Let go of a model that the store does not put in force any more."""
        self._served.repository.unload(self._named("RepositoryModelUnload", wire))
        return self._messages.written("RepositoryModelUnloadResponse", {})

    def _named(self, method: str, wire: bytes) -> str:
        """Return the model that a call to the repository names; refuse what is said beside."""
        request = self._messages.repository_request(f"{method}Request", wire)
        _check_repository(request.repository_name)
        for name in request.parameters:
            if name not in IGNORED:
                sentence = "expected none: a version comes from the store as it is"
                raise Refusal("BAD_ARGUMENT", f"parameters.{name:.64}", sentence)
        return request.model_name


IGNORED = ("unload_dependents",)
"""Parameters that ask for nothing here: no model has dependents."""


def _check_repository(name: str) -> None:
    if name:
        sentence = f"expected none, for there is one repository, got '{name:.64}'"
        raise Refusal("BAD_ARGUMENT", "repository_name", sentence)


UNARY = {
    "ServerLive": OpenInference.server_live,
    "ServerReady": OpenInference.server_ready,
    "ModelReady": OpenInference.model_ready,
    "ServerMetadata": OpenInference.server_metadata,
    "ModelMetadata": OpenInference.model_metadata,
    "ModelInfer": OpenInference.model_infer,
    "RepositoryIndex": OpenInference.repository_index,
    "RepositoryModelLoad": OpenInference.load_model,
    "RepositoryModelUnload": OpenInference.unload_model,
}
"""The methods by their names in the protocol."""


def handlers(served: SpokenFor) -> dict[str, Handler]:
    """Return the handler of every unary method by its name, those that only refuse among them."""
    speaking = OpenInference(served)
    spoken = {name: method.__get__(speaking) for name, method in UNARY.items()}
    return spoken | {name: absent(name) for name in ABSENT}
