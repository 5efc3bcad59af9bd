"""A rolling restart as a customer of the client sees it: not at all."""

import numpy as np
import pytest

import sonoba
from tests.hostility.rolling import Load, Replica, restarted

pytestmark = pytest.mark.slow  # seconds, all together

CALLS = 3000
X = np.random.default_rng(0).normal(size=(16, 5))


@pytest.fixture
def replicas():
    made = [Replica(), Replica()]
    for replica in made:
        replica.start()
    yield made
    for replica in made:
        replica.close()


def test_a_client_of_two_servers_loses_no_call_while_both_are_restarted(replicas):
    addresses = ",".join(f"127.0.0.1:{replica.grpc_port}" for replica in replicas)
    with sonoba.Client(f"ipv4:{addresses}", timeout=5.0) as client:
        expected = client.predict(X, X.sum(1), X[:1]).values

        def call():
            assert client.predict(X, X.sum(1), X[:1]).values == pytest.approx(expected)

        with Load(call) as load:
            served = restarted(replicas, load, CALLS)

    assert load.failures == []
    assert load.answered >= CALLS
    assert min(served) > 0  # each of the four processes had its share
