"""A port of predictions around handlers of a test's own: real gRPC, no model."""

import threading
import time

import grpc

from service.access import Access
from service.door import Door
from service.errors import STATUS
from service.loading import first_models
from service.public_port import PublicPort
from service.settings import Settings
from service.slot import Slots
from service.tally import MethodTally, RejectionTally
from service.telemetry import Telemetry
from sonoba._details import read

SERVICE = "test.Service"


class Port:
    """A started port; `call(name)` is a unary method on a channel of bytes."""

    def __init__(self, handlers, **settings):
        chosen = Settings(grpc_port=0, metrics_port=0, **settings)
        slots = Slots(first_models(chosen).all, chosen.default_model)
        self.rejections = RejectionTally(STATUS)
        door, telemetry = Door(Access(chosen)), Telemetry(chosen, slots)
        self.port = PublicPort(chosen, door, telemetry, self.rejections)
        self.tallies = {}
        for name, handler in handlers.items():
            self.tallies[name] = MethodTally("unary", SERVICE, name)
            self.port.unary(SERVICE, name, handler, self.tallies[name])
        self.number = self.port.grpc.add_insecure_port("127.0.0.1:0")
        self.port.bodies.start()
        self.port.grpc.start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.number}")
        ready = grpc.channel_ready_future(self.channel)
        ready.result(20)  # calls that wait for a connection are sent in any order

    @property
    def pool(self):
        return self.port.pools.predict

    def call(self, name, tenant=""):
        method = self.channel.unary_unary(f"/{SERVICE}/{name}")
        metadata = (("x-sonoba-tenant", tenant),) if tenant else ()

        def send(message=b"", timeout=20.0):
            return method.future(message, timeout=timeout, metadata=metadata)

        return send

    def begin(self, name):
        """Begin a call whose request never comes; return what ends it."""
        feed = _Silence()
        method = self.channel.stream_unary(f"/{SERVICE}/{name}")
        return method.future(feed, timeout=60.0)

    def close(self):
        self.channel.close()
        self.port.grpc.stop(0).wait()
        self.port.pools.shut_down()
        self.port.bodies.stop()


class _Silence:
    """An iterator of requests that brings none until the call is over."""

    def __iter__(self):
        return self

    def __next__(self):
        threading.Event().wait(15)
        raise StopIteration


def refusal_of(error):
    """Return the reason and the seconds to wait of a failed call, as a caller reads them."""
    details = read(error.trailing_metadata())
    return details.reason, details.retry_after


def wait_for(claim, seconds=10):
    """Wait until a claim is true, for so long at most."""
    ends = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < ends, f"expected it within {seconds} seconds"
        time.sleep(0.005)
