"""The Open Inference Protocol, version 2, beside our own contract on the same port.

Every call is read, asked of the same core in the words of our contract, and its answer or refusal
said in the words of the protocol (docs/open-inference.md). Bytes in, bytes out: no gRPC here.
"""

from collections.abc import Callable
from typing import NamedTuple

import service
from model.refusal import Refusal
from service.call import Call
from service.core import Predictor
from service.oip_fields import renamed
from service.oip_messages import Messages
from service.oip_metadata import metadata
from service.oip_repository import Repository
from service.oip_request import question
from service.oip_response import Responses
from service.slot import Slots
from service.validate import Limits
from sonoba.v1 import predictor_pb2 as pb

EXTENSIONS = ("model_repository", "parameters")
Require = Callable[[Call, str], bool]
"""Says whether the caller of a call has a role."""


class Served(NamedTuple):
    """What the protocol is spoken for."""

    predictor: Predictor
    slots: Slots
    limits: Limits
    repository: Repository
    is_ready: Callable[[], bool]
    has_role: Require


class OpenInference:
    """Answers the calls of `inference.GRPCInferenceService`."""

    def __init__(self, served: Served) -> None:
        raise NotImplementedError

    def model_infer(self, wire: bytes, call: Call) -> bytes:
        """Answer one prompt, or n stacked ones."""
        raise NotImplementedError
