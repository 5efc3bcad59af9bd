"""Sums of replicas over real gRPC: joined, or left out and named."""

import socket
import threading
import time

import numpy as np
import pytest

from monitoring.rules import Rules
from service.evaluating import Kept, Sources, evaluate
from service.gather import collect, gather, joined
from service.live_error import live_error
from service.monitors import reference_of
from service.replicas import Replicas, Silent, Told
from service.start_error import StartError
from service.tenant_loss import worst_tenant_loss
from sonoba.v1 import replica_pb2 as pb
from tests.model import profiles
from tests.service.replicating import another, kept_prompt, paired_of, prompts, state_of, world
from tests.service.watched import NAME

pytestmark = pytest.mark.slow  # seconds, all together


@pytest.fixture
def fleet(tmp_path):
    made = world(tmp_path, replica_count=3)
    made.version = made.store.current(NAME).version
    made.artifact = made.parts.in_force.load(NAME, made.version).artifact
    made.gather = lambda *a, **f: gather(made.parts.replicas, NAME, made.version, *a, **f)
    yield made
    made.close()


def test_sums_of_all_replicas_are_one(fleet):
    several = [state_of(fleet.artifact, 60, seed=1000 * place) for place in range(3)]
    for replica, state in zip(fleet.replicas, several, strict=True):
        replica.states[fleet.version] = state

    found = fleet.gather()

    assert found.prompt_count == sum(state.prompt_count for state in several)
    assert found.replicas == tuple(sorted(one.address for one in fleet.replicas))
    assert (found.missing, found.is_enough) == ((), True)
    known = [state.levels()["loo"] for state in several]
    mean = np.average([one.mean for one in known], weights=[one.prompt_count for one in known])
    assert found.state.levels()["loo"].mean == pytest.approx(mean, rel=1e-12)


def test_who_is_away_is_named_and_one_of_three_is_too_many(fleet):
    fleet.replicas[1].states[fleet.version] = state_of(fleet.artifact, 60)
    fleet.replicas[2].stop()

    found = fleet.gather()

    assert found.missing == (fleet.replicas[2].address,)
    assert not found.is_enough  # two of three are fewer than four in five
    assert found.prompt_count == fleet.replicas[1].states[fleet.version].prompt_count


def test_a_replica_of_another_version_does_not_count(fleet):
    other = fleet.store.add(*another(1))
    for replica in fleet.replicas:
        replica.states = {v: state_of(fleet.artifact, 40) for v in (fleet.version, other)}
    fleet.replicas[0].served[NAME] = other

    found = fleet.gather()

    assert found.missing == (fleet.replicas[0].address,)
    assert found.prompt_count == 2 * fleet.replicas[1].states[fleet.version].prompt_count


def told(place, **changes):
    fields = {"model_version": "v", "reference": "r1", "state": None, "candidate_version": ""}
    fields |= {"paired": None, "refused_version": "", "refusal": ""}
    return Told(f"host:{place}", **{**fields, **changes})


def test_four_of_five_speak_for_all():
    four = [told(place) for place in range(4)]

    assert joined([*four, Silent("host:4", "no")], "v").is_enough
    assert not joined([*four[:3], Silent("host:3", "no"), Silent("host:4", "no")], "v").is_enough
    assert not joined([], "v").is_enough


def test_a_replica_with_another_reference_does_not_count():
    found = joined([told(0), told(1), told(2, reference="r2")], "v")

    assert (found.reference, found.missing) == ("r1", ("host:2",))


def test_pairs_of_the_candidate_asked_about_are_joined_and_no_others(fleet):
    candidate = fleet.store.add(*another(1))
    fleet.store.nominate(NAME, candidate)
    for place, replica in enumerate(fleet.replicas[:2]):
        replica.pairs[candidate] = paired_of(50, seed=place)

    found = fleet.gather(candidate, prompt_count=20)

    assert found.paired.prompt_count == 100
    assert found.paired.gain().mean == pytest.approx(2.0 / 3.0)
    assert len(found.beside) == 3
    assert fleet.gather("0" * 12).paired is None


def test_a_refusal_names_who_refused_and_why(fleet):
    candidate = fleet.store.add(*another(1))
    fleet.store.nominate(NAME, candidate)
    fleet.replicas[1].refusals[candidate] = "the self-test failed"

    assert fleet.gather(candidate).refusal == f"{fleet.replicas[1].address}: the self-test failed"
    assert fleet.gather().refusal == ""


def test_a_replica_that_hangs_is_not_waited_for_longer_than_the_deadline(fleet):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        several = [one.address for one in fleet.replicas]
        asked = Replicas([*several, address, address], fleet.tokens, seconds=0.5)
        began = time.monotonic()
        found = asked.told(NAME)
        took = time.monotonic() - began
        asked.close()

    assert 0.4 < took < 1.5
    assert [one.replica for one in found if isinstance(one, Silent)] == [address]  # once
    assert len([one for one in found if isinstance(one, Told)]) == 3


def test_replicas_are_asked_at_the_same_time(fleet):
    barrier = threading.Barrier(3, timeout=5.0)
    for replica in fleet.replicas:
        replica.state = _meeting(replica.state, barrier)
        replica.stop()
        replica.start()

    assert len(_until_all(fleet)) == 3


def _meeting(inner, barrier):
    def state(wire, call):
        barrier.wait()  # nobody goes on before all three are asked
        return inner(wire, call)

    return state


