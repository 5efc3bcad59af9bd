"""A synchronous connection, under `sonoba.Client`."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from sonoba._calls import Deadline, retry_pause
from sonoba._opening import Opening
from sonoba._status import call_error
from sonoba.errors import SchemaMismatch

Response = TypeVar("Response")


class Connection(Opening[grpc.Channel]):
    """A channel to a server, how calls go through it, and what is known of its models."""

    def _opened(
        self,
        target: str,
        options: Sequence[tuple[str, Any]],
        credentials: grpc.ChannelCredentials | None,
    ) -> grpc.Channel:
        if credentials is None:
            return grpc.insecure_channel(target, options=options)
        return grpc.secure_channel(target, credentials, options=options)

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
