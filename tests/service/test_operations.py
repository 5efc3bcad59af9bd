"""Operations over real gRPC, with the client that the command line uses."""

import json
import math

import grpc
import pytest
from click.testing import CliRunner
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from monitoring.policy import Action, Decision
from service.admin_port import AdminPort
from service.audit import AuditLog
from service.cli import cli
from service.evaluation_record import State, Trigger
from service.operations import SERVICE, Operations
from service.operations_client import OperationsError, operations
from service.settings import Settings
from service.tokens import Tokens, bearer
from sonoba.v1 import operations_pb2 as pb
from sonoba.v1 import operations_pb2_grpc
from tests.service.replicating import another, world
from tests.service.watched import NAME

pytestmark = pytest.mark.slow  # seconds, all together

PROPOSED = Decision(Action.PROPOSE, "operator_approves", "A person decides.", "人が判断します。")


class Operated:
    """A world with an Operations port."""

    def __init__(self, folder):
        self.world = world(folder)
        self.parts, self.store = self.world.parts, self.world.store
        self.leading, self.woken = True, 0
        made = Operations(self.parts, self._wake, lambda: self.leading)
        settings = Settings(admin_port=0)
        self.port = AdminPort(
            settings, Tokens(self.world.tokens), SERVICE, made.handlers(), lambda _: None
        )
        self.address = f"127.0.0.1:{self.port.start()}"
        self.channel = grpc.insecure_channel(self.address)
        self.stub = operations_pb2_grpc.OperationsStub(self.channel)

    def _wake(self):
        self.woken += 1

    def close(self):
        self.channel.close()
        self.port.stop(0.0)
        self.world.close()

    def call(self, name, **fields):
        request = getattr(pb, f"{name}Request")(**fields)
        metadata = bearer(self.world.tokens)
        return getattr(self.stub, name)(request, timeout=10, metadata=metadata)

    def audit(self):
        log = AuditLog(self.store.folder / "audit.sqlite")
        return [(entry.action, entry.actor, entry.detail) for entry in log.entries()]

    def proposed(self, version):
        """Write down an evaluation that proposed a version, as the rules do."""
        parts = self.parts
        asked = parts.ledger.ask(NAME, Trigger.OPERATOR)
        evaluation = parts.ledger.get(asked.evaluation_id)
        served = self.store.current(NAME).version
        evaluation = parts.move(evaluation, State.GATHERING, model_version=served)
        words = {"sentence_en": "It pays.", "sentence_ja": "効果があります。"}
        told = {"verdict": "RECALIBRATE", "reason": "COVARIATE", "candidate_version": version}
        evaluation = parts.move(evaluation, State.JUDGED, **told, **words)
        return parts.move(evaluation, State.PROPOSED, decision=PROPOSED)


@pytest.fixture
def operated(tmp_path):
    made = Operated(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(operated):
    with operations(operated.address, operated.world.tokens) as client:
        yield client


def refused(call, *arguments, **fields):
    with pytest.raises(OperationsError) as raised:
        call(*arguments, **fields)
    return raised.value.reason, str(raised.value)


def test_versions_are_listed_with_roles_faults_and_an_etag(operated, client):
    first = operated.store.current(NAME).version
    second = operated.store.add(*another(1))
    operated.store.nominate(NAME, second)
    broken = operated.store.add(*another(2))
    path = operated.store.folder / NAME / "versions" / broken / "weights.npz"
    path.write_bytes(path.read_bytes()[:-1])

    told = client.versions(NAME)

    assert told.etag == operated.store.current(NAME).etag
    roles = {one.version: one.role for one in told.versions}
    assert roles == {broken: "", second: "candidate", first: "current"}
    assert [one.version for one in told.versions][-1] == first  # the newest first
    by_version = {one.version: one for one in told.versions}
    assert by_version[first].kind == "profile" and by_version[first].created.year == 2026
    assert "weights.npz" in by_version[broken].fault and not by_version[second].fault


def test_without_the_token_nobody_learns_anything(operated):
    for metadata in ((), (("authorization", "Bearer another-token-of-16"),)):
        for name in ("ListModelVersions", "GetDriftReport", "PromoteModelVersion"):
            request = getattr(pb, f"{name}Request")(model=NAME)
            with pytest.raises(grpc.RpcError) as raised:
                getattr(operated.stub, name)(request, timeout=10, metadata=metadata)
            assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_client_without_a_token_file_says_so(operated, tmp_path):
    with operations(operated.address, tmp_path / "none") as client:
        assert refused(client.versions, NAME) == (
            "TOKEN",
            f"{tmp_path / 'none'}: No such file or directory",
        )


def test_a_re_evaluator_that_is_not_there_is_a_sentence(operated):
    with operations("127.0.0.1:1", operated.world.tokens) as client:
        sentence = "no re-evaluator answers at 127.0.0.1:1"
        assert refused(client.versions, NAME) == ("UNAVAILABLE", sentence)


@pytest.mark.parametrize("service", ["", SERVICE, "liveness"])
def test_health_needs_no_token(operated, service):
    check = operated.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )

    answer = check(HealthCheckRequest(service=service), timeout=10)

    assert answer.status == HealthCheckResponse.SERVING


