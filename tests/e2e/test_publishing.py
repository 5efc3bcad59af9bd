"""A re-evaluator that publishes and a server that reads what kubelet makes of it, as processes."""

import json
import random
import shutil
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

import sonoba
from model.store import Store
from service.cli import cli
from tests.e2e.stack import Reevaluator, Replica, tokens
from tests.e2e.test_reevaluator import metric, until
from tests.service.cluster import INDEX, NAMES, Cluster, Kubelet
from tests.service.test_promote_command import paper

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(12, 2))


class Mounting(threading.Thread):
    """A kubelet that hears of the ConfigMaps one by one, in any order, again and again."""

    def __init__(self, cluster, folder):
        super().__init__()
        self._kubelet, self.ending = Kubelet(cluster, folder), threading.Event()

    def run(self):
        chance = random.Random(0)
        while not self.ending.wait(0.03):
            self._kubelet.hear(chance.choice(NAMES))

    def stop(self):
        self.ending.set()
        self.join()


@pytest.fixture
def stage(tmp_path):
    """Return an empty cluster with a server in it, and what starts a re-evaluator on a folder."""
    cluster, environ = Cluster(tmp_path), tokens(tmp_path) | {"SONOBA_STORE_POLL_SECONDS": "0.1"}
    kubelet = Mounting(cluster, tmp_path / "mounted")
    kubelet.start()
    server = Replica(
        f"flat://{tmp_path / 'mounted'}",
        "foundation",
        SONOBA_STORE_CACHE=str(tmp_path / "cache"),
        **environ,
    ).start()
    environ |= {
        "SONOBA_PUBLISH_CONFIGMAPS": ",".join(NAMES),
        "SONOBA_PUBLISH_API": cluster.url,
        "SONOBA_PUBLISH_ACCOUNT": str(cluster.account),
        "SONOBA_REPORTS": str(tmp_path / "reports"),
    }
    started = []

    def reevaluator(folder):
        folder.mkdir(exist_ok=True)
        started.append(Reevaluator(folder, [server], **environ).start())
        return started[-1]

    yield SimpleNamespace(cluster=cluster, server=server, reevaluator=reevaluator, folder=tmp_path)
    for one in [*started, server]:
        one.kill()
    kubelet.stop()
    cluster.close()


def answered(stage):
    """Return the version that answers a prompt; empty while the model is not there."""
    with sonoba.Client(f"127.0.0.1:{stage.server.grpc_port}") as client:
        try:
            return client.predict(X, X @ [1.0, 2.0], X[:1], model="bikes").model_version
        except sonoba.SonobaError:
            return ""


def test_what_is_promoted_in_the_folder_answers_in_the_cluster_and_a_lost_volume_changes_nothing(
    stage,
):
    folder = stage.folder / "store"
    store, one = Store(folder), stage.reevaluator(folder)
    with sonoba.Client(f"127.0.0.1:{stage.server.grpc_port}") as client:
        assert client.predict(X, X @ [1.0, 2.0], X[:1]).model == "foundation"
    first, second = store.save(*paper(scale=1.0)), store.add(*paper(scale=2.0))
    until(lambda: answered(stage) == first)

    def operator(*command):
        done = CliRunner().invoke(
            cli, ["models", *command, "--store", str(folder), "--reason", "-"]
        )
        assert done.exit_code == 0, done.output

    operator("promote", "bikes", second)
    until(lambda: answered(stage) == second)
    operator("rollback", "bikes")
    until(lambda: answered(stage) == first)
    until(lambda: json.loads(stage.cluster.files(INDEX)["bikes.current"])["serial"] == 3)
    assert metric(one, "sonoba_publish_last_success")[
        "sonoba_publish_last_success_timestamp_seconds"
    ] == pytest.approx(time.time(), abs=60)
    written, pointer = len(stage.cluster.writes), store.current("bikes")
    one.kill()
    shutil.rmtree(folder)
    again = stage.reevaluator(folder)
    until(
        lambda: metric(again, "sonoba_publish_last")[
            "sonoba_publish_last_success_timestamp_seconds"
        ]
    )

    assert store.current("bikes") == pointer and store.load("bikes", second)
    assert len(stage.cluster.writes) == written and answered(stage) == first
    assert set(metric(again, "sonoba_publish_failures_total").values()) == {0.0}
