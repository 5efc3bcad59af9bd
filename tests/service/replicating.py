"""Replicas that a test speaks for, on real ports, and a re-evaluator's parts on one store."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from model.store import Store
from service.admin_port import AdminPort
from service.business_rules import BusinessRules
from service.in_force import InForce
from service.ledger import Ledger
from service.lifecycle_parts import Parts
from service.lifecycle_records import Records
from service.replica import SERVICE
from service.replicas import Replicas
from service.rule_values import RuleValues
from service.settings import Settings
from service.tokens import Tokens
from sonoba.v1 import replica_pb2 as pb
from tests.service import watched
from tests.service.watched import NAME

TOKEN = "a-token-of-the-operators"


def token_file(folder):
    path = folder / "admin-token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def another(days=1, found=None, **changes):
    """Return what a store takes of a profile made some days later: another version."""
    draft, arrays = watched.drafted(NAME, found, **changes)
    return draft.model_copy(update={"created": draft.created + timedelta(days=days)}), arrays


class StandIn:
    """A replica that follows a store at once, and tells the sums that a test gave it."""

    def __init__(self, store, tokens):
        self.store, self._tokens = store, tokens
        self.states, self.pairs = {}, {}  # by version
        self.served, self.refusals, self.kept = {}, {}, []  # served: by model, not the store's
        self.looks = 0
        self._port, self._number = None, 0

    @property
    def address(self):
        return f"127.0.0.1:{self._number}"

    def start(self):
        settings = Settings(admin_port=self._number)
        handlers = {"GetMonitorState": self.state, "CollectPrompts": self.collect}
        self._port = AdminPort(settings, Tokens(self._tokens), SERVICE, handlers, lambda _: None)
        self._number = self._port.start()
        return self

    def stop(self):
        if self._port is not None:
            self._port.stop(0.0)
        self._port = None

    def state(self, wire, _call):
        request, self.looks = pb.GetMonitorStateRequest.FromString(wire), self.looks + 1
        pointer = self.store.current(request.model)
        version = self.served.get(request.model, pointer.version)
        told = pb.GetMonitorStateResponse(model_version=version)
        if (state := self.states.get(version)) is not None:
            told.reference, told.state = state.reference, state.to_bytes()
        named = pointer.candidate or pointer.version
        if named in self.refusals:
            told.refused_version, told.refusal = named, self.refusals[named]
        elif pointer.candidate:
            told.candidate_version = pointer.candidate
            if pointer.candidate in self.pairs:
                told.paired = self.pairs[pointer.candidate].to_bytes()
        return told.SerializeToString()

    def collect(self, wire, _call):
        request = pb.CollectPromptsRequest.FromString(wire)
        version = self.store.current(request.model).version
        return pb.CollectPromptsResponse(
            model_version=version, prompts=self.kept
        ).SerializeToString()


def world(folder, replica_count=2, rules=None, **parts):
    """Return a store with one model, its replicas and the parts of a re-evaluator."""
    watched.save(folder / "store")
    store, tokens = Store(folder / "store"), token_file(folder)
    replicas = [StandIn(store, tokens).start() for _ in range(replica_count)]
    known = BusinessRules(version=1, defaults=RuleValues(**(rules or {})))
    made = Parts(
        store=store,
        in_force=InForce(store),
        ledger=Ledger(store.folder / "audit.sqlite"),
        replicas=Replicas([one.address for one in replicas], tokens),
        rules=known,
        records=Records(store, folder / "reports", known, "https://reports.example"),
        **parts,
    )

    def close():
        made.replicas.close()
        made.ledger.close()
        for one in replicas:
            one.stop()

    return SimpleNamespace(
        folder=folder, store=store, tokens=tokens, replicas=replicas, parts=made, close=close
    )


def noon(days=0):
    return datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(days=days)
