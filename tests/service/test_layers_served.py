"""Stored layers behind a real server: weights of sums, and a stand-in for a profile."""

from datetime import UTC, datetime

import grpc
import numpy as np
import pytest

from model.checkpoint import FOUNDATION_FILE, load
from model.layer_draft import layer_draft
from model.paper import PaperModel
from model.schema import Column, Schema
from model.store import Store
from sonoba.v1 import predictor_pb2 as pb
from tests.model.test_paper_sums import SUMS
from tests.service.asking import COLUMNS, asking
from tests.service.watched import NAME, save

CREATED = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    """Return a store of a paper model, and of a profile that a foundation version stands in for."""
    store = Store(save(tmp_path / "store"))
    profile = store.load(NAME).manifest
    stand_in = layer_draft(
        *(NAME, load(FOUNDATION_FILE).model, profile.schema_of_model(), CREATED),
        feature_schema=profile.feature_schema,
    )
    store.promote(NAME, store.add(*stand_in))
    schema = Schema(tuple(Column(name) for name in COLUMNS))
    store.save(*layer_draft("mixed", PaperModel.from_sums(*SUMS, 0.3), schema, CREATED))
    return store


def test_a_layer_of_recorded_sums_answers_as_its_formula(serving, store, prompt):
    x, y, queries = prompt
    answered = serving(store=str(store.folder)).stub.Predict(asking(x, y, queries, model="mixed"))

    u, r, terms = x - x.mean(0), y - y.mean(), len(y) - 1
    A = PaperModel.from_sums(*SUMS, 0.3).weights(terms)
    wanted = y.mean() + (queries - x.mean(0)) @ A @ (r @ u / terms)
    np.testing.assert_allclose(answered.predictions, wanted, rtol=1e-9)
    assert answered.model_version == store.current("mixed").version
    assert answered.mode == pb.MODE_PAPER


def test_a_stand_in_takes_the_profiles_columns_and_answers_as_foundation(serving, store, prompt):
    x, y, queries = prompt
    stub = serving(store=str(store.folder)).stub
    model = stub.GetModel(pb.GetModelRequest(model=NAME)).model
    answered = stub.Predict(asking(x, y, queries, model=NAME, schema_hash=model.schema_hash))
    foundation = stub.Predict(asking(x, y, queries))

    assert model.kind == pb.MODEL_KIND_FOUNDATION
    assert [column.name for column in model.columns] == list(COLUMNS)
    assert (model.feature_count, model.version) == (3, store.current(NAME).version)
    assert answered.mode == pb.MODE_FOUNDATION
    assert list(answered.predictions) == list(foundation.predictions)
    with pytest.raises(grpc.RpcError, match=f"expected the 3 features of model {NAME}, got 2"):
        stub.Predict(asking(x[:, :2], y, queries[:, :2], model=NAME))


def test_a_rollback_serves_the_profile_again(serving, store):
    store.rollback(NAME)
    model = serving(store=str(store.folder)).stub.GetModel(pb.GetModelRequest(model=NAME)).model

    assert model.kind == pb.MODEL_KIND_PROFILE