def _until_all(fleet):
    ends = time.monotonic() + 10.0
    while True:
        found = [one for one in fleet.parts.replicas.told(NAME) if isinstance(one, Told)]
        if len(found) == 3 or time.monotonic() > ends:
            return found


def test_a_name_may_mean_many_and_an_unknown_one_is_named(fleet):
    number = fleet.replicas[0].address.rpartition(":")[2]
    asked = Replicas([f"localhost:{number}", "no-such-host.invalid:1"], fleet.tokens)
    found = {one.replica: one for one in asked.told(NAME)}
    asked.close()

    assert isinstance(found[f"127.0.0.1:{number}"], Told)
    assert found["no-such-host.invalid:1"].sentence == "its name cannot be resolved"


def test_another_token_is_told_and_nothing_else(fleet, tmp_path):
    path = tmp_path / "other"
    path.write_text("another-token-of-16-and-more\n")
    asked = Replicas([one.address for one in fleet.replicas], path)
    found = asked.told(NAME)
    path.unlink()
    gone = asked.told(NAME)
    asked.close()

    assert all("token" in one.sentence for one in found) and len(found) == 3
    assert {one.sentence for one in gone} == {"No such file or directory"}


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":50052", "a:b", "h:0", "h:65536"])
def test_an_address_that_is_none(tmp_path, address):
    with pytest.raises(StartError, match="replicas: expected host:port, got"):
        Replicas([address], tmp_path / "token")


def test_bytes_that_are_no_sums_are_told_of(fleet):
    fleet.replicas[0].state = lambda *_: pb.GetMonitorStateResponse(
        model_version=fleet.version, state=b"x" * 100
    ).SerializeToString()
    fleet.replicas[0].stop()
    fleet.replicas[0].start()
    time.sleep(0.5)

    found = fleet.gather()

    assert found.missing == (fleet.replicas[0].address,)


def test_kept_prompts_come_oldest_first_with_tenants_told_apart(fleet):
    block = prompts(1, 7)
    fleet.replicas[0].kept = [kept_prompt(block, 5.0, 0), kept_prompt(block, 30.0, 1)]
    fleet.replicas[1].kept = [kept_prompt(block, 10.0, 0)]

    found = collect(fleet.parts.replicas, NAME, fleet.version, 60.0, "a test")

    assert len(found.blocks) == 3
    assert len(set(found.tenants.tolist())) == 3  # a number means nothing in another replica
    np.testing.assert_array_equal(found.blocks[0].context.x, block.context.x)
    np.testing.assert_array_equal(found.blocks[0].queries, block.queries)
    assert found.tenants.tolist() == [0, 1, 2]


def test_no_kept_prompts_are_none_and_broken_ones_are_left_out(fleet):
    assert collect(fleet.parts.replicas, NAME, fleet.version, 60.0, "a test") is None
    broken = kept_prompt(prompts(1, 7), 5.0, 0)
    broken.example_count = 5
    fleet.replicas[0].kept = [broken]

    assert collect(fleet.parts.replicas, NAME, fleet.version, 60.0, "a test") is None


def test_live_error_over_another_normal_is_the_ratio_of_the_normals(fleet):
    """One reference over itself gives the mean back; over one with doubled errors, half of it."""
    reference = reference_of(fleet.artifact)
    state = state_of(fleet.artifact, 200)
    level = state.levels()["loo"]
    kappa = reference.clip_means[1]

    same = live_error(state, reference, reference)

    arrays = reference.to_arrays()
    arrays["baselines.loo"] = 2.0 * arrays["baselines.loo"]
    halved = live_error(state, reference, type(reference).from_arrays(arrays))
    assert same.mean == pytest.approx(kappa * level.clipped_mean, rel=1e-9)
    assert same.lower == pytest.approx(kappa * level.gate, rel=1e-9)
    assert halved.mean == pytest.approx(same.mean / 2.0, rel=1e-9)
    assert halved.upper - halved.mean == pytest.approx((same.upper - same.mean) / 2.0, rel=1e-9)


def test_the_worst_tenant_is_found_and_one_of_few_prompts_is_not_asked(fleet):
    """A candidate for prompts of the other sign: right for one tenant, wrong for the other."""
    served = fleet.artifact
    flipped = [prompts(1, seed, -1.0) for seed in range(40)]
    usual = [prompts(1, 1000 + seed) for seed in range(60)]
    candidate = _flipping(served, fleet.store.load(NAME).manifest)
    blocks, tenants = [*flipped, *usual[:40], *usual[:5]], [0] * 40 + [1] * 40 + [2] * 5

    def loss(chosen):
        picked = [place for place, tenant in enumerate(tenants) if tenant in chosen]
        kept = Kept([blocks[p] for p in picked], np.array([tenants[p] for p in picked]))
        return worst_tenant_loss(served, candidate, kept, profiles.FOUNDATION)

    assert loss({0}) < -0.5
    assert loss({0, 1}) == loss({1}) > 1.0
    assert loss({2}) is None
    assert worst_tenant_loss(served, candidate, None, profiles.FOUNDATION) is None


def _flipping(served, manifest):
    """Return the candidate that an evaluation makes of prompts of the other sign."""
    found = evaluate(
        served,
        state_of(served, 240, -1.0),
        None,
        Rules(minimum_prompts=100).limits(),
        Sources(60.0, ("a:1",)),
        manifest=manifest,
        evaluation="x",
    )
    assert found.candidate is not None
    return found.candidate
