"""A store to publish, the cluster it is published to, and what arrives at readers."""

import shutil

import pytest

from service.configmaps import ConfigMaps
from service.publisher import Publisher
from service.store_mirror import open_source
from tests.model.versions import ARRAYS, a_draft
from tests.service.cluster import NAMES, Cluster, Kubelet


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    yield made
    made.before = made.after = lambda method, name: None
    made.close()


def publisher(cluster, store, url=None):
    return Publisher(store, ConfigMaps(url or cluster.url, cluster.account), NAMES)


def add(store, row_count):
    return store.add(a_draft(row_count=row_count), ARRAYS)


def arrived(cluster, folder):
    """Return the store that a new reader of the cluster has."""
    shutil.rmtree(folder, ignore_errors=True)
    Kubelet(cluster, folder / "mounted").hear()
    return open_source(f"flat://{folder / 'mounted'}", folder / "cache").refresh()


def files(store):
    found = {}
    for name in store.names():
        for version in store.current(name).versions:
            for path in (store.folder / name / "versions" / version).iterdir():
                found[name, version, path.name] = path.read_bytes()
    return found
