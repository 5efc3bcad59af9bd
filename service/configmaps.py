"""ConfigMaps of one namespace over the Kubernetes API: read one, replace one that nobody changed.

Two kinds of request need no client package (docs/adr/0031). Token, authority and namespace are the
files that kubelet keeps in a container, read at every call, since kubelet replaces them.
"""

import base64
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Reason = Literal["conflict", "denied", "missing", "too_large", "unreachable", "refused"]
REASONS: Mapping[int, Reason] = {
    **{401: "denied", 403: "denied", 404: "missing", 409: "conflict"},
    **{413: "too_large", 422: "too_large"},  # 422 is what one says of more than 1 MiB
}
CALL_SECONDS = 10.0
LARGEST_ANSWER_BYTES = 4 * 2**20


class ApiError(Exception):
    """A request that did not succeed, in one sentence without a secret."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason: Reason = reason


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="allow")
    resourceVersion: str = Field(min_length=1)  # noqa: N815


class _Body(BaseModel):
    """The object as it was read; what we do not know is sent back unchanged."""

    model_config = ConfigDict(extra="allow")
    metadata: _Metadata
    data: dict[str, str] | None = None
    binaryData: dict[str, str] | None = None  # noqa: N815


class _Status(BaseModel):
    message: str = ""


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """One ConfigMap as it was at its resource version."""

    name: str
    files: Mapping[str, bytes]
    body: _Body

    @property
    def bytes(self) -> int:
        """What the API counts of it."""
        return sum(map(len, self.files.values()))


class ConfigMaps:
    """The ConfigMaps of the service account's own namespace."""

    def __init__(self, api: str, account: Path) -> None:
        """Take the API's address, https://host:port, and the folder of the service account."""
        self._at, self._account = urlsplit(api), account

    def read(self, name: str) -> ConfigMap:
        """Return a ConfigMap; raise `ApiError` where it cannot be had."""
        return _parsed(name, self._call("GET", name, b""))

    def replace(self, before: ConfigMap, files: Mapping[str, bytes]) -> ConfigMap:
        """Replace all files of a ConfigMap; `conflict` if it is not what it was when read."""
        texts, rest = {}, {}
        for key, content in files.items():
            try:
                texts[key] = content.decode()
            except UnicodeDecodeError:
                rest[key] = base64.b64encode(content).decode()
        body = before.body.model_copy(update={"data": texts or None, "binaryData": rest or None})
        raw = body.model_dump_json(exclude_none=True).encode()
        return _parsed(before.name, self._call("PUT", before.name, raw))

    def _call(self, method: str, name: str, body: bytes) -> bytes:
        token, namespace = self._told("token"), self._told("namespace")
        path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if body:
            path, headers["Content-Type"] = f"{path}?fieldManager=sonoba", "application/json"
        try:
            connection = self._connection()
            try:
                connection.request(method, path, body or None, headers)
                answer = connection.getresponse()
                raw = answer.read(LARGEST_ANSWER_BYTES)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise ApiError("unreachable", f"{self._at.netloc}: {reason:.200}") from None
        if answer.status != 200:
            sentence = f"configmap {name}: {method} is answered {answer.status}: {_message(raw)}"
            raise ApiError(REASONS.get(answer.status, "refused"), sentence)
        return raw

    def _connection(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
        host = self._at.hostname or ""
        return http.client.HTTPSConnection(
            host, self._at.port or 443, timeout=CALL_SECONDS, context=context
        )

    def _told(self, file: str) -> str:
        """Return what a file of the service account says."""
        try:
            text = (self._account / file).read_text().strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no text"
            raise ApiError("denied", f"publish_account: {file}: {reason}") from None
        if not text.isascii() or not text.isprintable() or not text or "/" in text:
            raise ApiError("denied", f"publish_account: {file}: expected one line of text")
        return text


def _parsed(name: str, raw: bytes) -> ConfigMap:
    try:
        body = _Body.model_validate_json(raw)
        files = {key: text.encode() for key, text in (body.data or {}).items()}
        for key, text in (body.binaryData or {}).items():
            files[key] = base64.b64decode(text, validate=True)
    except (ValidationError, ValueError):
        sentence = f"configmap {name}: expected an object with its resourceVersion"
        raise ApiError("refused", sentence) from None
    return ConfigMap(name, files, body)


def _message(raw: bytes) -> str:
    """Return what the API says of a request it refused."""
    try:
        return " ".join(_Status.model_validate_json(raw).message.split())[:200] or "nothing more"
    except ValidationError:
        return "nothing more"
