from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DataType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATA_TYPE_UNSPECIFIED: _ClassVar[DataType]
    DATA_TYPE_FLOAT64: _ClassVar[DataType]
    DATA_TYPE_FLOAT32: _ClassVar[DataType]

class FallbackPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FALLBACK_POLICY_UNSPECIFIED: _ClassVar[FallbackPolicy]
    FALLBACK_POLICY_ALLOW: _ClassVar[FallbackPolicy]
    FALLBACK_POLICY_FORBID: _ClassVar[FallbackPolicy]

class MissingValuePolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MISSING_VALUE_POLICY_UNSPECIFIED: _ClassVar[MissingValuePolicy]
    MISSING_VALUE_POLICY_REJECT: _ClassVar[MissingValuePolicy]
    MISSING_VALUE_POLICY_IMPUTE: _ClassVar[MissingValuePolicy]

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    MODE_PAPER: _ClassVar[Mode]
    MODE_FOUNDATION: _ClassVar[Mode]
    MODE_PROFILE: _ClassVar[Mode]
    MODE_MEAN: _ClassVar[Mode]

class ModelKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_KIND_UNSPECIFIED: _ClassVar[ModelKind]
    MODEL_KIND_PAPER: _ClassVar[ModelKind]
    MODEL_KIND_FOUNDATION: _ClassVar[ModelKind]
    MODEL_KIND_PROFILE: _ClassVar[ModelKind]

