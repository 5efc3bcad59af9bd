"""What both clients agree on about calls: the channel, the retries, the defaults."""

import json
import time
from dataclasses import dataclass
from typing import NamedTuple

from sonoba._transport import TOKEN_HEADER, Bearer
from sonoba.errors import Overloaded, SonobaError, Unavailable
from sonoba.prediction import Model

SERVICE = "sonoba.v1.Predictor"
MESSAGE_BYTES = 64 * 2**20
STREAM_WINDOW = 64  # prompts that a server holds unanswered for one stream
TENANT_HEADER = "x-sonoba-tenant"
CALL_SECONDS = 300.0  # past the 240 s after which the server ends a stream's call
MODEL_SECONDS = 300.0  # how long a model's limits are believed

SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": SERVICE}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.05s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                # CANCELLED is what a call gets that a leaving server had already taken
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": SERVICE},
}
CHANNEL_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.per_rpc_retry_buffer_size", MESSAGE_BYTES),  # a larger request is never retried
    # a worker that died took a moment's new connections along; a second's wait outlasts all retries
    ("grpc.initial_reconnect_backoff_ms", 100),
    # replacements have other addresses, and all may be replaced within gRPC's own 30 s
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    ("grpc.keepalive_time_ms", 60_000),  # servers allow a ping every 30 s
    ("grpc.keepalive_timeout_ms", 20_000),
)


class Route(NamedTuple):
    """The model that a call is for; empty means the server's choice."""

    model: str
    model_version: str


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a client was made with, for calls that do not say otherwise."""

    timeout: float
    model: str
    model_version: str
    tenant: str = ""
    bearer: Bearer | None = None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call: for whom it is, and the token, where they were given."""
        tenant = ((TENANT_HEADER, self.tenant),) if self.tenant else ()
        return (*tenant, (TOKEN_HEADER, self.bearer.header())) if self.bearer else tenant

    def route(self, model: str | None, model_version: str | None) -> Route:
        """Return the model asked for; our version belongs to our model only."""
        chosen = self.model if model is None else model
        if model_version is None:
            model_version = self.model_version if chosen == self.model else ""
        return Route(chosen, model_version)

    def deadline(self, timeout: float | None) -> "Deadline":
        """Return the end of a call that begins now."""
        return Deadline(time.monotonic() + (self.timeout if timeout is None else timeout))


class Deadline(NamedTuple):
    """The moment on the monotonic clock by which the caller wants to know."""

    at: float

    def remaining(self) -> float:
        """Return the seconds left."""
        return self.at - time.monotonic()


def seconds_left(limit: Deadline | None) -> float:
    """Return the seconds that a stream's call may take."""
    return CALL_SECONDS if limit is None else limit.remaining()


def retry_pause(error: SonobaError, remaining: float) -> float | None:
    """Return the seconds to wait before an overloaded server is asked again; None: never."""
    if not isinstance(error, Overloaded) or error.retry_after is None:
        return None
    return error.retry_after if error.retry_after < remaining else None


def reopening_pause(error: SonobaError, remaining: float) -> float | None:
    """Return the seconds to wait before a stream is opened again; None when it is not to be."""
    return 0.0 if isinstance(error, Unavailable) else retry_pause(error, remaining)


class ModelCache:
    """Models as the server described them within the last five minutes."""

    def __init__(self) -> None:
        self._known: dict[Route, tuple[float, Model]] = {}

    def get(self, route: Route) -> Model | None:
        """Return a model that is known and fresh."""
        learnt, model = self._known.get(route, (-MODEL_SECONDS, None))
        return model if time.monotonic() - learnt < MODEL_SECONDS else None

    def put(self, route: Route, model: Model) -> Model:
        """Keep a model and return it."""
        self._known[route] = time.monotonic(), model
        return model

    def clear(self) -> None:
        """Forget every model: one of them has changed."""
        self._known.clear()
