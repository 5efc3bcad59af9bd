"""What the C library does with memory that threads free."""

import platform
import subprocess
import sys

import pytest

from service.allocator import bound_arenas, give_back

COUNT = """
import ctypes, tempfile, threading
from service.allocator import bound_arenas
{call}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.fdopen.restype = ctypes.c_void_p
together = threading.Barrier(8)

def work():
    together.wait()
    libc.malloc(ctypes.c_size_t(50_000))
    together.wait()

threads = [threading.Thread(target=work) for _ in range(8)]
[one.start() for one in threads], [one.join() for one in threads]
with tempfile.TemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fdopen(file.fileno(), b"w"))
    libc.malloc_info(0, stream)
    libc.fflush(stream)
    file.seek(0)
    print(file.read().count(b"<heap nr="))
"""
on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc")


def arenas(call):
    command = [sys.executable, "-c", COUNT.format(call=call)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@on_glibc
def test_threads_bound_arenas_where_they_would_have_one_each():
    assert arenas("") > 1
    assert arenas("assert bound_arenas()") == 1


def test_another_c_library_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())

    assert not bound_arenas()


KEPT = """
import ctypes, time
from service.allocator import FEW_CALLS, bound_arenas, giving_back
assert bound_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

blocks = [libc.malloc(ctypes.c_size_t(50_000)) for _ in range(2000)]  # 100 MB
[ctypes.memset(block, 1, 50_000) for block in blocks]
[libc.free(block) for number, block in enumerate(blocks) if number % 10]  # holes between tens
pending = [FEW_CALLS + 1]
before = resident_mb()
giving_back(lambda: pending[0]).start()
time.sleep(2.5)
busy = resident_mb()
pending[0] = FEW_CALLS
until = time.monotonic() + 20
while resident_mb() > before - 70 and time.monotonic() < until:
    time.sleep(0.05)
print(before, busy, resident_mb())
"""


@on_glibc
@pytest.mark.slow  # waits for two looks
def test_freed_memory_goes_back_when_few_calls_are_pending():
    command = [sys.executable, "-c", KEPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, busy, calm = map(float, done.stdout.split())

    assert busy > before - 5
    assert calm < before - 70


def test_where_nothing_can_be_given_back_nothing_is_done(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())

    assert give_back(0) is False
