"""The Open Inference Protocol as a gRPC port serves it: its methods, for whom, and how counted."""

from collections.abc import Callable, Mapping

from service import oip
from service.oip_messages import SERVICE
from service.public_port import PublicPort
from service.tally import MethodTally


def tallies(make: Callable[[str, str, str], MethodTally]) -> dict[str, MethodTally]:
    """Return a tally for every method that is offered; those that only refuse are not counted."""
    return {name: make("unary", SERVICE, name) for name in oip.UNARY}


def add(port: PublicPort, spoken: oip.SpokenFor, counts: Mapping[str, MethodTally]) -> None:
    """Serve all methods on a port."""
    for name, answer in oip.handlers(spoken).items():
        tally = counts.get(name) or MethodTally("unary", SERVICE, name)
        port.unary(SERVICE, name, answer, tally)
