"""Replicas and a re-evaluator as processes on one store, as an operator runs them."""

import os
import subprocess
import sys
import threading

from tests.deploy.test_dashboard_live import free_port
from tests.e2e.alerting import TOKEN
from tests.e2e.conftest import spawn

ADMIN_TOKEN = "an-admin-token-of-the-test"


def tokens(folder):
    """Write the token files; return the environment that names them."""
    found = {"SONOBA_ADMIN_TOKEN_FILE": ADMIN_TOKEN, "SONOBA_WEBHOOK_TOKEN_FILE": TOKEN}
    for name, token in found.items():
        path = folder / name.lower()
        path.write_text(f"{token}\n")
        path.chmod(0o600)
        found[name] = str(path)
    return found


class Replica:
    """One server process on fixed ports, which can be ended and started again."""

    def __init__(self, store, default_model, **environ):
        self.grpc_port, self.metrics_port, self.admin_port = (free_port() for _ in range(3))
        self.child, self._flags = None, ("--store", str(store), "--default-model", default_model)
        ports = {"GRPC": self.grpc_port, "METRICS": self.metrics_port, "ADMIN": self.admin_port}
        self._environ = {f"SONOBA_{name}_PORT": str(port) for name, port in ports.items()} | environ

    def start(self):
        self.child = spawn(*self._flags, **self._environ)
        for line in self.child.stdout:
            if " predict " in line:
                return self
        raise AssertionError(self.child.stderr.read())

    def kill(self):
        self.child.kill()
        self.child.communicate()


class Reevaluator:
    """One `sonoba reevaluator` on fixed ports."""

    def __init__(self, store, replicas, **environ):
        self.webhook_port, self.metrics_port, self.admin_port = (free_port() for _ in range(3))
        ports = {
            "WEBHOOK": self.webhook_port,
            "METRICS": self.metrics_port,
            "ADMIN": self.admin_port,
        }
        self._environ = {f"SONOBA_{name}_PORT": str(port) for name, port in ports.items()} | {
            "SONOBA_STORE": str(store),
            "SONOBA_REPLICAS": ",".join(f"127.0.0.1:{one.admin_port}" for one in replicas),
            **environ,
        }
        self.child, self.printed = None, []

    @property
    def webhook_url(self):
        return f"http://127.0.0.1:{self.webhook_port}/alerts"

    def start(self):
        self.child = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "reevaluator"],
            env={**os.environ, "PYTHONPATH": "client", **self._environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in self.child.stdout:
            self.printed.append(line)
            if "/metrics" in line:
                threading.Thread(target=self._drain, daemon=True).start()
                return self
        raise AssertionError("".join(self.printed))

    def _drain(self):
        with self.child.stdout as lines:
            for line in lines:
                self.printed.append(line)

    def kill(self):
        self.child.kill()
        self.child.wait()
