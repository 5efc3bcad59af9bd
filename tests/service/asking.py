"""Requests as a caller would build them by hand."""

import numpy as np

from sonoba.v1 import predictor_pb2 as pb

COLUMNS = ("temp", "humidity", "wind")


def matrix(values, raw=True, dtype="<f8"):
    values = np.atleast_2d(np.asarray(values, float))
    rows, columns = values.shape
    if not raw:
        return pb.Matrix(row_count=rows, column_count=columns, values=values.ravel())
    kind = pb.DATA_TYPE_FLOAT32 if dtype == "<f4" else pb.DATA_TYPE_FLOAT64
    wire = values.astype(dtype).tobytes()
    return pb.Matrix(row_count=rows, column_count=columns, raw=wire, data_type=kind)


def vector(values, raw=True, dtype="<f8"):
    values = np.asarray(values, float)
    if not raw:
        return pb.Vector(values=values)
    kind = pb.DATA_TYPE_FLOAT32 if dtype == "<f4" else pb.DATA_TYPE_FLOAT64
    return pb.Vector(raw=values.astype(dtype).tobytes(), data_type=kind)


def examples(x, y, **form):
    return pb.ExampleSet(features=matrix(x, **form), labels=vector(y, **form))


def asking(x, y, queries, form=None, **fields):
    form = form or {}
    return pb.PredictRequest(
        examples=examples(x, y, **form), queries=matrix(queries, **form), **fields
    )
