"""The ways in which callers reach several replicas: by themselves, or through Envoy."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple

import grpc
import numpy as np

import sonoba
from bench.replicas.envoy import Address, Envoy
from bench.replicas.fleet import Fleet
from bench.replicas.load import CALLERS, PAUSE_SECONDS, Load
from bench.replicas.name import NAME
from bench.serving import prompts
from bench.serving.prompts import SHAPES
from bench.serving.servers import ROOT
from sonoba.v1 import predictor_pb2 as pb
from sonoba.v1 import predictor_pb2_grpc

Call = Callable[[], object]
Options = list[tuple[str, str | int]]
SERVICE_CONFIG = ROOT / "deploy/service-config.json"
ROBIN_ALONE = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})
TIMEOUT_SECONDS = 5.0


class Way(NamedTuple):
    """A caller: its name, which is also that of the model it asks, what it is, how it opens."""

    name: str
    told: str
    opened: Callable[[Fleet], AbstractContextManager[Call]]


@contextmanager
def by_client(fleet: Fleet) -> Iterator[Call]:
    """Call by the SDK, which was told nothing but the name."""
    block = prompts.block(SHAPES[0])
    x, y = block.context.x[0], block.context.y[0]  # type: ignore[union-attr]  # examples
    with sonoba.Client(fleet.target, timeout=TIMEOUT_SECONDS, model=CLIENT.name) as client:
        yield _checked(lambda: list(client.predict(x, y, block.queries[0]).values))


@contextmanager
def by_config(fleet: Fleet) -> Iterator[Call]:
    """Call by plain gRPC with the service config that other languages copy."""
    config = SERVICE_CONFIG.read_text(encoding="utf-8")
    with _stubs(fleet.target, CONFIG.name, [("grpc.service_config", config)]) as call:
        yield call


@contextmanager
def by_robin_alone(fleet: Fleet) -> Iterator[Call]:
    """Call by plain gRPC that takes servers in turn, and neither retries nor asks for health."""
    with _stubs(fleet.target, ROBIN.name, [("grpc.service_config", ROBIN_ALONE)]) as call:
        yield call


@contextmanager
def by_default(fleet: Fleet) -> Iterator[Call]:
    """Call by plain gRPC as it comes: it keeps to one server."""
    with _stubs(fleet.target, FIRST.name, []) as call:
        yield call


@contextmanager
def by_envoy(fleet: Fleet) -> Iterator[Call]:
    """Call by plain gRPC through Envoy, whose configuration has the addresses of all."""
    hosts = [Address(replica.host, fleet.ports.grpc) for replica in fleet.replicas]
    with (
        Envoy(fleet.folder, hosts, len(hosts)) as proxy,
        _stubs(f"127.0.0.1:{proxy.port}", ENVOY.name, []) as call,
    ):
        yield call


@contextmanager
def by_envoy_name(fleet: Fleet) -> Iterator[Call]:
    """Call by plain gRPC through Envoy, whose configuration has the name."""
    name = [Address(NAME, fleet.ports.grpc)]
    with (
        Envoy(fleet.folder, name, len(fleet.replicas), fleet.name.port) as proxy,
        _stubs(f"127.0.0.1:{proxy.port}", ENVOY_NAME.name, []) as call,
    ):
        yield call


CLIENT = Way("sdk", "sonoba.Client", by_client)
CONFIG = Way("config", "gRPC, service config", by_config)
ROBIN = Way("robin", "gRPC, round_robin alone", by_robin_alone)
FIRST = Way("first", "gRPC as it comes (pick_first)", by_default)
ENVOY = Way("envoy", "Envoy, addresses", by_envoy)
ENVOY_NAME = Way("envoy-name", "Envoy, a name", by_envoy_name)
WAYS = CLIENT, CONFIG, ROBIN, FIRST, ENVOY, ENVOY_NAME


@contextmanager
def calling(
    fleet: Fleet, *ways: Way, callers: int = CALLERS, pause: float = PAUSE_SECONDS
) -> Iterator[dict[Way, Load]]:
    """Let callers of each way call on while the block runs."""
    with ExitStack() as stack:
        calls = [stack.enter_context(way.opened(fleet)) for way in ways]
        loads = (Load(call, callers, pause) for call in calls)
        yield {way: stack.enter_context(load) for way, load in zip(ways, loads, strict=True)}


@contextmanager
def _stubs(target: str, model: str, options: Options) -> Iterator[Call]:
    request = pb.PredictRequest.FromString(prompts.unary("foundation", SHAPES[0]))
    request.model = model
    with grpc.insecure_channel(target, options) as channel:
        stub = predictor_pb2_grpc.PredictorStub(channel)  # type: ignore[no-untyped-call]
        yield _checked(lambda: list(stub.Predict(request, timeout=TIMEOUT_SECONDS).predictions))


def _checked(ask: Callable[[], list[float]]) -> Call:
    """Return a call that fails where its answer is not that of the first."""
    first = ask()

    def call() -> None:
        answer = ask()
        if not np.allclose(answer, first, rtol=1e-9, atol=0):
            raise ValueError(f"expected {first}, got {answer}")

    return call
