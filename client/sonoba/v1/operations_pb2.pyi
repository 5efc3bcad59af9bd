from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EvaluationTrigger(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVALUATION_TRIGGER_UNSPECIFIED: _ClassVar[EvaluationTrigger]
    EVALUATION_TRIGGER_ALERT: _ClassVar[EvaluationTrigger]
    EVALUATION_TRIGGER_SCHEDULE: _ClassVar[EvaluationTrigger]
    EVALUATION_TRIGGER_OPERATOR: _ClassVar[EvaluationTrigger]
EVALUATION_TRIGGER_UNSPECIFIED: EvaluationTrigger
EVALUATION_TRIGGER_ALERT: EvaluationTrigger
EVALUATION_TRIGGER_SCHEDULE: EvaluationTrigger
EVALUATION_TRIGGER_OPERATOR: EvaluationTrigger

class GetDriftReportRequest(_message.Message):
    __slots__ = ("model", "window_seconds")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WINDOW_SECONDS_FIELD_NUMBER: _ClassVar[int]
    model: str
    window_seconds: float
    def __init__(self, model: _Optional[str] = ..., window_seconds: _Optional[float] = ...) -> None: ...

class DriftLevel(_message.Message):
    __slots__ = ("channel", "lower_bound", "mean", "prompt_count")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    LOWER_BOUND_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    PROMPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    channel: str
    lower_bound: float
    mean: float
    prompt_count: int
    def __init__(self, channel: _Optional[str] = ..., lower_bound: _Optional[float] = ..., mean: _Optional[float] = ..., prompt_count: _Optional[int] = ...) -> None: ...

class Contribution(_message.Message):
    __slots__ = ("name", "share", "window_mean", "window_deviation", "reference_mean", "reference_deviation")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MEAN_FIELD_NUMBER: _ClassVar[int]
    WINDOW_DEVIATION_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_MEAN_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_DEVIATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    share: float
    window_mean: float
    window_deviation: float
    reference_mean: float
    reference_deviation: float
    def __init__(self, name: _Optional[str] = ..., share: _Optional[float] = ..., window_mean: _Optional[float] = ..., window_deviation: _Optional[float] = ..., reference_mean: _Optional[float] = ..., reference_deviation: _Optional[float] = ...) -> None: ...

class GetDriftReportResponse(_message.Message):
    __slots__ = ("reference", "model_version", "prompt_count", "row_count", "levels", "ratios", "signature", "shift_kind", "contributions", "regret", "missing_replicas")
    class RatiosEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    PROMPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    RATIOS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    SHIFT_KIND_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    REGRET_FIELD_NUMBER: _ClassVar[int]
    MISSING_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    reference: str
    model_version: str
    prompt_count: int
    row_count: int
    levels: _containers.RepeatedCompositeFieldContainer[DriftLevel]
    ratios: _containers.ScalarMap[str, float]
    signature: str
    shift_kind: str
    contributions: _containers.RepeatedCompositeFieldContainer[Contribution]
    regret: float
    missing_replicas: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, reference: _Optional[str] = ..., model_version: _Optional[str] = ..., prompt_count: _Optional[int] = ..., row_count: _Optional[int] = ..., levels: _Optional[_Iterable[_Union[DriftLevel, _Mapping]]] = ..., ratios: _Optional[_Mapping[str, float]] = ..., signature: _Optional[str] = ..., shift_kind: _Optional[str] = ..., contributions: _Optional[_Iterable[_Union[Contribution, _Mapping]]] = ..., regret: _Optional[float] = ..., missing_replicas: _Optional[_Iterable[str]] = ...) -> None: ...