def test_an_evaluation_is_asked_for_once_a_key(operated, client):
    first = client.evaluate(NAME, "operator", "a look", "monday")

    assert client.evaluate(NAME, "operator", "a look", "monday") == first
    (told,) = client.latest(NAME)
    assert (told.evaluation, told.state, told.verdict) == (first, "ASKED", "")
    assert operated.woken == 2
    entry = operated.audit()[0]
    assert entry[0] == "ASKED" and entry[1].startswith("operator (ipv4:127.0.0.1:")


def test_an_unknown_model_is_a_sentence_with_those_there_are(client):
    reason, sentence = refused(client.evaluate, "cars", "operator", "")

    assert reason == "MODEL_NOT_FOUND"
    assert sentence == "model: expected one of tasks, foundation, got 'cars'"


def test_a_schedule_may_ask(operated, client):
    client.evaluate(NAME, "schedule", "nightly")

    assert operated.parts.ledger.unfinished()[0].trigger is Trigger.SCHEDULE


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"reason": "x" * 257}, "BAD_ARGUMENT"),
        ({"reason": "two\nlines"}, "BAD_ARGUMENT"),
        ({"trigger": 9}, "BAD_ARGUMENT"),
        ({"idempotency_key": "k" * 300}, "BAD_ARGUMENT"),
    ],
)
def test_a_bad_request_for_an_evaluation_is_refused(operated, fields, reason):
    with pytest.raises(grpc.RpcError) as raised:
        operated.call("EvaluateModel", model=NAME, **fields)

    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert operated.parts.ledger.unfinished() == []


def test_an_evaluation_is_told_with_its_report_and_the_read_is_on_record(operated):
    evaluation = operated.proposed(operated.store.add(*another(1)))

    told = operated.call("GetEvaluation", evaluation_id=evaluation.id).evaluation

    assert (told.state, told.verdict, told.action) == ("PROPOSED", "RECALIBRATE", "PROPOSE")
    assert told.sentence == "It pays."
    assert '"state": "PROPOSED"' in told.report_json
    assert told.trigger == pb.EVALUATION_TRIGGER_OPERATOR
    assert told.create_time.seconds == pytest.approx(evaluation.created_seconds, abs=1)
    assert operated.audit()[-1][0] == "report.read"


def test_an_evaluation_that_is_not_there(operated, client):
    assert refused(client.evaluation, "../../etc")[0] == "EVALUATION_NOT_FOUND"


def test_pages_of_evaluations_leave_none_out(operated):
    for _ in range(5):
        evaluation = operated.parts.ledger.ask(NAME, Trigger.OPERATOR).evaluation_id
        operated.parts.ledger.move(evaluation, State.ASKED, State.DONE)

    first = operated.call("ListEvaluations", model=NAME, page_size=2)
    second = operated.call("ListEvaluations", page_size=2, page_token=first.next_page_token)
    last = operated.call("ListEvaluations", page_size=2, page_token=second.next_page_token)

    ids = [one.evaluation_id for page in (first, second, last) for one in page.evaluations]
    assert len(set(ids)) == 5 and ids == sorted(ids, reverse=True)
    assert last.next_page_token == ""
    assert not any(one.report_json for one in first.evaluations)


