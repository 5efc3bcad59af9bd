"""The public Triton client, unchanged, against a real server."""

import hashlib

import numpy as np
import pytest

from model.store import Store
from tests.oip.conftest import task
from tests.service import watched
from tests.service.asking import asking
from tests.service.test_batch import batch, predictions

pytestmark = pytest.mark.slow  # seconds, all together


def tensors(x, y, query, dtype="float64"):
    given = {"x": x, "y": y, "query": query}
    return {name: [dtype, values.tolist()] for name, values in given.items()}


@pytest.mark.parametrize("model", ["foundation", "weather"])
def test_infer_answers_what_predict_answers_to_the_last_bit(public, served, model):
    prompt = task(1)

    found = public(served.address, "infer", model, tensors(*prompt), request_id="abc")

    ours = served.ours.Predict(asking(*prompt, model=model))
    assert found["outputs"] == {"prediction": list(ours.predictions)}
    assert (found["model"], found["id"]) == ([model, ours.model_version], "abc")
    mode = "foundation" if model == "foundation" else "paper"
    assert found["parameters"] == {"mode": mode, "model_version": ours.model_version}


def test_bounds_come_when_they_are_asked_for(public, served):
    wanted = ["lower", "prediction", "upper", "standard_error"]
    parameters = {"confidence_level": 0.8, "columns": "a,b,c", "group_id": "shop-7"}

    found = public(served.address, "infer", "", tensors(*task(2)), wanted, parameters=parameters)

    outputs = {name: np.array(values) for name, values in found["outputs"].items()}
    assert list(outputs) == wanted
    assert (outputs["lower"] < outputs["prediction"]).all()
    assert (outputs["prediction"] < outputs["upper"]).all()
    assert (outputs["standard_error"] > 0).all()


def test_singles_are_taken_for_what_they_are(public, served):
    prompt = task(3)

    found = public(served.address, "infer", "weather", tensors(*prompt, "float32"))

    form = {"dtype": "<f4"}
    ours = served.ours.Predict(asking(*prompt, form=form, model="weather"))
    assert found["outputs"]["prediction"] == list(ours.predictions)


def test_stacked_prompts_are_answered_like_a_batch(public, served):
    prompts = task(4, n=5)

    found = public(served.address, "infer", "foundation", tensors(*prompts))

    ours = served.ours.PredictBatch(batch(*prompts))
    assert found["outputs"]["prediction"] == predictions(ours, 5).tolist()


@pytest.mark.parametrize("way", ["callbacks", "loop"])
def test_every_one_of_many_in_flight_gets_its_own_answer(public, served, way):
    prompts = [task(seed) for seed in range(64)]

    found = public(served.address, way, [["weather", tensors(*prompt)] for prompt in prompts])

    for prompt, answer in zip(prompts, found, strict=True):
        ours = served.ours.Predict(asking(*prompt, model="weather"))
        assert answer["outputs"]["prediction"] == list(ours.predictions)


def test_a_refusal_reaches_the_client_with_its_status_and_sentence(public, served):
    x, y, query = task()

    few = public(served.address, "infer", "weather", tensors(x, y[:-1], query))
    gone = public(served.address, "infer", "nobody", tensors(x, y, query))
    old = public(served.address, "infer", "weather", tensors(x, y, query), model_version="1")

    assert few == {
        "status": "StatusCode.INVALID_ARGUMENT",
        "message": "inputs.y.shape: expected [16] (one label an example of x), got [15]",
    }
    assert gone["status"] == old["status"] == "StatusCode.NOT_FOUND"
    assert gone["message"].startswith("model_name: expected one of foundation, weather, got")
    assert old["message"].startswith("model_version: expected ")


def test_the_server_and_its_models_say_that_they_are_ready(public, served):
    address, version = served.address, served.server._slots.find("weather", "").version

    assert public(address, "is_server_live") is True
    assert public(address, "is_server_ready") is True
    assert public(address, "is_model_ready", "weather") is True
    assert public(address, "is_model_ready", "weather", version) is True
    assert public(address, "is_model_ready", "weather", "1") is False
    assert public(address, "is_model_ready", "nobody") is False


