"""What a re-evaluator gets of a running server: sums of 20 prompts, and prompts by consent."""

import json
import logging
from types import SimpleNamespace

import grpc
import numpy as np
import pytest

import sonoba
from model.store import Store
from monitoring.paired import Paired
from monitoring.state import State
from service.tokens import bearer
from sonoba.v1 import predictor_pb2, replica_pb2_grpc
from sonoba.v1 import replica_pb2 as pb
from tests.model.profiles import asked
from tests.service import watched
from tests.service.asking import asking
from tests.service.test_admin_port import failure
from tests.service.test_batch import batch
from tests.service.test_operation import scrape, value
from tests.service.test_stream import numbered
from tests.service.watched import NAME, request, wait

pytestmark = pytest.mark.slow  # seconds, all together

SHOP, BANK = (("x-sonoba-tenant", "shop-7"),), (("x-sonoba-tenant", "bank.eu"),)
INVALID = grpc.StatusCode.INVALID_ARGUMENT
WHY = "evaluation 7f3a"


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text("a-token-of-the-admin-port\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def administered(serving, token_file):
    """Start servers with an admin port; return one with its `ask` of the replica's calls."""
    channels = []

    def start(**settings):
        one = serving(admin_port=0, admin_token_file=token_file, **settings)
        channel = grpc.insecure_channel(
            f"127.0.0.1:{one.server.admin_port}", [("grpc.max_receive_message_length", -1)]
        )
        channels.append(channel)
        stub = replica_pb2_grpc.ReplicaStub(channel)

        def ask(name, **fields):
            wanted = getattr(pb, f"{name}Request")(**fields)
            return getattr(stub, name)(wanted, timeout=10, metadata=bearer(token_file))

        return SimpleNamespace(**vars(one), ask=ask, admin=stub)

    yield start
    for channel in channels:
        channel.close()


def prompt_of(seed, M=8, d=2):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(M, d)), rng.normal(size=M), rng.normal(size=(1, d))


def predict(one, seed, tenant=SHOP, **fields):
    return one.stub.Predict(asking(*prompt_of(seed), **fields), metadata=tenant)


def collect(one, **fields):
    return one.ask("CollectPrompts", **{"model": "foundation", "reason": WHY, **fields})


def numbers(kept):
    x = np.frombuffer(kept.features, "<f8").reshape(kept.example_count, kept.feature_count)
    queries = np.frombuffer(kept.queries, "<f8").reshape(-1, kept.feature_count)
    return x, np.frombuffer(kept.labels, "<f8"), queries


# --- sums ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return watched.save(tmp_path_factory.mktemp("store"))


def public_counts(one, kind, field):
    """Return how many prompts the sums were of, as 130 prompts came one by one."""
    blocks, seen = asked(3, B=130)[0], [0]
    for place in range(130):
        one.stub.Predict(request(blocks, place))
        if place % 3 == 0:
            one.server._monitors.watching.look()
            sums = getattr(one.ask("GetMonitorState", model=NAME), field)
            count = kind.from_bytes(sums).prompt_count if sums else 0
            assert count <= place + 1
            if count != seen[-1]:
                seen.append(count)
    return seen


def test_sums_are_never_of_fewer_than_20_prompts_nor_their_differences(administered, store):
    seen = public_counts(administered(store=store), State, "state")

    assert min(np.diff(seen)) >= 20
    assert seen[-1] >= 100


def test_nor_are_the_errors_of_a_candidate(administered, tmp_path):
    folder = watched.save(tmp_path / "store")
    candidate = Store(folder).current(NAME).version
    watched.save(folder, found=watched.provisional())
    one = administered(store=folder, store_poll_seconds=0.05)
    assert one.ask("GetMonitorState", model=NAME).candidate_version == ""
    Store(folder).nominate(NAME, candidate)
    wait(lambda: one.ask("GetMonitorState", model=NAME).candidate_version == candidate)

    seen = public_counts(one, Paired, "paired")

    assert min(np.diff(seen)) >= 20
    assert seen[-1] >= 100