@pytest.mark.parametrize("fields", [{"page_size": 101}, {"page_size": -1}, {"page_token": "x"}])
def test_a_page_that_cannot_be(operated, fields):
    with pytest.raises(grpc.RpcError) as raised:
        operated.call("ListEvaluations", **fields)

    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_version_without_evidence_is_promoted_by_force_only(operated, client):
    before, version = operated.store.current(NAME), operated.store.add(*another(1))

    reason, sentence = refused(client.promote, NAME, version, before.etag, "I want it")
    assert reason == "NOT_APPROVED" and sentence
    assert operated.store.current(NAME) == before
    change = client.promote(NAME, version, before.etag, "I want it", force=True)

    pointer = operated.store.current(NAME)
    assert (change.version, change.previous_version) == (version, before.version)
    assert (pointer.version, pointer.etag) == (version, change.etag)
    told = [(action, json.loads(detail)["why"]["forced"]) for action, _, detail in operated.audit()]
    assert told == [
        ("promotion.refused", False),
        ("promotion.asked", True),
        ("promotion.done", True),
    ]
    assert operated.parts.tally.promotions[NAME, "ok"] == 1


def test_a_proposal_is_promoted_and_watched(operated, client):
    version = operated.store.add(*another(1))
    evaluation = operated.proposed(version)

    client.promote(NAME, version, operated.store.current(NAME).etag, "approved by the owner")

    assert operated.store.current(NAME).version == version
    found = operated.parts.ledger.get(evaluation.id)
    assert found.state is State.PROMOTING  # the lifecycle goes on from here
    assert operated.woken == 1


def test_another_etag_is_a_conflict_and_changes_nothing(operated, client):
    version = operated.store.add(*another(1))
    seen = client.versions(NAME).etag
    operated.store.nominate(NAME, version)  # somebody else was quicker

    reason, sentence = refused(client.promote, NAME, version, seen, "why", force=True)

    assert reason == "CONFLICT" and "somebody changed it in between" in sentence
    assert operated.store.current(NAME).version != version
    with pytest.raises(grpc.RpcError) as raised:
        operated.call("RollbackModel", model=NAME, etag=seen, reason="why")
    assert raised.value.code() is grpc.StatusCode.ABORTED


def test_a_reason_is_required(operated, client):
    etag, version = client.versions(NAME).etag, operated.store.add(*another(1))

    assert refused(client.promote, NAME, version, etag, " ", force=True)[0] == "BAD_ARGUMENT"
    assert refused(client.roll_back, NAME, etag, "")[0] == "BAD_ARGUMENT"


def test_a_version_that_is_not_there_or_is_in_force(operated, client):
    etag, served = client.versions(NAME).etag, operated.store.current(NAME).version

    assert refused(client.promote, NAME, "0" * 12, etag, "why")[0] == "VERSION_NOT_FOUND"
    assert refused(client.promote, NAME, "../x", etag, "why")[0] == "VERSION_NOT_FOUND"
    assert refused(client.promote, NAME, served, etag, "why", force=True)[0] == "BAD_ARGUMENT"


def test_other_columns_are_never_promoted(operated, client):
    version = operated.store.add(*another(1, columns=("a", "b", "c")))
    etag = client.versions(NAME).etag

    for force in (False, True):
        reason, sentence = refused(client.promote, NAME, version, etag, "why", force=force)
        assert reason == "VERSION_REFUSED" and "columns" in sentence


def test_a_version_that_does_not_load_is_refused(operated, client):
    version, etag = operated.store.add(*another(1)), client.versions(NAME).etag
    path = operated.store.folder / NAME / "versions" / version / "weights.npz"
    path.write_bytes(b"")

    assert refused(client.promote, NAME, version, etag, "why")[0] == "VERSION_REFUSED"


def test_a_rollback_takes_the_version_before_and_needs_one(operated, client):
    first = operated.store.current(NAME)
    assert refused(client.roll_back, NAME, first.etag, "why")[0] == "VERSION_NOT_FOUND"
    version = operated.store.add(*another(1))
    etag = client.promote(NAME, version, first.etag, "why", force=True).etag

    change = client.roll_back(NAME, etag, "it was worse")

    assert (change.version, change.previous_version) == (first.version, version)
    assert operated.audit()[-1][0] == "rollback.done"
    assert operated.parts.tally.promotions[NAME, "rolled_back"] == 1