class Solver(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOLVER_UNSPECIFIED: _ClassVar[Solver]
    SOLVER_K1: _ClassVar[Solver]
    SOLVER_K2: _ClassVar[Solver]
    SOLVER_K4: _ClassVar[Solver]
    SOLVER_EXACT: _ClassVar[Solver]

class Evidence(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVIDENCE_UNSPECIFIED: _ClassVar[Evidence]
    EVIDENCE_EXAMPLES: _ClassVar[Evidence]
    EVIDENCE_SUMMARY: _ClassVar[Evidence]

class WarningCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WARNING_CODE_UNSPECIFIED: _ClassVar[WarningCode]
    WARNING_CODE_FEW_EXAMPLES: _ClassVar[WarningCode]
    WARNING_CODE_CONSTANT_FEATURE: _ClassVar[WarningCode]
    WARNING_CODE_CONSTANT_TARGET: _ClassVar[WarningCode]
    WARNING_CODE_RANK_DEFICIENT: _ClassVar[WarningCode]
    WARNING_CODE_EXTRAPOLATION: _ClassVar[WarningCode]
    WARNING_CODE_OUT_OF_PROFILE_RANGE: _ClassVar[WarningCode]
    WARNING_CODE_LABEL_OUTLIER: _ClassVar[WarningCode]
    WARNING_CODE_DUPLICATE_EXAMPLES: _ClassVar[WarningCode]
    WARNING_CODE_IMPUTED: _ClassVar[WarningCode]
    WARNING_CODE_UNCALIBRATED_INTERVAL: _ClassVar[WarningCode]
    WARNING_CODE_PROVISIONAL_PROFILE: _ClassVar[WarningCode]
    WARNING_CODE_NO_BETTER_THAN_MEAN: _ClassVar[WarningCode]
    WARNING_CODE_QUERY_SHIFT: _ClassVar[WarningCode]
    WARNING_CODE_FALLBACK_USED: _ClassVar[WarningCode]
    WARNING_CODE_SUMMARY_INCOMPLETE: _ClassVar[WarningCode]

class IntervalMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INTERVAL_METHOD_UNSPECIFIED: _ClassVar[IntervalMethod]
    INTERVAL_METHOD_CALIBRATED: _ClassVar[IntervalMethod]
    INTERVAL_METHOD_UNCALIBRATED: _ClassVar[IntervalMethod]
    INTERVAL_METHOD_PROVISIONAL: _ClassVar[IntervalMethod]

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_HEALTHY: _ClassVar[ModelState]
    MODEL_STATE_PROVISIONAL: _ClassVar[ModelState]
    MODEL_STATE_WARMING: _ClassVar[ModelState]
    MODEL_STATE_HARMED: _ClassVar[ModelState]
DATA_TYPE_UNSPECIFIED: DataType
DATA_TYPE_FLOAT64: DataType
DATA_TYPE_FLOAT32: DataType
FALLBACK_POLICY_UNSPECIFIED: FallbackPolicy
FALLBACK_POLICY_ALLOW: FallbackPolicy
FALLBACK_POLICY_FORBID: FallbackPolicy
MISSING_VALUE_POLICY_UNSPECIFIED: MissingValuePolicy
MISSING_VALUE_POLICY_REJECT: MissingValuePolicy
MISSING_VALUE_POLICY_IMPUTE: MissingValuePolicy
MODE_UNSPECIFIED: Mode
MODE_PAPER: Mode
MODE_FOUNDATION: Mode
MODE_PROFILE: Mode
MODE_MEAN: Mode
MODEL_KIND_UNSPECIFIED: ModelKind
MODEL_KIND_PAPER: ModelKind
MODEL_KIND_FOUNDATION: ModelKind
MODEL_KIND_PROFILE: ModelKind
SOLVER_UNSPECIFIED: Solver
SOLVER_K1: Solver
SOLVER_K2: Solver
SOLVER_K4: Solver
SOLVER_EXACT: Solver
EVIDENCE_UNSPECIFIED: Evidence
EVIDENCE_EXAMPLES: Evidence
EVIDENCE_SUMMARY: Evidence
WARNING_CODE_UNSPECIFIED: WarningCode
WARNING_CODE_FEW_EXAMPLES: WarningCode
WARNING_CODE_CONSTANT_FEATURE: WarningCode
WARNING_CODE_CONSTANT_TARGET: WarningCode
WARNING_CODE_RANK_DEFICIENT: WarningCode
WARNING_CODE_EXTRAPOLATION: WarningCode
WARNING_CODE_OUT_OF_PROFILE_RANGE: WarningCode
WARNING_CODE_LABEL_OUTLIER: WarningCode
WARNING_CODE_DUPLICATE_EXAMPLES: WarningCode
WARNING_CODE_IMPUTED: WarningCode
WARNING_CODE_UNCALIBRATED_INTERVAL: WarningCode
WARNING_CODE_PROVISIONAL_PROFILE: WarningCode
WARNING_CODE_NO_BETTER_THAN_MEAN: WarningCode
WARNING_CODE_QUERY_SHIFT: WarningCode
WARNING_CODE_FALLBACK_USED: WarningCode
WARNING_CODE_SUMMARY_INCOMPLETE: WarningCode
INTERVAL_METHOD_UNSPECIFIED: IntervalMethod
INTERVAL_METHOD_CALIBRATED: IntervalMethod
INTERVAL_METHOD_UNCALIBRATED: IntervalMethod
INTERVAL_METHOD_PROVISIONAL: IntervalMethod
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_HEALTHY: ModelState
MODEL_STATE_PROVISIONAL: ModelState
MODEL_STATE_WARMING: ModelState
MODEL_STATE_HARMED: ModelState

class Matrix(_message.Message):
    __slots__ = ("row_count", "column_count", "values", "raw", "data_type")
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    COLUMN_COUNT_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    row_count: int
    column_count: int
    values: _containers.RepeatedScalarFieldContainer[float]
    raw: bytes
    data_type: DataType
    def __init__(self, row_count: _Optional[int] = ..., column_count: _Optional[int] = ..., values: _Optional[_Iterable[float]] = ..., raw: _Optional[bytes] = ..., data_type: _Optional[_Union[DataType, str]] = ...) -> None: ...

class Vector(_message.Message):
    __slots__ = ("values", "raw", "data_type")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    raw: bytes
    data_type: DataType
    def __init__(self, values: _Optional[_Iterable[float]] = ..., raw: _Optional[bytes] = ..., data_type: _Optional[_Union[DataType, str]] = ...) -> None: ...

class ExampleSet(_message.Message):
    __slots__ = ("features", "labels")
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    features: Matrix
    labels: Vector
    def __init__(self, features: _Optional[_Union[Matrix, _Mapping]] = ..., labels: _Optional[_Union[Vector, _Mapping]] = ...) -> None: ...

class ExampleSummary(_message.Message):
    __slots__ = ("example_count", "origin", "label_origin", "feature_sums", "second_moments", "label_products", "label_sum", "label_square_sum", "schema_hash")
    EXAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    LABEL_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    FEATURE_SUMS_FIELD_NUMBER: _ClassVar[int]
    SECOND_MOMENTS_FIELD_NUMBER: _ClassVar[int]
    LABEL_PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    LABEL_SUM_FIELD_NUMBER: _ClassVar[int]
    LABEL_SQUARE_SUM_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_HASH_FIELD_NUMBER: _ClassVar[int]
    example_count: int
    origin: Vector
    label_origin: float
    feature_sums: Vector
    second_moments: Vector
    label_products: Vector
    label_sum: float
    label_square_sum: float
    schema_hash: str
    def __init__(self, example_count: _Optional[int] = ..., origin: _Optional[_Union[Vector, _Mapping]] = ..., label_origin: _Optional[float] = ..., feature_sums: _Optional[_Union[Vector, _Mapping]] = ..., second_moments: _Optional[_Union[Vector, _Mapping]] = ..., label_products: _Optional[_Union[Vector, _Mapping]] = ..., label_sum: _Optional[float] = ..., label_square_sum: _Optional[float] = ..., schema_hash: _Optional[str] = ...) -> None: ...

class PredictOptions(_message.Message):
    __slots__ = ("include_uncertainty", "confidence_levels", "include_attributions", "include_shift_score", "fallback_policy", "missing_value_policy")
    INCLUDE_UNCERTAINTY_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_LEVELS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_ATTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_SHIFT_SCORE_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_POLICY_FIELD_NUMBER: _ClassVar[int]
    MISSING_VALUE_POLICY_FIELD_NUMBER: _ClassVar[int]
    include_uncertainty: bool
    confidence_levels: _containers.RepeatedScalarFieldContainer[float]
    include_attributions: bool
    include_shift_score: bool
    fallback_policy: FallbackPolicy
    missing_value_policy: MissingValuePolicy
    def __init__(self, include_uncertainty: bool = ..., confidence_levels: _Optional[_Iterable[float]] = ..., include_attributions: bool = ..., include_shift_score: bool = ..., fallback_policy: _Optional[_Union[FallbackPolicy, str]] = ..., missing_value_policy: _Optional[_Union[MissingValuePolicy, str]] = ...) -> None: ...

class PredictRequest(_message.Message):
    __slots__ = ("model", "model_version", "examples", "summary", "queries", "columns", "schema_hash", "group_id", "options", "request_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_HASH_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_version: str
    examples: ExampleSet
    summary: ExampleSummary
    queries: Matrix
    columns: _containers.RepeatedScalarFieldContainer[str]
    schema_hash: str
    group_id: str
    options: PredictOptions
    request_id: str
    def __init__(self, model: _Optional[str] = ..., model_version: _Optional[str] = ..., examples: _Optional[_Union[ExampleSet, _Mapping]] = ..., summary: _Optional[_Union[ExampleSummary, _Mapping]] = ..., queries: _Optional[_Union[Matrix, _Mapping]] = ..., columns: _Optional[_Iterable[str]] = ..., schema_hash: _Optional[str] = ..., group_id: _Optional[str] = ..., options: _Optional[_Union[PredictOptions, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class Interval(_message.Message):
    __slots__ = ("level", "lower", "upper")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    level: float
    lower: _containers.RepeatedScalarFieldContainer[float]
    upper: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, level: _Optional[float] = ..., lower: _Optional[_Iterable[float]] = ..., upper: _Optional[_Iterable[float]] = ...) -> None: ...

class Uncertainty(_message.Message):
    __slots__ = ("standard_errors", "intervals", "method")
    STANDARD_ERRORS_FIELD_NUMBER: _ClassVar[int]
    INTERVALS_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    standard_errors: _containers.RepeatedScalarFieldContainer[float]
    intervals: _containers.RepeatedCompositeFieldContainer[Interval]
    method: IntervalMethod
    def __init__(self, standard_errors: _Optional[_Iterable[float]] = ..., intervals: _Optional[_Iterable[_Union[Interval, _Mapping]]] = ..., method: _Optional[_Union[IntervalMethod, str]] = ...) -> None: ...

class Attributions(_message.Message):
    __slots__ = ("coefficients", "intercept", "example_weights", "profile_shares", "corrections")
    COEFFICIENTS_FIELD_NUMBER: _ClassVar[int]
    INTERCEPT_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    PROFILE_SHARES_FIELD_NUMBER: _ClassVar[int]
    CORRECTIONS_FIELD_NUMBER: _ClassVar[int]
    coefficients: Vector
    intercept: float
    example_weights: Matrix
    profile_shares: Vector
    corrections: Vector
    def __init__(self, coefficients: _Optional[_Union[Vector, _Mapping]] = ..., intercept: _Optional[float] = ..., example_weights: _Optional[_Union[Matrix, _Mapping]] = ..., profile_shares: _Optional[_Union[Vector, _Mapping]] = ..., corrections: _Optional[_Union[Vector, _Mapping]] = ...) -> None: ...

class FeatureShift(_message.Message):
    __slots__ = ("name", "score")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    name: str
    score: float
    def __init__(self, name: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class ShiftScore(_message.Message):
    __slots__ = ("expected_error_ratio", "leave_one_out_ratio", "feature_shifts")
    EXPECTED_ERROR_RATIO_FIELD_NUMBER: _ClassVar[int]
    LEAVE_ONE_OUT_RATIO_FIELD_NUMBER: _ClassVar[int]
    FEATURE_SHIFTS_FIELD_NUMBER: _ClassVar[int]
    expected_error_ratio: float
    leave_one_out_ratio: float
    feature_shifts: _containers.RepeatedCompositeFieldContainer[FeatureShift]
    def __init__(self, expected_error_ratio: _Optional[float] = ..., leave_one_out_ratio: _Optional[float] = ..., feature_shifts: _Optional[_Iterable[_Union[FeatureShift, _Mapping]]] = ...) -> None: ...

class Warning(_message.Message):
    __slots__ = ("code", "message", "field", "index")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    code: WarningCode
    message: str
    field: str
    index: int
    def __init__(self, code: _Optional[_Union[WarningCode, str]] = ..., message: _Optional[str] = ..., field: _Optional[str] = ..., index: _Optional[int] = ...) -> None: ...

class PredictResponse(_message.Message):
    __slots__ = ("predictions", "model_version", "mode", "warnings", "uncertainty", "attributions", "shift_score", "solver", "evidence", "request_id", "reference", "model")
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    UNCERTAINTY_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    SHIFT_SCORE_FIELD_NUMBER: _ClassVar[int]
    SOLVER_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    predictions: _containers.RepeatedScalarFieldContainer[float]
    model_version: str
    mode: Mode
    warnings: _containers.RepeatedCompositeFieldContainer[Warning]
    uncertainty: Uncertainty
    attributions: Attributions
    shift_score: ShiftScore
    solver: Solver
    evidence: Evidence
    request_id: str
    reference: str
    model: str
    def __init__(self, predictions: _Optional[_Iterable[float]] = ..., model_version: _Optional[str] = ..., mode: _Optional[_Union[Mode, str]] = ..., warnings: _Optional[_Iterable[_Union[Warning, _Mapping]]] = ..., uncertainty: _Optional[_Union[Uncertainty, _Mapping]] = ..., attributions: _Optional[_Union[Attributions, _Mapping]] = ..., shift_score: _Optional[_Union[ShiftScore, _Mapping]] = ..., solver: _Optional[_Union[Solver, str]] = ..., evidence: _Optional[_Union[Evidence, str]] = ..., request_id: _Optional[str] = ..., reference: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class PredictBatchRequest(_message.Message):
    __slots__ = ("model", "model_version", "prompt_count", "example_count", "feature_count", "query_count", "data_type", "features", "labels", "queries", "columns", "schema_hash", "group_ids", "options", "request_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    PROMPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FEATURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUERY_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_HASH_FIELD_NUMBER: _ClassVar[int]
    GROUP_IDS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_version: str
    prompt_count: int
    example_count: int
    feature_count: int
    query_count: int
    data_type: DataType
    features: bytes
    labels: bytes
    queries: bytes
    columns: _containers.RepeatedScalarFieldContainer[str]
    schema_hash: str
    group_ids: _containers.RepeatedScalarFieldContainer[str]
    options: PredictOptions
    request_id: str
    def __init__(self, model: _Optional[str] = ..., model_version: _Optional[str] = ..., prompt_count: _Optional[int] = ..., example_count: _Optional[int] = ..., feature_count: _Optional[int] = ..., query_count: _Optional[int] = ..., data_type: _Optional[_Union[DataType, str]] = ..., features: _Optional[bytes] = ..., labels: _Optional[bytes] = ..., queries: _Optional[bytes] = ..., columns: _Optional[_Iterable[str]] = ..., schema_hash: _Optional[str] = ..., group_ids: _Optional[_Iterable[str]] = ..., options: _Optional[_Union[PredictOptions, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class PromptError(_message.Message):
    __slots__ = ("index", "code", "reason", "message", "field")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    index: int
    code: int
    reason: str
    message: str
    field: str
    def __init__(self, index: _Optional[int] = ..., code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., field: _Optional[str] = ...) -> None: ...

class PromptWarning(_message.Message):
    __slots__ = ("index", "code")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    index: int
    code: WarningCode
    def __init__(self, index: _Optional[int] = ..., code: _Optional[_Union[WarningCode, str]] = ...) -> None: ...

class PredictBatchResponse(_message.Message):
    __slots__ = ("predictions", "model_version", "errors", "warnings", "standard_errors", "lower_bounds", "upper_bounds", "modes", "request_id", "reference", "model", "solvers")
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    STANDARD_ERRORS_FIELD_NUMBER: _ClassVar[int]
    LOWER_BOUNDS_FIELD_NUMBER: _ClassVar[int]
    UPPER_BOUNDS_FIELD_NUMBER: _ClassVar[int]
    MODES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SOLVERS_FIELD_NUMBER: _ClassVar[int]
    predictions: bytes
    model_version: str
    errors: _containers.RepeatedCompositeFieldContainer[PromptError]
    warnings: _containers.RepeatedCompositeFieldContainer[PromptWarning]
    standard_errors: bytes
    lower_bounds: bytes
    upper_bounds: bytes
    modes: bytes
    request_id: str
    reference: str
    model: str
    solvers: bytes
    def __init__(self, predictions: _Optional[bytes] = ..., model_version: _Optional[str] = ..., errors: _Optional[_Iterable[_Union[PromptError, _Mapping]]] = ..., warnings: _Optional[_Iterable[_Union[PromptWarning, _Mapping]]] = ..., standard_errors: _Optional[bytes] = ..., lower_bounds: _Optional[bytes] = ..., upper_bounds: _Optional[bytes] = ..., modes: _Optional[bytes] = ..., request_id: _Optional[str] = ..., reference: _Optional[str] = ..., model: _Optional[str] = ..., solvers: _Optional[bytes] = ...) -> None: ...

class PredictStreamRequest(_message.Message):
    __slots__ = ("sequence", "request")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    request: PredictRequest
    def __init__(self, sequence: _Optional[int] = ..., request: _Optional[_Union[PredictRequest, _Mapping]] = ...) -> None: ...

class PredictStreamResponse(_message.Message):
    __slots__ = ("sequence", "response", "error")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    response: PredictResponse
    error: PromptError
    def __init__(self, sequence: _Optional[int] = ..., response: _Optional[_Union[PredictResponse, _Mapping]] = ..., error: _Optional[_Union[PromptError, _Mapping]] = ...) -> None: ...

class SummarizeExamplesRequest(_message.Message):
    __slots__ = ("model", "model_version", "examples", "columns", "schema_hash", "origin", "label_origin", "merge_with")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_HASH_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    LABEL_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    MERGE_WITH_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_version: str
    examples: ExampleSet
    columns: _containers.RepeatedScalarFieldContainer[str]
    schema_hash: str
    origin: Vector
    label_origin: float
    merge_with: ExampleSummary
    def __init__(self, model: _Optional[str] = ..., model_version: _Optional[str] = ..., examples: _Optional[_Union[ExampleSet, _Mapping]] = ..., columns: _Optional[_Iterable[str]] = ..., schema_hash: _Optional[str] = ..., origin: _Optional[_Union[Vector, _Mapping]] = ..., label_origin: _Optional[float] = ..., merge_with: _Optional[_Union[ExampleSummary, _Mapping]] = ...) -> None: ...

class SummarizeExamplesResponse(_message.Message):
    __slots__ = ("summary", "model_version")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    summary: ExampleSummary
    model_version: str
    def __init__(self, summary: _Optional[_Union[ExampleSummary, _Mapping]] = ..., model_version: _Optional[str] = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ("name", "unit", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    unit: str
    description: str
    def __init__(self, name: _Optional[str] = ..., unit: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "kind", "version", "versions", "feature_count", "columns", "schema_hash", "label_unit", "example_count_min", "example_count_max", "query_count_max", "batch_prompt_count_max", "message_bytes_max", "confidence_levels", "state", "reference", "create_time", "missing_values_supported", "feature_count_max", "element_count_max")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    FEATURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_HASH_FIELD_NUMBER: _ClassVar[int]
    LABEL_UNIT_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_COUNT_MIN_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_COUNT_MAX_FIELD_NUMBER: _ClassVar[int]
    QUERY_COUNT_MAX_FIELD_NUMBER: _ClassVar[int]
    BATCH_PROMPT_COUNT_MAX_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_LEVELS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    MISSING_VALUES_SUPPORTED_FIELD_NUMBER: _ClassVar[int]
    FEATURE_COUNT_MAX_FIELD_NUMBER: _ClassVar[int]
    ELEMENT_COUNT_MAX_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: ModelKind
    version: str
    versions: _containers.RepeatedScalarFieldContainer[str]
    feature_count: int
    columns: _containers.RepeatedCompositeFieldContainer[Column]
    schema_hash: str
    label_unit: str
    example_count_min: int
    example_count_max: int
    query_count_max: int
    batch_prompt_count_max: int
    message_bytes_max: int
    confidence_levels: _containers.RepeatedScalarFieldContainer[float]
    state: ModelState
    reference: str
    create_time: _timestamp_pb2.Timestamp
    missing_values_supported: bool
    feature_count_max: int
    element_count_max: int
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[ModelKind, str]] = ..., version: _Optional[str] = ..., versions: _Optional[_Iterable[str]] = ..., feature_count: _Optional[int] = ..., columns: _Optional[_Iterable[_Union[Column, _Mapping]]] = ..., schema_hash: _Optional[str] = ..., label_unit: _Optional[str] = ..., example_count_min: _Optional[int] = ..., example_count_max: _Optional[int] = ..., query_count_max: _Optional[int] = ..., batch_prompt_count_max: _Optional[int] = ..., message_bytes_max: _Optional[int] = ..., confidence_levels: _Optional[_Iterable[float]] = ..., state: _Optional[_Union[ModelState, str]] = ..., reference: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., missing_values_supported: bool = ..., feature_count_max: _Optional[int] = ..., element_count_max: _Optional[int] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("model", "model_version")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_version: str
    def __init__(self, model: _Optional[str] = ..., model_version: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "next_page_token")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    next_page_token: str
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
