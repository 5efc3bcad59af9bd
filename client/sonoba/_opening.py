"""How a connection is opened: the same for threads and for asyncio, but for the channel."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import grpc

from sonoba._calls import CHANNEL_OPTIONS, Defaults, ModelCache
from sonoba._transport import FilePath, Tls, Token, bearer_of, tls_of
from sonoba.v1.predictor_pb2_grpc import PredictorStub

Channel = TypeVar("Channel")


class Opening(ABC, Generic[Channel]):
    """A channel to a server, and what is known of its models."""

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
        if secure is None:
            self._channel = self._opened(target, CHANNEL_OPTIONS, None)
        else:
            options = (*CHANNEL_OPTIONS, *secure.options())
            self._channel = self._opened(target, options, secure.credentials())
        self._stub = PredictorStub(self._channel)  # type: ignore[no-untyped-call]  # generated
        self._models = ModelCache()

    @abstractmethod
    def _opened(
        self,
        target: str,
        options: Sequence[tuple[str, Any]],
        credentials: grpc.ChannelCredentials | None,
    ) -> Channel:
        """Return a channel, encrypted where there are credentials."""
