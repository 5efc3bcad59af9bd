"""What the C library does with memory that threads free."""

import platform
import subprocess
import sys

import pytest

from service.allocator import bound_arenas

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
