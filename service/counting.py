"""Counts and times every stream around its handler: wrapped once at start."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from service.tally import MethodTally


def counted_stream(inner: Callable[..., Any], tally: MethodTally) -> Callable[..., Any]:
    """Return a bidirectional handler that counts its calls and their messages."""

    def received(requests: Iterator[Any]) -> Iterator[Any]:
        for request in requests:
            tally.message(1, 0)
            yield request

    def behaviour(requests: Iterator[Any], context: Any) -> Iterator[Any]:
        begun = time.perf_counter()
        tally.begin(0)
        code = grpc.StatusCode.CANCELLED  # what remains when the caller walks away
        try:
            for response in inner(received(requests), context):
                tally.message(0, 1)
                yield response
            code = grpc.StatusCode.OK
        except Exception:
            code = context.code() or grpc.StatusCode.UNKNOWN
            raise
        finally:
            tally.end(code, time.perf_counter() - begun, 0)

    return behaviour
