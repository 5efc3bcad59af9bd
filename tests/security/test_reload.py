"""The certificate is replaced twenty times under load, file by file: no call fails."""

import threading

import grpc
import pytest

from sonoba.v1 import predictor_pb2 as pb
from sonoba.v1 import predictor_pb2_grpc
from tests.security.certificates import Authority
from tests.security.conftest import SHOP, bearing

pytestmark = pytest.mark.slow  # seconds, all together

TIMES, CALLERS = 20, 3


class Load:
    """Callers that call without a pause; every other call of theirs is by a new connection."""

    def __init__(self, port, root):
        self._target, self._root = f"localhost:{port}", root
        self._stopped = threading.Event()
        self.answered, self.failed = [0] * CALLERS, []
        self._threads = [threading.Thread(target=self._work, args=(i,)) for i in range(CALLERS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _opened(self):
        secrets = grpc.ssl_channel_credentials(self._root)
        options = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.secure_channel(self._target, secrets, options)

    def _work(self, place):
        with self._opened() as kept:
            while not self._stopped.is_set():
                self._call(kept, place)
                with self._opened() as new:
                    self._call(new, place)

    def _call(self, channel, place):
        stub = predictor_pb2_grpc.PredictorStub(channel)
        try:
            stub.GetModel(pb.GetModelRequest(), timeout=10, metadata=bearing(SHOP))
            self.answered[place] += 1
        except grpc.RpcError as error:
            self.failed.append((error.code(), error.details()))


def test_no_call_fails_while_the_certificate_is_replaced_twenty_times(
    serving, callers_file, tmp_path
):
    own = Authority(tmp_path / "own")
    files = own.server()
    server = serving(**files.settings, callers_file=callers_file)
    look, halves = server._door.access.transport.look, []
    with Load(server.grpc_port, own.file.read_bytes()) as load:
        for _ in range(TIMES):
            before = sum(load.answered)
            for new, old in zip(own.server("next"), files, strict=True):
                new.replace(old)
                look()  # between the two files their pair is no good
                while sum(load.answered) < before + CALLERS and not load.failed:
                    threading.Event().wait(0.005)
                halves.append(dict(server._door.access.transport.pair.reloads))

    assert load.failed == []
    assert halves[-1] == {"ok": TIMES, "error": TIMES}
    assert min(load.answered) >= TIMES / 2