def test_metadata_tells_the_shapes_of_one_prompt(public, served):
    server = public(served.address, "get_server_metadata", as_json=True)
    found = public(served.address, "get_model_metadata", "weather", as_json=True)

    assert server["name"] == "sonoba"
    assert found["platform"] == "sonoba_paper"
    shapes = {one["name"]: (one["datatype"], one["shape"]) for one in found["inputs"]}
    free, three = "-1", "3"
    assert shapes == {
        "x": ("FP64", [free, three]),
        "y": ("FP64", [free]),
        "query": ("FP64", [free, three]),
    }
    outputs = {one["name"]: (one["datatype"], one["shape"]) for one in found["outputs"]}
    assert list(outputs) == ["prediction", "standard_error", "lower", "upper"]
    assert set(map(str, outputs.values())) == {str(("FP64", [free]))}


def test_what_is_not_offered_says_what_is(public, served):
    address = served.address
    refused = {
        "get_model_config": ("foundation",),
        "get_inference_statistics": (),
        "get_trace_settings": (),
        "get_log_settings": (),
        "get_system_shared_memory_status": (),
        "get_cuda_shared_memory_status": (),
    }

    for call, arguments in refused.items():
        answer = public(address, call, *arguments)
        assert answer["status"] == "StatusCode.UNIMPLEMENTED"
        assert ": expected " in answer["message"]


@pytest.fixture
def kept(tmp_path, speaking):
    """A server with a store, and callers who may operate or predict."""
    store = Store(tmp_path / "store")
    store.save(*watched.drafted())
    lines = [f"{hashlib.sha256(f'{role}-token'.encode()).hexdigest()} acme {role} never" for role in
             ("operate", "predict")]  # fmt: skip
    (tmp_path / "callers").write_text("\n".join(lines))
    (tmp_path / "callers").chmod(0o600)
    server = speaking(
        store=store.folder, store_poll_seconds=3600.0, callers_file=tmp_path / "callers"
    )
    watched.wait(lambda: server.server.installed.store is not None)
    return server, store


def bearer(role):
    return {"authorization": f"Bearer {role}-token"}


def test_an_operator_loads_what_the_store_puts_in_force(public, kept):
    server, store = kept
    first = store.current(watched.NAME).version
    second = store.add(*watched.drafted(found=watched.fitted(1)))
    store.promote(watched.NAME, second)

    before = public(server.address, "get_model_repository_index", bearer("predict"), as_json=True)
    loaded = public(server.address, "load_model", watched.NAME, bearer("operate"))
    after = public(server.address, "get_model_repository_index", bearer("predict"), as_json=True)

    states = [
        {one["version"]: one["state"] for one in index["models"] if one["name"] == watched.NAME}
        for index in (before, after)
    ]
    assert loaded is None
    assert states[0] == {first: "READY", second: "UNAVAILABLE"}
    assert states[1] == {second: "READY", first: "UNAVAILABLE"}


def test_who_may_only_predict_changes_nothing(public, kept):
    server, _ = kept

    for call in ("load_model", "unload_model"):
        refused = public(server.address, call, watched.NAME, bearer("predict"))
        nobody = public(server.address, call, watched.NAME)

        assert refused["status"] == "StatusCode.PERMISSION_DENIED"
        assert nobody["status"] == "StatusCode.UNAUTHENTICATED"
    assert public(server.address, "is_model_ready", watched.NAME) is True


def test_an_operator_unloads_what_the_store_has_given_up(public, kept):
    server, store = kept
    address, call = server.address, "unload_model"

    in_force = public(address, call, watched.NAME, bearer("operate"))
    own = public(address, call, "foundation", bearer("operate"))
    (store.folder / watched.NAME / "current").unlink()
    gone = public(address, call, watched.NAME, bearer("operate"))

    assert in_force["status"] == "StatusCode.FAILED_PRECONDITION"
    assert own["status"] == "StatusCode.PERMISSION_DENIED"
    assert gone is None
    assert public(address, "is_model_ready", watched.NAME) is False
