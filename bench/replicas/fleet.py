"""Replicas behind one name, of which more are added, and which leave."""

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np

from bench.replicas.name import Name
from bench.replicas.replica import Ports, Replica, free_port
from bench.serving.prompts import SHAPES

FIRST_HOST = 2  # 127.0.0.2: all of 127/8 is this machine


class Fleet:
    """Replicas at 127.0.0.2 and on, as many as are asked for; each serves a model a caller."""

    def __init__(self, count: int, callers: Sequence[str], flags: Sequence[str] = ()) -> None:
        self.replicas: list[Replica] = []
        self._count, self._started = count, 0
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        files = ",".join(str(_model(self.folder, caller)) for caller in callers)
        self._flags = [*flags, "--model-files", files]
        self.ports = Ports(free_port(), free_port())

    def __enter__(self) -> Self:
        with ExitStack() as unless_it_fails:
            unless_it_fails.push(self._stack)
            self.name = self._stack.enter_context(Name(self.folder))
            for _ in range(self._count):
                self.start()
            self.tell()
            unless_it_fails.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def target(self) -> str:
        """The name, as a gRPC client is given it."""
        return self.name.target(self.ports.grpc)

    def start(self) -> Replica:
        """Start another replica, at an address that none has had; nobody is told of it yet."""
        host = f"127.0.0.{FIRST_HOST + self._started}"
        self._started += 1
        replica = self._stack.enter_context(Replica(host, self.ports, self._flags))
        self.replicas.append(replica)
        return replica

    def tell(self) -> None:
        """Let the name mean the replicas of this moment."""
        self.name.means(*(replica.host for replica in self.replicas))

    def take_out(self, replica: Replica) -> None:
        """Take a replica out of the name; it runs on."""
        self.replicas.remove(replica)
        self.tell()

    def served(self) -> list[Counter[str]]:
        """Return how many prompts each replica has answered, by caller."""
        return [replica.served() for replica in self.replicas]


def _model(folder: Path, name: str) -> Path:
    """Write a model of a caller's own: the server counts by model, hence by caller."""
    path = folder / f"{name}.json"
    covariance = np.eye(SHAPES[0].d).tolist()
    entry = {"kind": "paper", "name": name, "covariance": covariance, "noise_variance": 1.0}
    path.write_text(json.dumps(entry))
    return path
