"""Everything at once for some seconds: no call ends as none may, nothing is left open.

The long form, which judges memory too, is `python -m bench.hostility.soak`.
"""

import pytest

from bench.hostility.soak import Look, Soaked, soak
from bench.serving.servers import Models
from model.store import Store
from tests.service.replicating import another
from tests.service.watched import NAME, save

pytestmark = pytest.mark.slow  # seconds, all together

SECONDS, RATE, SWAP_SECONDS = 8.0, 300.0, 1.0
FILES, THREADS = 16, 12  # more than at the beginning: connections, streams and lent threads


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """A store of two versions."""
    folder = save(tmp_path_factory.mktemp("store"))
    Store(folder).add(*another())
    return folder


def test_callers_of_every_kind_and_swaps_leave_nothing_behind(versions, model_file):
    soaked = soak(Models([model_file], versions), SECONDS, RATE, SWAP_SECONDS, seed=5)

    assert soaked.wrong == []
    assert soaked.swaps >= 4
    assert {"OK", "INVALID_ARGUMENT", "CANCELLED", "DEADLINE_EXCEEDED"} <= set(soaked.codes)
    assert sum(soaked.codes.values()) > SECONDS * RATE / 4
    first, last = soaked.looks[0], soaked.looks[-1]
    assert last.files <= first.files + FILES
    assert last.threads <= first.threads + THREADS
    assert Store(versions).current(NAME).previous


def test_what_grows_is_found():
    steady = [Look(float(s), 80e6 + 1e4 * (s % 7), 12, 30) for s in range(100)]
    leaking = [look._replace(resident_bytes=80e6 + 6e4 * look.seconds) for look in steady]

    assert list(Soaked(looks=steady).faults()) == []
    assert [fault[:22] for fault in Soaked(looks=leaking).faults()] == ["resident_bytes grew by"]
