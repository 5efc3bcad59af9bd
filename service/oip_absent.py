"""What public clients can ask for that is not offered here, and what they are told instead.

A method that is not served at all is refused by gRPC in words that help nobody.
"""

from model.refusal import Refusal
from service.call import Call
from service.errors import Handler

NO_SHARED_MEMORY = "expected numbers in the request: there is no shared memory"
ABSENT = {
    "ModelConfig": "expected ModelMetadata: there is no configuration beside it",
    "ModelStatistics": "expected a scrape of the metrics port, which counts calls and their times",
    "TraceSetting": "expected no setting by a call: the operator's environment says what is traced",
    "LogSettings": "expected no setting by a call: the operator's environment says what is logged",
    "SystemSharedMemoryStatus": NO_SHARED_MEMORY,
    "SystemSharedMemoryRegister": NO_SHARED_MEMORY,
    "SystemSharedMemoryUnregister": NO_SHARED_MEMORY,
    "CudaSharedMemoryStatus": NO_SHARED_MEMORY,
    "CudaSharedMemoryRegister": NO_SHARED_MEMORY,
    "CudaSharedMemoryUnregister": NO_SHARED_MEMORY,
}
"""Unary methods of Triton's extensions."""


def absent(method: str) -> Handler:
    """Return what refuses a method: UNIMPLEMENTED, with a sentence."""

    def behaviour(wire: bytes, call: Call) -> bytes:
        raise Refusal("UNSUPPORTED_OPTION", method, ABSENT[method])

    return behaviour
