"""The lease, between real processes."""

import signal

import pytest

from service.lease import Lease
from tests.service.test_ledger import child

HOLD = """
lease = Lease(Path(sys.argv[1]))
print(lease.take(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store" / ".reevaluator.lock"


def test_one_of_two_processes_has_it_and_the_other_is_told_at_once(path):
    holder = child(HOLD, path, stdin=-1)
    has = holder.stdout.readline().strip()
    lease = Lease(path)
    refused, holder_told = lease.take(), lease.holder
    holder.communicate("")

    assert (has, refused) == ("True", False)
    assert holder_told.startswith(f"process {holder.pid} of ")
    assert lease.take() and lease.held and lease.take()


def test_a_killed_process_has_it_no_more(path):
    holder = child(HOLD, path, stdin=-1)
    holder.stdout.readline()
    lease = Lease(path)
    before = lease.take()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()

    assert not before and lease.take()


def test_it_can_be_given_back(path):
    first, second = Lease(path), Lease(path)
    taken = first.take(), second.take()
    first.release()
    first.release()

    assert taken == (True, False)
    assert not first.held and second.take() and not first.take()


def test_a_lock_whose_file_was_deleted_or_replaced_is_none(path):
    lease = Lease(path)
    lease.take()
    path.unlink()

    assert not lease.held
    assert lease.take() and lease.held
    path.unlink()
    other = Lease(path)
    assert other.take() and not lease.held and not lease.take()


def test_a_program_that_is_started_meanwhile_does_not_keep_it(path):
    lease = Lease(path)
    lease.take()
    started = child("print(1, flush=True)\nsys.stdin.read()", stdin=-1, close_fds=False)
    started.stdout.readline()  # until then it has what this process had open
    lease.release()

    assert Lease(path).take()
    started.communicate("")
