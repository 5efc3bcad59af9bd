"""A synchronous connection, under `sonoba.Client`."""

import time
from collections.abc import Callable
from typing import Self, TypeVar

import grpc
from google.protobuf.message import Message

from sonoba._calls import CHANNEL_OPTIONS, Deadline, Defaults, ModelCache, retry_pause
from sonoba._status import call_error
from sonoba._transport import FilePath, Tls, Token, bearer_of, tls_of
from sonoba.errors import SchemaMismatch
from sonoba.v1.predictor_pb2_grpc import PredictorStub

Response = TypeVar("Response")


class Connection:
    """A channel to a server, how calls go through it, and what is known of its models."""

    def __init__(
        self,
        target: str = "127.0.0.1:50051",
        *,
        timeout: float = 5.0,
        model: str = "",
        model_version: str = "",
        tenant: str = "",
        token: Token | None = None,
        tls: Tls | FilePath | bool | None = None,
    ) -> None:
        secure = tls_of(tls)
        bearer = bearer_of(token, target, secure, is_plain_meant=tls is False)
        self._defaults = Defaults(timeout, model, model_version, tenant, bearer)
        options = CHANNEL_OPTIONS
        if secure is None:
            self._channel = grpc.insecure_channel(target, options=options)
        else:
            options = (*options, *secure.options())
            self._channel = grpc.secure_channel(target, secure.credentials(), options=options)
        self._stub = PredictorStub(self._channel)  # type: ignore[no-untyped-call]  # generated
        self._models = ModelCache()

    def __enter__(self) -> Self:
        """Return the client; leaving closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way fail as Unavailable."""
        self._channel.close()

    def _call(
        self,
        rpc: Callable[..., Response],
        request: Message,
        deadline: Deadline,
        is_retry: bool = False,
    ) -> Response:
        """Call, and once more if an overloaded server says when and the deadline lets us."""
        try:
            return rpc(request, timeout=deadline.remaining(), metadata=self._defaults.metadata)
        except grpc.RpcError as failure:
            error = call_error(failure)
            if isinstance(error, SchemaMismatch):
                self._models.clear()
            pause = None if is_retry else retry_pause(error, deadline.remaining())
            if pause is None:
                raise error from failure
        time.sleep(pause)
        return self._call(rpc, request, deadline, is_retry=True)
