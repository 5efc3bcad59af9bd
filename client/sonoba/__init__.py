"""Client of sonoba: in-context predictions over gRPC."""

import sonoba.aio as aio
from sonoba._transport import Tls
from sonoba.client import Client
from sonoba.errors import (
    DeadlineExceeded,
    InvalidPrompt,
    NotFound,
    Overloaded,
    PermissionDenied,
    SchemaMismatch,
    ServerError,
    SonobaError,
    Unavailable,
)
from sonoba.prediction import Column, Explanation, Interval, Model, Prediction, ShiftScore, Warning
from sonoba.prompt import Prompt
from sonoba.summary import Summary

__version__ = "0.1.0"

__all__ = [
    "Client",
    "Column",
    "DeadlineExceeded",
    "Explanation",
    "Interval",
    "InvalidPrompt",
    "Model",
    "NotFound",
    "Overloaded",
    "PermissionDenied",
    "Prediction",
    "Prompt",
    "SchemaMismatch",
    "ServerError",
    "ShiftScore",
    "SonobaError",
    "Summary",
    "Tls",
    "Unavailable",
    "Warning",
    "aio",
]
