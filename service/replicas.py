"""Calls `Replica` of every server: addresses of the settings, resolved, asked at the same time.

A host name may stand for many servers (a headless Service): each of its addresses is asked. A
replica that does not answer is told of by its address, and nobody waits for it longer than for the
others.
"""

import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import grpc
import numpy as np
from google.protobuf.message import Message

from model.prompt import Block, Examples
from monitoring.paired import Paired
from monitoring.state import State
from service.channels import Channels, Options
from service.start_error import StartError
from service.tokens import bearer
from sonoba import Tls
from sonoba.v1 import replica_pb2 as pb

SERVICE = "sonoba.v1.Replica"
SECONDS = 2.0  # a replica may take
MESSAGE_BYTES_MAX = 64 * 2**20
RESOLVERS = 16  # host names looked up at once
OPTIONS: Options = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),  # what a connection may take to be made
    ("grpc.max_reconnect_backoff_ms", 1000),  # a replica that came back is seen at the next look
]
Answer = TypeVar("Answer")
Response = TypeVar("Response", bound=Message)


class Told(NamedTuple):
    """What one replica told of one model."""

    replica: str  # host:port
    model_version: str
    reference: str
    state: State | None
    candidate_version: str
    paired: Paired | None
    refused_version: str
    refusal: str


class Prompt(NamedTuple):
    """One prompt that a replica was let keep."""

    block: Block  # B = 1, natural units
    age_seconds: float
    tenant: tuple[str, int]  # replica, and a number that means nothing elsewhere


class Collected(NamedTuple):
    """What one replica kept of one model."""

    replica: str
    model_version: str
    prompts: tuple[Prompt, ...]


class Deleted(NamedTuple):
    """How many prompts of a tenant one replica deleted."""

    replica: str
    prompt_count: int


class Silent(NamedTuple):
    """A replica that told nothing, and why."""

    replica: str
    sentence: str


class Replicas:
    """The admin ports of all servers."""

    def __init__(
        self,
        addresses: Sequence[str],
        token_file: Path,
        seconds: float = SECONDS,
        tls: Tls | None = None,
    ) -> None:
        """Take host:port of each; `StartError` names one that is something else.

        With `tls` each server has to have a certificate of the host by which it is named here.
        """
        self._hosts = [_parted(address) for address in addresses]
        self._token_file, self._seconds = token_file, seconds
        self._channels, self._names = Channels(tls, OPTIONS), dict[str, str]()
        self._resolvers = futures.ThreadPoolExecutor(RESOLVERS, "sonoba-resolve")

    def told(
        self, model: str, prompt_count: int = 0, age_seconds: float = 0.0
    ) -> list[Told | Silent]:
        """Ask every replica for its sums of a model; 0 means all that are kept."""
        request = pb.GetMonitorStateRequest(
            model=model, prompt_count=prompt_count, age_seconds=age_seconds
        )
        response = pb.GetMonitorStateResponse
        return self._asked("GetMonitorState", request, response, _told)

    def kept(
        self, model: str, prompt_count: int, age_seconds: float, reason: str
    ) -> list["Collected | Silent"]:
        """Ask every replica for the prompts that tenants let it keep; it logs the reason."""
        request = pb.CollectPromptsRequest(
            model=model, prompt_count=prompt_count, age_seconds=age_seconds, reason=reason
        )
        response = pb.CollectPromptsResponse
        return self._asked("CollectPrompts", request, response, _collected)

    def deleted(self, tenant: str, reason: str) -> list[Deleted | Silent]:
        """Let every replica delete a tenant's prompts; it logs the reason."""
        request = pb.DeletePromptsRequest(tenant=tenant, reason=reason)
        return self._asked("DeletePrompts", request, pb.DeletePromptsResponse, _deleted)

    def close(self) -> None:
        """Let go of every connection."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)
        self._channels.keep(set())

    def _asked(
        self,
        name: str,
        request: Message,
        response: type[Response],
        read: Callable[[str, Response], Answer],
    ) -> list[Answer | Silent]:
        """Call one method of every replica at the same time; `read` may raise ValueError."""
        try:
            metadata = bearer(self._token_file)
        except (OSError, ValueError) as error:
            return [Silent(f"{host}:{port}", _sentence(error)) for host, port in self._hosts]
        found: list[Answer | Silent] = []
        waiting: dict[str, Any] = {}
        for place in self._resolved():
            if isinstance(place, Silent):
                found.append(place)
            elif place not in waiting:
                method = self._method(place, name, response)
                waiting[place] = method.future(request, timeout=self._seconds, metadata=metadata)
        found += [_answer(place, call, read) for place, call in waiting.items()]
        self._channels.keep(set(waiting))
        return found

    def _method(
        self, place: str, name: str, response: type[Response]
    ) -> "grpc.UnaryUnaryMultiCallable[Message, Response]":
        channel = self._channels.to(place, self._names.get(place, ""))
        return channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

    def _resolved(self) -> Iterator[str | Silent]:
        """Yield the addresses behind the names; a name nobody knows is silent."""
        looked = [(host, self._resolvers.submit(_addresses, *host)) for host in self._hosts]
        for (host, port), future in looked:
            try:
                places = future.result(self._seconds)
            except (OSError, futures.TimeoutError):
                yield Silent(f"{host}:{port}", "its name cannot be resolved")
                continue
            self._names.update((place, host) for place in places)
            yield from places


def _answer(replica: str, call: Any, read: Callable[[str, Any], Answer]) -> Answer | Silent:
    try:
        return read(replica, call.result())
    except grpc.RpcError as error:
        code = error.code()
        return Silent(replica, error.details() or code.name)
    except ValueError as error:
        return Silent(replica, str(error))


def _told(replica: str, told: pb.GetMonitorStateResponse) -> Told:
    return Told(
        replica,
        told.model_version,
        told.reference,
        State.from_bytes(told.state) if told.state else None,
        told.candidate_version,
        Paired.from_bytes(told.paired) if told.paired else None,
        told.refused_version,
        told.refusal,
    )


def _collected(replica: str, told: pb.CollectPromptsResponse) -> Collected:
    prompts = tuple(_prompt(replica, one) for one in told.prompts)
    return Collected(replica, told.model_version, prompts)


def _prompt(replica: str, kept: pb.KeptPrompt) -> Prompt:
    """Return one prompt; ValueError where its numbers are not as many as it says."""
    M, d = kept.example_count, kept.feature_count
    x, y, queries = (np.frombuffer(b, "<f8") for b in (kept.features, kept.labels, kept.queries))
    if min(M, d) < 1 or x.size != M * d or y.size != M or queries.size % d:
        raise ValueError(f"expected a prompt of {M} x {d} numbers, got {x.size}")
    block = Block(Examples(x.reshape(1, M, d), y.reshape(1, M)), queries.reshape(1, -1, d))
    return Prompt(block, kept.age_seconds, (replica, kept.tenant_place))


def _deleted(replica: str, told: pb.DeletePromptsResponse) -> Deleted:
    return Deleted(replica, told.prompt_count)


def _parted(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise StartError(f"replicas: expected host:port, got {address[:100]!r}")
    return host.strip("[]"), int(port)


def _addresses(host: str, port: int) -> list[str]:
    """Return host:port of every server behind a name; IPv6 only where there is nothing else."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    four = {str(entry[4][0]) for entry in found if entry[0] == socket.AF_INET}
    six = {f"[{entry[4][0]}]" for entry in found if entry[0] == socket.AF_INET6}
    return [f"{address}:{port}" for address in sorted(four or six)]


def _sentence(error: OSError | ValueError) -> str:
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else str(error)
