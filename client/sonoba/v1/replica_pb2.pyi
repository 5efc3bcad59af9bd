from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetMonitorStateRequest(_message.Message):
    __slots__ = ("model", "prompt_count", "age_seconds")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    AGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    model: str
    prompt_count: int
    age_seconds: float
    def __init__(self, model: _Optional[str] = ..., prompt_count: _Optional[int] = ..., age_seconds: _Optional[float] = ...) -> None: ...

class GetMonitorStateResponse(_message.Message):
    __slots__ = ("model_version", "reference", "state", "candidate_version", "paired", "refused_version", "refusal")
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    PAIRED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_VERSION_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    model_version: str
    reference: str
    state: bytes
    candidate_version: str
    paired: bytes
    refused_version: str
    refusal: str
    def __init__(self, model_version: _Optional[str] = ..., reference: _Optional[str] = ..., state: _Optional[bytes] = ..., candidate_version: _Optional[str] = ..., paired: _Optional[bytes] = ..., refused_version: _Optional[str] = ..., refusal: _Optional[str] = ...) -> None: ...

class CollectPromptsRequest(_message.Message):
    __slots__ = ("model", "prompt_count", "age_seconds", "reason")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    AGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    model: str
    prompt_count: int
    age_seconds: float
    reason: str
    def __init__(self, model: _Optional[str] = ..., prompt_count: _Optional[int] = ..., age_seconds: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class KeptPrompt(_message.Message):
    __slots__ = ("example_count", "feature_count", "features", "labels", "queries", "age_seconds", "tenant_place")
    EXAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FEATURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    AGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TENANT_PLACE_FIELD_NUMBER: _ClassVar[int]
    example_count: int
    feature_count: int
    features: bytes
    labels: bytes
    queries: bytes
    age_seconds: float
    tenant_place: int
    def __init__(self, example_count: _Optional[int] = ..., feature_count: _Optional[int] = ..., features: _Optional[bytes] = ..., labels: _Optional[bytes] = ..., queries: _Optional[bytes] = ..., age_seconds: _Optional[float] = ..., tenant_place: _Optional[int] = ...) -> None: ...

class CollectPromptsResponse(_message.Message):
    __slots__ = ("prompts", "model_version")
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    prompts: _containers.RepeatedCompositeFieldContainer[KeptPrompt]
    model_version: str
    def __init__(self, prompts: _Optional[_Iterable[_Union[KeptPrompt, _Mapping]]] = ..., model_version: _Optional[str] = ...) -> None: ...

class DeletePromptsRequest(_message.Message):
    __slots__ = ("tenant", "reason")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    reason: str
    def __init__(self, tenant: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DeletePromptsResponse(_message.Message):
    __slots__ = ("prompt_count",)
    PROMPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    prompt_count: int
    def __init__(self, prompt_count: _Optional[int] = ...) -> None: ...
