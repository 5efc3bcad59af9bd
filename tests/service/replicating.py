"""Replicas that a test speaks for, on real ports, and a re-evaluator's parts on one store."""

from datetime import timedelta
from types import SimpleNamespace

import numpy as np

from model.checkpoint import load_stored
from model.document import changed
from model.prompt import Block, Examples
from model.store import Store
from monitoring.monitor import Monitor
from monitoring.paired import Paired
from service.admin_port import AdminPort
from service.business_rules import BusinessRules
from service.in_force import InForce
from service.ledger import Ledger
from service.ledger_clock import Moment, now
from service.lifecycle_parts import Parts
from service.lifecycle_records import Records
from service.monitors import reference_of
from service.replica import SERVICE
from service.replicas import Replicas
from service.rule_values import RuleValues
from service.seen import seen_by
from service.settings import Settings
from service.tokens import Tokens
from sonoba.v1 import replica_pb2 as pb
from tests.model import profiles
from tests.service import watched
from tests.service.watched import NAME

TOKEN = "a-token-of-the-operators"
NOON = 1_790_000_000.0  # Unix seconds
M = 8  # examples of a prompt


def token_file(folder):
    path = folder / "admin-token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def another(days=1, found=None, **changes):
    """Return what a store takes of a profile made some days later: another version."""
    draft, arrays = watched.drafted(NAME, found, **changes)
    return changed(draft, created=draft.created + timedelta(days=days)), arrays


class StandIn:
    """A replica that follows a store at once, and tells the sums that a test gave it."""

    def __init__(self, store, tokens):
        self.store, self._tokens = store, tokens
        self.states, self.pairs = {}, {}  # by version
        self.served, self.refusals, self.kept = {}, {}, []  # served: by model, not the store's
        self.looks, self._references = 0, {}
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
        told.reference = self.reference(request.model, version)
        if (state := self.states.get(version)) is not None:
            told.state = state.to_bytes()
        named = pointer.candidate or pointer.version
        if named in self.refusals:
            told.refused_version, told.refusal = named, self.refusals[named]
        elif pointer.candidate:
            told.candidate_version = pointer.candidate
            if pointer.candidate in self.pairs:
                told.paired = self.pairs[pointer.candidate].to_bytes()
        return told.SerializeToString()

    def reference(self, model, version):
        if version not in self._references:
            fallback = profiles.FOUNDATION
            found = reference_of(load_stored(self.store.folder, model, version, fallback))
            self._references[version] = "" if found is None else found.id
        return self._references[version]

    def collect(self, wire, _call):
        request = pb.CollectPromptsRequest.FromString(wire)
        version = self.store.current(request.model).version
        return pb.CollectPromptsResponse(
            model_version=version, prompts=self.kept
        ).SerializeToString()


class Time:
    """A clock since boot and one for people, both set by hand."""

    def __init__(self):
        self.seconds, self.ahead = 1000.0, 0.0  # ahead: of the clock for people

    def __call__(self):
        return self.seconds

    def now(self):
        return NOON + self.seconds + self.ahead

    def moment(self):
        return Moment(self.now(), "a boot", self.seconds)


def prompts(count, seed, scale=1.0):
    """Return prompts whose covariates are scaled about their mean; the labels stay."""
    block, _ = profiles.asked(seed, B=count, M=M, Q=2)
    x, y = block.context
    x, queries = (profiles.CENTRE + scale * (a - profiles.CENTRE) for a in (x, block.queries))
    return Block(Examples(x, y), queries)


def kept_prompt(block, age, tenant):
    x, y = block.context
    return pb.KeptPrompt(
        example_count=x.shape[1],
        feature_count=x.shape[2],
        features=x.astype("<f8").tobytes(),
        labels=y.astype("<f8").tobytes(),
        queries=block.queries.astype("<f8").tobytes(),
        age_seconds=age,
        tenant_place=tenant,
    )


def state_of(artifact, count, scale=1.0, seed=0):
    """Return what a monitor of a version knows after some prompts."""
    kind = artifact.model.mode.name.lower()
    monitor = Monitor(
        artifact.name, artifact.version, kind, reference_of(artifact), 400, 100, 10**6
    )
    for start in range(0, count, 10):
        block = prompts(10, seed + start, scale)
        monitor.observe(seen_by(artifact.model.estimator(block), block))
    return monitor.state()


def paired_of(count, served=3.0, candidate=1.0, seed=0):
    """Return paired errors with some means over normal."""
    rng = np.random.default_rng([seed, 5])
    common = rng.gamma(8.0, 1.0 / 8.0, count)  # (count,)
    made = Paired()
    made.add(served * common, candidate * common, np.ones(count))
    return made


def world(folder, replica_count=2, rules=None, time=None, **parts):
    """Return a store with one model, its replicas and the parts of a re-evaluator."""
    if not (folder / "store").exists():
        watched.save(folder / "store")
    if time is not None:
        parts |= {"now": time.now, "monotonic": time}
    clock = now if time is None else time.moment
    store, tokens = Store(folder / "store"), token_file(folder)
    replicas = [StandIn(store, tokens).start() for _ in range(replica_count)]
    known = BusinessRules(version=1, defaults=RuleValues(**(rules or {})))
    made = Parts(
        store=store,
        in_force=InForce(store),
        ledger=Ledger(store.folder / "audit.sqlite", clock),
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