def test_a_model_of_a_file_is_not_changed_here(operated, client):
    etag = client.versions("foundation").etag

    reason, sentence = refused(client.promote, "foundation", "0" * 12, etag, "why", force=True)

    assert etag == "" and reason == "VERSION_REFUSED"
    assert sentence == "model: servers take foundation from a file, so nothing can be changed here"


def test_who_stands_by_reads_and_takes_requests_but_changes_nothing(operated, client):
    operated.leading = False
    version, etag = operated.store.add(*another(1)), client.versions(NAME).etag

    assert client.evaluate(NAME, "operator", "why")
    assert refused(client.promote, NAME, version, etag, "why", force=True)[0] == "STANDING_BY"
    assert refused(client.roll_back, NAME, etag, "why")[0] == "STANDING_BY"
    with pytest.raises(grpc.RpcError) as raised:
        operated.call("RollbackModel", model=NAME, etag=etag, reason="why")
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_nothing_changes_that_cannot_be_put_on_record(operated, client):
    version, before = operated.store.add(*another(1)), operated.store.current(NAME)
    operated.parts.ledger._connection.execute("PRAGMA query_only = ON")

    reason, _ = refused(client.promote, NAME, version, before.etag, "why", force=True)

    assert reason == "STORE_UNAVAILABLE"
    assert operated.store.current(NAME) == before


def test_a_drift_report_without_prompts_says_so(operated):
    told = operated.call("GetDriftReport", model=NAME)

    assert told.model_version == operated.store.current(NAME).version
    assert (told.prompt_count, list(told.levels), list(told.missing_replicas)) == (0, [], [])
    assert math.isnan(told.regret)


def test_a_drift_report_names_who_is_away(operated):
    gone = operated.world.replicas[1]
    gone.stop()

    told = operated.call("GetDriftReport", model=NAME)

    assert list(told.missing_replicas) == [gone.address]


@pytest.mark.parametrize("seconds", [-1.0, math.nan, 1e9])
def test_a_window_that_cannot_be(operated, seconds):
    with pytest.raises(grpc.RpcError) as raised:
        operated.call("GetDriftReport", model=NAME, window_seconds=seconds)

    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_malformed_bytes_are_refused(operated):
    method = operated.channel.unary_unary(f"/{SERVICE}/EvaluateModel")
    with pytest.raises(grpc.RpcError) as raised:
        method(b"\xff\xff", timeout=10, metadata=bearer(operated.world.tokens))

    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def run(operated):
    def run(*arguments, token=True):
        flags = ["--address", operated.address]
        flags += ["--token-file", str(operated.world.tokens)] if token else []
        return CliRunner().invoke(cli, [*arguments, *flags])

    return run


def test_the_command_line_lists_promotes_and_rolls_back(operated, run):
    first = operated.store.current(NAME).version
    version = operated.store.add(*another(1))

    listed = run("models", "list", NAME)
    refusal = run("models", "promote", NAME, version, "--reason", "why")
    promoted = run("models", "promote", NAME, version, "--reason", "why", "--force")
    back = run("models", "rollback", NAME, "--reason", "why")

    assert listed.exit_code == 0 and first in listed.output and version in listed.output
    assert refusal.exit_code == 1 and refusal.output.startswith("Error: version: ")
    assert promoted.exit_code == 0, promoted.output
    assert f"version {version} is in force; before it: {first}" in promoted.output
    assert f"version {first} is in force; before it: {version}" in back.output


def test_the_command_line_asks_for_an_evaluation(operated, run):
    asked = run("evaluate", NAME, "--reason", "a look")

    (made,) = operated.parts.ledger.unfinished()
    assert (asked.exit_code, asked.output.strip()) == (0, made.id)
    assert made.asked_reason == "a look"


def test_the_command_line_waits_for_what_it_comes_to(operated, run):
    with operations(operated.address, operated.world.tokens) as client:
        first = client.evaluate(NAME, "operator", "", "k")
    operated.parts.ledger.move(first, State.ASKED, State.FAILED, fault="the disk is full")
    failed = run("evaluate", NAME, "--key", "k", "--wait")

    assert failed.exit_code == 1
    assert "the evaluation failed: the disk is full" in failed.output


def test_the_command_line_needs_the_token(run):
    result = run("evaluate", NAME, token=False)

    assert result.exit_code == 1
    assert "--token-file: expected the file of the operators' token" in result.output
