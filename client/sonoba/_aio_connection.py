"""A connection for asyncio, under `sonoba.aio.Client`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from sonoba._calls import Deadline, retry_pause
from sonoba._opening import Opening
from sonoba._status import call_error
from sonoba.errors import SchemaMismatch

Response = TypeVar("Response")


class Connection(Opening[grpc.aio.Channel]):
    """A channel to a server, how calls go through it, and what is known of its models."""

    def _opened(
        self,
        target: str,
        options: Sequence[tuple[str, Any]],
        credentials: grpc.ChannelCredentials | None,
    ) -> grpc.aio.Channel:
        if credentials is None:
            return grpc.aio.insecure_channel(target, options=options)
        return grpc.aio.secure_channel(target, credentials, options=options)

    async def __aenter__(self) -> Self:
        """Return the client; leaving closes it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way fail as Unavailable."""
        await self._channel.close()

    async def _call(
        self,
        rpc: Callable[..., Awaitable[Response]],
        request: Message,
        deadline: Deadline,
        is_retry: bool = False,
    ) -> Response:
        """Call, and once more if an overloaded server says when and the deadline lets us."""
        try:
            return await rpc(
                request, timeout=deadline.remaining(), metadata=self._defaults.metadata
            )
        except grpc.RpcError as failure:
            error = call_error(failure)
            if isinstance(error, SchemaMismatch):
                self._models.clear()
            pause = None if is_retry else retry_pause(error, deadline.remaining())
            if pause is None:
                raise error from failure
        await asyncio.sleep(pause)
        return await self._call(rpc, request, deadline, is_retry=True)
