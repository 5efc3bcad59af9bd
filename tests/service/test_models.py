"""GetModel and ListModels: what a caller must know before calling."""

import grpc
import pytest

from model.answer import Caution, Mode, Solver
from model.checkpoint import FOUNDATION_FILE, load
from service.errors import STATUS
from sonoba.v1 import predictor_pb2 as pb
from tests.service.asking import COLUMNS


def test_the_default_model_takes_any_features(stub):
    model = stub.GetModel(pb.GetModelRequest()).model

    assert (model.name, model.kind) == ("foundation", pb.MODEL_KIND_FOUNDATION)
    assert model.version == load(FOUNDATION_FILE).version
    assert list(model.versions) == [model.version]
    assert (model.feature_count, model.feature_count_max) == (0, 256)
    assert (model.example_count_min, model.example_count_max) == (4, 65_536)
    assert (model.query_count_max, model.batch_prompt_count_max) == (4096, 4096)
    assert model.message_bytes_max == 64 * 2**20
    assert model.element_count_max == 8_388_608
    assert not model.missing_values_supported
    assert model.state == pb.MODEL_STATE_WARMING


def test_a_model_with_columns_names_them_with_their_units(stub):
    model = stub.GetModel(pb.GetModelRequest(model="weather")).model

    assert [(c.name, c.unit) for c in model.columns] == list(
        zip(COLUMNS, ["celsius", "percent", "m/s"], strict=True)
    )
    assert (model.kind, model.feature_count, model.label_unit) == (pb.MODEL_KIND_PAPER, 3, "kW")
    assert len(model.schema_hash) == 32


def test_an_unknown_model_is_not_found(stub):
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetModel(pb.GetModelRequest(model="nobody"))

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_models_come_in_pages_by_name(stub):
    first = stub.ListModels(pb.ListModelsRequest(page_size=1))
    second = stub.ListModels(pb.ListModelsRequest(page_size=1, page_token=first.next_page_token))

    assert [m.name for m in first.models] == ["foundation"]
    assert [m.name for m in second.models] == ["weather"]
    assert second.next_page_token == ""
    assert len(stub.ListModels(pb.ListModelsRequest()).models) == 2


@pytest.mark.parametrize(
    "page", [{"page_size": -1}, {"page_size": 101}, {"page_token": "?"}], ids=str
)
def test_a_page_that_is_none_is_refused(stub, page):
    with pytest.raises(grpc.RpcError) as caught:
        stub.ListModels(pb.ListModelsRequest(**page))

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert next(iter(page)) in caught.value.details()


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (Mode, pb.Mode, "MODE"),
        (Solver, pb.Solver, "SOLVER"),
        (Caution, pb.WarningCode, "WARNING_CODE"),
    ],
)
def test_the_models_words_have_the_contracts_numbers(ours, theirs, prefix):
    for word in ours:
        if word.value:
            assert theirs.Value(f"{prefix}_{word.name}") == word.value


def test_every_reason_has_a_code_of_the_contract():
    assert {type(code) for code in STATUS.values()} == {grpc.StatusCode}
