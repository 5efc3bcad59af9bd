"""Two replicas as processes that are restarted one after the other, and callers who never pause."""

import re
import signal
import threading
import time
import urllib.request

from tests.deploy.test_dashboard_live import free_port
from tests.e2e.conftest import spawn

LAME_DUCK_SECONDS = 2.5  # more than two health checks, a second apart
CALLERS, PAUSE_SECONDS = 8, 0.01
READY_SECONDS = 20.0


class Replica:
    """One `sonoba serve` on fixed ports."""

    def __init__(self):
        self.grpc_port, self.metrics_port, self._child = free_port(), free_port(), None

    def start(self):
        ports = {"SONOBA_GRPC_PORT": self.grpc_port, "SONOBA_METRICS_PORT": self.metrics_port}
        lame_duck = ("--lame-duck-seconds", str(LAME_DUCK_SECONDS))
        self._child = spawn(*lame_duck, **{name: str(port) for name, port in ports.items()})
        for line in self._child.stdout:
            if " predict " in line:
                return
        raise AssertionError(self._child.stderr.read())

    def served_count(self):
        """Return how many predictions the process of this moment has answered."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as page:
            text = page.read().decode()
        labels = 'grpc_code="OK",grpc_method="Predict"'
        return float(re.search(rf"grpc_server_handled_total{{{labels}[^}}]*}} (\S+)", text)[1])

    def stop(self):
        """Ask it to end, as an orchestrator does; return what it exited with."""
        self._child.send_signal(signal.SIGTERM)
        self._child.communicate(timeout=30)
        return self._child.returncode

    def close(self):
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.communicate()


class Load:
    """Callers, one thread each, who call until told to stop."""

    def __init__(self, call):
        self.answered, self.failures, self._call = 0, [], call
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(CALLERS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        while not self._stopping.wait(PAUSE_SECONDS):
            try:
                self._call()
            except Exception as error:
                with self._lock:
                    self.failures.append(repr(error)[:300])
            else:
                with self._lock:
                    self.answered += 1

    def wait_for(self, count):
        """Wait until so many more calls were answered, or one failed."""
        wanted, until = self.answered + count, time.monotonic() + 60.0
        while self.answered < wanted and not self.failures:
            assert time.monotonic() < until, f"{self.answered} calls in a minute"
            time.sleep(0.02)


def restarted(replicas, load, least_count):
    """Restart every replica under load; return how many calls each process has answered."""
    served = []
    load.wait_for(100)
    for replica in replicas:
        before = replica.served_count()
        assert replica.stop() == 0
        replica.start()
        wait(lambda replica=replica: replica.served_count() > 0)
        served += [before, replica.served_count()]
    load.wait_for(least_count - load.answered)
    return served


def wait(condition):
    until = time.monotonic() + READY_SECONDS
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.05)
