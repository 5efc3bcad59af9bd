"""The repository of the protocol, mapped to a store that a server only reads."""

import grpc
import numpy as np
import pytest

from model.refusal import Refusal
from model.store import Store
from service.call import Call
from service.oip import OpenInference
from service.oip_repository import Repository
from tests.model.profiles import asked
from tests.oip.public import asking, numbers
from tests.service.watched import NAME, drafted, fitted, wait

pytestmark = pytest.mark.slow  # seconds, all together

X, Y, QUERY = (values[0] for values in (*asked(5, 1)[0].context, asked(5, 1)[0].queries))


@pytest.fixture
def store(tmp_path):
    found = Store(tmp_path / "store")
    found.save(*drafted())
    return found


@pytest.fixture
def kept(speaking, store):
    """A server that looks at its store when it is told to, and its repository."""
    one = speaking(store=store.folder, store_poll_seconds=3600.0)
    wait(lambda: one.server.installed.store is not None)
    one.repository = one.server._spoken_for().repository
    return one


def index(one, **fields):
    answer = one.theirs.RepositoryIndex(one.theirs.messages.RepositoryIndexRequest(**fields))
    return {(it.name, it.version): (it.state, it.reason) for it in answer.models}


def test_the_index_lists_what_is_served_and_what_is_stored(kept, store):
    first = store.current(NAME).version
    second = store.add(*drafted(found=fitted(1)))
    store.add(*drafted("other"))

    found = index(kept)

    assert found[NAME, first] == ("READY", "")
    assert found[NAME, second] == ("UNAVAILABLE", "stored, and not in force")
    assert [state for (name, _), (state, _) in found.items() if name == "foundation"] == ["READY"]
    assert [state for (name, _), (state, _) in found.items() if name == "other"] == ["UNAVAILABLE"]
    assert {state for state, _ in index(kept, ready=True).values()} == {"READY"}


def test_the_index_tells_a_candidate_and_a_refused_version_from_others(kept, store):
    first = store.current(NAME).version
    second = store.add(*drafted(found=fitted(1)))
    store.nominate(NAME, second)
    kept.repository.load(NAME)
    assert index(kept)[NAME, second] == ("UNAVAILABLE", f"a candidate, beside {first}")

    broken = store.add(*drafted(columns=("a", "b", "c")))
    store.promote(NAME, broken)
    with pytest.raises(Refusal) as refusal:
        kept.repository.load(NAME)

    assert refusal.value.reason == "VERSION_REFUSED"
    assert f"expected {broken} to answer: " in refusal.value.sentence
    state, reason = index(kept)[NAME, broken]
    assert (state, reason.startswith("in force in the store, and refused")) == ("UNAVAILABLE", True)
    assert index(kept)[NAME, first] == ("READY", "")


def test_what_is_loaded_answers_at_once(kept, store):
    before = kept.theirs.infer(asking(X, Y, QUERY, model_name=NAME))
    second = store.add(*drafted(found=fitted(1)))
    store.promote(NAME, second)

    kept.repository.load(NAME)
    after = kept.theirs.infer(asking(X, Y, QUERY, model_name=NAME))

    assert (before.model_version != second, after.model_version) == (True, second)
    assert not np.array_equal(numbers(before), numbers(after))


def test_a_model_that_is_new_to_the_store_is_loaded(kept, store):
    store.save(*drafted("other"))

    kept.repository.load("other")

    assert kept.theirs.infer(asking(X, Y, QUERY, model_name="other")).model_name == "other"


def test_what_the_store_puts_in_force_stays(kept, store):
    with pytest.raises(Refusal, match="take it out there") as refusal:
        kept.repository.unload(NAME)

    assert refusal.value.reason == "IN_FORCE"
    assert kept.theirs.infer(asking(X, Y, QUERY, model_name=NAME)).model_name == NAME


def test_what_the_store_gave_up_is_unloaded_and_comes_back_with_it(kept, store):
    version = store.current(NAME).version
    pointer = store.folder / NAME / "current"
    content = pointer.read_bytes()
    pointer.unlink()
    assert kept.theirs.infer(asking(X, Y, QUERY, model_name=NAME)).model_version == version

    kept.repository.unload(NAME)
    with pytest.raises(grpc.RpcError) as error:
        kept.theirs.infer(asking(X, Y, QUERY, model_name=NAME))
    pointer.write_bytes(content)
    kept.repository.load(NAME)

    assert error.value.code() is grpc.StatusCode.NOT_FOUND
    assert kept.theirs.infer(asking(X, Y, QUERY, model_name=NAME)).model_version == version


def test_the_default_model_is_never_unloaded(speaking, store):
    one = speaking(store=store.folder, store_poll_seconds=3600.0, default_model=NAME)
    wait(lambda: one.server.installed.store is not None)
    (store.folder / NAME / "current").unlink()

    with pytest.raises(Refusal, match="another than the default model"):
        one.server._spoken_for().repository.unload(NAME)


@pytest.mark.parametrize("name", ["foundation", "nobody", "", "../store/tasks", "a\0b"])
@pytest.mark.parametrize("wish", ["load", "unload"])
def test_what_is_not_of_the_store_is_nobodys_to_change(kept, name, wish):
    with pytest.raises(Refusal, match=f"expected a model of the store to {wish}, got") as refusal:
        getattr(kept.repository, wish)(name)

    assert refusal.value.reason == "PERMISSION_DENIED"


def test_without_a_store_nothing_is_loaded(speaking):
    one = speaking()

    with pytest.raises(Refusal, match="expected a model of the store to load"):
        one.server._spoken_for().repository.load("foundation")
    assert {state for state, _ in index(one).values()} == {"READY"}


def test_a_store_that_cannot_be_read_is_told(kept):
    away = Repository(kept.server._slots, kept.server.installed, lambda: "the disk is gone")

    with pytest.raises(Refusal, match="the disk is gone") as refusal:
        away.load(NAME)

    assert refusal.value.reason == "STORE_UNAVAILABLE"


@pytest.mark.parametrize("method", ["RepositoryModelLoad", "RepositoryModelUnload"])
def test_without_tokens_nobody_has_the_role(kept, method):
    request = getattr(kept.theirs.messages, f"{method}Request")(model_name=NAME)

    with pytest.raises(grpc.RpcError) as error:
        getattr(kept.theirs, method)(request)

    assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert error.value.details() == "expected the role operate, got predict"


def test_what_a_load_cannot_honour_is_refused_before_the_store_is_looked_at(kept):
    speaking, call = OpenInference(kept.server._spoken_for()), Call(5.0)
    messages = kept.theirs.messages
    asked_of_another = messages.RepositoryIndexRequest(repository_name="other")
    with_files = messages.RepositoryModelLoadRequest(
        model_name=NAME, parameters={"file:1/model.json": {"bytes_param": b"{}"}}
    )

    with pytest.raises(Refusal, match="there is one repository"):
        speaking.repository_index(asked_of_another.SerializeToString(), call)
    with pytest.raises(Refusal, match="a version comes from the store as it is") as refusal:
        speaking.load_model(with_files.SerializeToString(), call)

    assert refusal.value.field == "parameters.file:1/model.json"
