"""The Open Inference Protocol as a gRPC port serves it: its methods, for whom, and how counted."""

from collections.abc import Callable, Mapping

import grpc

from service import oip
from service.errors import Admit, Handler
from service.oip_messages import SERVICE
from service.tally import MethodTally

Served = Callable[[str, Handler, MethodTally, Admit | None], "grpc.RpcMethodHandler[bytes, bytes]"]
"""Makes a method of a path, a handler, a tally and what stands before it."""


def tallies(make: Callable[[str, str, str], MethodTally]) -> dict[str, MethodTally]:
    """Return a tally for every method that is offered; those that only refuse are not counted."""
    return {name: make("unary", SERVICE, name) for name in oip.UNARY}


def handler(
    spoken: oip.SpokenFor,
    served: Served,
    counts: Mapping[str, MethodTally],
    admit: Callable[[str], Admit | None],
) -> grpc.GenericRpcHandler:
    """Return all methods; `admit` gives what stands before each (`Door.admit`)."""
    methods = {}
    for name, answer in oip.handlers(spoken).items():
        tally = counts.get(name) or MethodTally("unary", SERVICE, name)
        methods[name] = served(f"{SERVICE}/{name}", answer, tally, admit(name))
    return grpc.method_handlers_generic_handler(SERVICE, methods)