class EvaluateModelRequest(_message.Message):
    __slots__ = ("model", "trigger", "idempotency_key", "reason")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    model: str
    trigger: EvaluationTrigger
    idempotency_key: str
    reason: str
    def __init__(self, model: _Optional[str] = ..., trigger: _Optional[_Union[EvaluationTrigger, str]] = ..., idempotency_key: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class EvaluateModelResponse(_message.Message):
    __slots__ = ("evaluation_id",)
    EVALUATION_ID_FIELD_NUMBER: _ClassVar[int]
    evaluation_id: str
    def __init__(self, evaluation_id: _Optional[str] = ...) -> None: ...

class Evaluation(_message.Message):
    __slots__ = ("evaluation_id", "model", "state", "verdict", "reason", "sentence", "action", "rule", "trigger", "model_version", "candidate_version", "create_time", "update_time", "report_json", "report_url")
    EVALUATION_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REPORT_JSON_FIELD_NUMBER: _ClassVar[int]
    REPORT_URL_FIELD_NUMBER: _ClassVar[int]
    evaluation_id: str
    model: str
    state: str
    verdict: str
    reason: str
    sentence: str
    action: str
    rule: str
    trigger: EvaluationTrigger
    model_version: str
    candidate_version: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    report_json: str
    report_url: str
    def __init__(self, evaluation_id: _Optional[str] = ..., model: _Optional[str] = ..., state: _Optional[str] = ..., verdict: _Optional[str] = ..., reason: _Optional[str] = ..., sentence: _Optional[str] = ..., action: _Optional[str] = ..., rule: _Optional[str] = ..., trigger: _Optional[_Union[EvaluationTrigger, str]] = ..., model_version: _Optional[str] = ..., candidate_version: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., report_json: _Optional[str] = ..., report_url: _Optional[str] = ...) -> None: ...

class GetEvaluationRequest(_message.Message):
    __slots__ = ("evaluation_id",)
    EVALUATION_ID_FIELD_NUMBER: _ClassVar[int]
    evaluation_id: str
    def __init__(self, evaluation_id: _Optional[str] = ...) -> None: ...

class GetEvaluationResponse(_message.Message):
    __slots__ = ("evaluation",)
    EVALUATION_FIELD_NUMBER: _ClassVar[int]
    evaluation: Evaluation
    def __init__(self, evaluation: _Optional[_Union[Evaluation, _Mapping]] = ...) -> None: ...

class ListEvaluationsRequest(_message.Message):
    __slots__ = ("model", "page_size", "page_token")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    model: str
    page_size: int
    page_token: str
    def __init__(self, model: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListEvaluationsResponse(_message.Message):
    __slots__ = ("evaluations", "next_page_token")
    EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    evaluations: _containers.RepeatedCompositeFieldContainer[Evaluation]
    next_page_token: str
    def __init__(self, evaluations: _Optional[_Iterable[_Union[Evaluation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListModelVersionsRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("version", "kind", "create_time", "role", "parent", "fault")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    version: str
    kind: str
    create_time: _timestamp_pb2.Timestamp
    role: str
    parent: str
    fault: str
    def __init__(self, version: _Optional[str] = ..., kind: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., role: _Optional[str] = ..., parent: _Optional[str] = ..., fault: _Optional[str] = ...) -> None: ...

class ListModelVersionsResponse(_message.Message):
    __slots__ = ("versions", "etag")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    etag: str
    def __init__(self, versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., etag: _Optional[str] = ...) -> None: ...

class PromoteModelVersionRequest(_message.Message):
    __slots__ = ("model", "version", "etag", "reason", "force")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    etag: str
    reason: str
    force: bool
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., etag: _Optional[str] = ..., reason: _Optional[str] = ..., force: bool = ...) -> None: ...

class PromoteModelVersionResponse(_message.Message):
    __slots__ = ("version", "previous_version", "etag")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    version: str
    previous_version: str
    etag: str
    def __init__(self, version: _Optional[str] = ..., previous_version: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class RollbackModelRequest(_message.Message):
    __slots__ = ("model", "etag", "reason")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    model: str
    etag: str
    reason: str
    def __init__(self, model: _Optional[str] = ..., etag: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RollbackModelResponse(_message.Message):
    __slots__ = ("version", "previous_version", "etag")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    version: str
    previous_version: str
    etag: str
    def __init__(self, version: _Optional[str] = ..., previous_version: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...