def test_sums_are_of_the_version_in_force_against_its_reference(administered, store):
    one = administered(store=store)
    block = asked(4, B=60)[0]
    for place in range(60):
        one.stub.Predict(request(block, place))
    one.server._monitors.watching.look()

    told = one.ask("GetMonitorState", model=NAME)

    model = one.stub.GetModel(predictor_pb2.GetModelRequest(model=NAME)).model
    assert told.model_version == model.version
    assert told.reference == State.from_bytes(told.state).reference
    assert told.reference == model.reference
    assert (told.candidate_version, told.paired, told.refused_version) == ("", b"", "")
    fewer = State.from_bytes(one.ask("GetMonitorState", model=NAME, prompt_count=25).state)
    assert 20 <= fewer.prompt_count <= State.from_bytes(told.state).prompt_count
    assert one.ask("GetMonitorState", model=NAME, age_seconds=1e-6).state == b""


def test_a_model_that_has_no_reference_yet_tells_no_sums(administered):
    one = administered()
    for seed in range(40):
        predict(one, seed)
    one.server._monitors.watching.look()

    told = one.ask("GetMonitorState", model="foundation")

    assert told.model_version
    assert (told.reference, told.state) == ("", b"")


@pytest.mark.parametrize(
    ("name", "fields", "code", "reason", "sentence"),
    [
        ("GetMonitorState", {"model": "oracle"}, grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND",
         "model: expected a model that is served, got 'oracle'"),
        ("GetMonitorState", {"prompt_count": -1}, INVALID, "BAD_ARGUMENT",
         "prompt_count: expected 0 or more, got -1"),
        ("GetMonitorState", {"age_seconds": -0.5}, INVALID, "BAD_ARGUMENT",
         "age_seconds: expected 0 or more, got -0.5"),
        ("GetMonitorState", {"age_seconds": np.nan}, INVALID, "BAD_ARGUMENT", "age_seconds: "),
        ("GetMonitorState", {"age_seconds": np.inf}, INVALID, "BAD_ARGUMENT", "age_seconds: "),
        ("CollectPrompts", {"model": "oracle", "reason": WHY}, grpc.StatusCode.NOT_FOUND,
         "MODEL_NOT_FOUND", "model: "),
        ("CollectPrompts", {"prompt_count": 2001, "reason": WHY}, INVALID, "BAD_ARGUMENT",
         "prompt_count: expected 0 to 2000, got 2001"),
        ("CollectPrompts", {"age_seconds": -1, "reason": WHY}, INVALID, "BAD_ARGUMENT", "age_"),
        ("CollectPrompts", {}, INVALID, "BAD_ARGUMENT", "reason: expected a sentence of at most"),
        ("CollectPrompts", {"reason": "two\nlines"}, INVALID, "BAD_ARGUMENT", "reason: "),
        ("DeletePrompts", {"model": None, "tenant": "shop-7"}, INVALID, "BAD_ARGUMENT", "reason: "),
        ("DeletePrompts", {"model": None, "tenant": "", "reason": WHY}, INVALID, "BAD_TENANT",
         "tenant: expected 1 to 64 of the characters A-Z a-z 0-9 . _ -, got 0"),
        ("DeletePrompts", {"model": None, "tenant": "a b", "reason": WHY}, INVALID, "BAD_TENANT",
         "tenant: "),
        ("DeletePrompts", {"model": None, "tenant": "shop-7", "reason": "for Shop-7, by mail"},
         INVALID, "BAD_ARGUMENT", "reason: expected a reason that does not name the tenant"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_a_sentence(
    administered, name, fields, code, reason, sentence
):
    one = administered(reservoir_tenants="*")
    fields = {"model": "foundation", **fields}
    fields = {key: given for key, given in fields.items() if given is not None}

    found = failure(lambda: one.ask(name, **fields))

    assert found[:2] == (code, reason)
    assert found[3].startswith(sentence)
    assert value(scrape(one.server), f'sonoba_rejections_total{{reason="{reason}"}}') == 1


def test_bytes_that_are_no_request_are_refused(administered, token_file):
    one = administered()
    with grpc.insecure_channel(f"127.0.0.1:{one.server.admin_port}") as channel:
        call = channel.unary_unary("/sonoba.v1.Replica/GetMonitorState")
        found = failure(lambda: call(b"\xff\xff", timeout=10, metadata=bearer(token_file)))

    assert found[:2] == (INVALID, "MALFORMED_REQUEST")


def test_its_calls_are_in_the_metrics(administered):
    one = administered()
    one.ask("GetMonitorState", model="foundation")
    with pytest.raises(grpc.RpcError):
        one.admin.DeletePrompts(pb.DeletePromptsRequest(), timeout=10)

    text = scrape(one.server)
    told = 'grpc_service="sonoba.v1.Replica",grpc_type="unary"'
    asked_for = f'grpc_code="OK",grpc_method="GetMonitorState",{told}'
    refused = f'grpc_code="Unauthenticated",grpc_method="DeletePrompts",{told}'
    assert value(text, f"grpc_server_handled_total{{{asked_for}}}") == 1
    assert value(text, f"grpc_server_handled_total{{{refused}}}") == 1
    assert value(text, 'sonoba_rejections_total{reason="UNAUTHENTICATED"}') == 1


def test_without_a_token_there_is_no_port(serving):
    one = serving()

    assert one.server.admin_port == 0
    assert "sonoba.v1.Replica" not in scrape(one.server)


# --- prompts ------------------------------------------------------------------------------------


def test_prompts_travel_as_they_were_answered_the_newest_first(administered):
    one = administered(reservoir_tenants="shop-7,bank.eu")
    for seed, tenant in enumerate((SHOP, BANK, SHOP)):
        predict(one, seed, tenant)

    found = collect(one)

    model = one.stub.GetModel(predictor_pb2.GetModelRequest(model="foundation")).model
    assert found.model_version == model.version
    for kept, seed in zip(found.prompts, (2, 1, 0), strict=True):
        for got, sent in zip(numbers(kept), prompt_of(seed), strict=True):
            np.testing.assert_array_equal(got, sent)
        assert 0.0 <= kept.age_seconds < 10.0
    assert [kept.tenant_place for kept in found.prompts] == [0, 1, 0]
    assert list(np.diff([kept.age_seconds for kept in found.prompts]) > 0.0) == [True, True]
    assert len(collect(one, prompt_count=2).prompts) == 2
    assert len(collect(one, age_seconds=1e-6).prompts) == 0


def test_columns_are_in_the_models_order(administered, paper_file):
    one = administered(model_files=(paper_file,), reservoir_tenants="*")
    x, y, queries = prompt_of(0, M=12, d=3)
    columns = ["wind", "temp", "humidity"]
    one.stub.Predict(asking(x, y, queries, model="weather", columns=columns))

    (kept,) = collect(one, model="weather").prompts

    for got, sent in zip(numbers(kept), (x[:, [1, 2, 0]], y, queries[:, [1, 2, 0]]), strict=True):
        np.testing.assert_array_equal(got, sent)


def test_batches_streams_and_the_client_bring_prompts_too(administered):
    one = administered(reservoir_tenants="shop-7")
    parts = [np.stack(part) for part in zip(*(prompt_of(seed) for seed in range(6)), strict=True)]
    one.stub.PredictBatch(batch(*parts), metadata=SHOP)
    streamed = numbered(asking(*prompt_of(seed)) for seed in range(6, 9))
    assert len(list(one.stub.PredictStream(streamed, metadata=SHOP))) == 3
    with sonoba.Client(f"127.0.0.1:{one.server.grpc_port}", tenant="shop-7") as client:
        client.predict(*prompt_of(9))

    found = {kept.features for kept in collect(one).prompts}

    assert found == {prompt_of(seed)[0].tobytes() for seed in range(10)}


def test_only_who_opted_in_is_kept_and_who_says_nothing_is_anonymous(administered):
    one = administered(reservoir_tenants="shop-7")
    predict(one, 0, BANK)
    predict(one, 1, ())
    assert len(collect(one).prompts) == 0

    everybody = administered(reservoir_tenants="*")
    predict(everybody, 0, BANK)
    predict(everybody, 1, ())
    assert [kept.tenant_place for kept in collect(everybody).prompts] == [0, 1]
    deleted = everybody.ask("DeletePrompts", tenant="anonymous", reason=WHY)
    assert deleted.prompt_count == 1
    assert len(collect(everybody).prompts) == 1


def test_by_default_nothing_is_kept(administered):
    one = administered()

    predict(one, 0, (("x-sonoba-tenant", "shop-7"),))

    assert len(collect(one).prompts) == 0
    assert one.ask("DeletePrompts", tenant="shop-7", reason=WHY).prompt_count == 0


@pytest.mark.parametrize("tenant", ["", "two words", "x" * 65, "shop/7"])
def test_a_malformed_tenant_is_refused_where_it_matters(administered, tenant):
    one = administered(reservoir_tenants="*")
    metadata = (("x-sonoba-tenant", tenant),)
    stream = numbered([asking(*prompt_of(0))])

    for call in (
        lambda: predict(one, 0, metadata),
        lambda: list(one.stub.PredictStream(stream, metadata=metadata)),
    ):
        code, reason, fields, sentence = failure(call)
        assert (code, reason, fields) == (INVALID, "BAD_TENANT", ["x-sonoba-tenant"])
        assert "1 to 64 of the characters A-Z a-z 0-9 . _ -" in sentence


def test_two_tenants_of_one_call_are_refused(administered):
    one = administered(reservoir_tenants="*")

    found = failure(lambda: predict(one, 0, SHOP + BANK))

    assert found[1] == "BAD_TENANT"
    assert "expected one tenant, got 2" in found[3]


def test_what_is_deleted_is_gone(administered):
    one = administered(reservoir_tenants="*")
    for seed in range(6):
        predict(one, seed, SHOP if seed < 4 else BANK)

    assert one.ask("DeletePrompts", tenant="shop-7", reason=WHY).prompt_count == 4
    assert one.ask("DeletePrompts", tenant="shop-7", reason=WHY).prompt_count == 0
    assert len(collect(one).prompts) == 2


def test_prompts_that_do_not_fit_a_message_are_left_out(administered):
    one = administered(reservoir_tenants="*", max_message_bytes=2**17)
    for seed in range(10):
        one.stub.Predict(asking(*prompt_of(seed, M=200, d=10)))  # 17.7 kB

    found = collect(one)

    assert len(found.prompts) == 6
    assert found.prompts[0].features == prompt_of(9, M=200, d=10)[0].tobytes()


def test_every_read_and_deletion_is_a_line_of_the_log(administered, caplog):
    one = administered(reservoir_tenants="*")
    for seed in range(3):
        predict(one, seed)
    caplog.clear()
    with caplog.at_level(logging.INFO, "sonoba"):
        collect(one, prompt_count=2, reason='asked "by" mail')
        one.ask("DeletePrompts", tenant="shop-7", reason="ticket 4711")

    read, deleted = (
        json.loads(line.removeprefix("reservoir "))
        for line in caplog.messages
        if line.startswith("reservoir ")
    )
    assert read.pop("peer").startswith("ipv4:127.0.0.1:")
    assert deleted.pop("peer").startswith("ipv4:127.0.0.1:")
    assert read == {
        "event": "read",
        "model": "foundation",
        "prompts": 2,
        "reason": 'asked "by" mail',
    }
    assert deleted == {"event": "delete", "prompts": 3, "reason": "ticket 4711"}
    assert "shop" not in caplog.text
