"""The same model on other servers: processor time a call beside ours, interleaved in one run."""

import subprocess
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from bench.promises import Gate, at_least
from bench.serving import prompts
from bench.serving.lab import Contender, Cost, Lab, ratio
from bench.serving.part import SPREAD, Part, Tick
from bench.serving.prompts import MODEL_INFER, SHAPES, Array, Shape
from bench.serving.servers import ROOT, Models, Server, Service, environment
from bench.spread import Spread
from bench.tables import titled
from model.checkpoint import load

PYTHON = ROOT / ".venv-peers/bin/python"
MODULE = "bench.serving.peer_server"
PEERS = {"kserve": "KServe SDK", "plain": "grpc.aio by itself"}
GATED, GATE = "KServe SDK", 2.0
OURS, OURS_OIP = "sonoba, Predict", "sonoba, ModelInfer"


@dataclass(frozen=True, slots=True)
class Peer:
    """One server at one shape; ratios are to our `Predict`."""

    name: str
    shape: Shape
    cpu_ratio: Spread  # its processor time a call ÷ ours
    rate_ratio: Spread  # our calls/s ÷ its
    cost: Cost
    resident_mb: float


class PeerServer(Server):
    """A server of another make; counts by its own metrics."""

    def __init__(self, kind: str, cores: Collection[int], model_file: Path) -> None:
        if not PYTHON.exists():
            raise RuntimeError("expected the environment of other servers: make .venv-peers/done")
        command = [MODULE, "serve", kind, str(model_file)]
        super().__init__(command, cores, str(PYTHON))
        self._port, self._metrics_port = map(int, self._line().split())

    @property
    def port(self) -> int:
        """The port of its calls."""
        return self._port

    def ok_count(self) -> int:
        """Return how many prompts it has answered."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics") as page:
            lines = page.read().decode().splitlines()
        found = (line.split()[1] for line in lines if line.startswith("bench_answers_total "))
        return int(float(next(found)))


def measure(lab: Lab, models: Models, tick: Tick) -> list[Peer]:
    """Return ours and theirs at the two smaller shapes, all on one core."""
    rows = []
    cores = [lab.cores.server]
    for shape in SHAPES[:2]:
        name = prompts.model_name("paper", shape)
        file = next(path for path in models.papers if path.stem == name)
        with ExitStack() as stack:
            service = stack.enter_context(Service(cores, models))
            peers = {
                caption: stack.enter_context(PeerServer(kind, cores, file))
                for kind, caption in PEERS.items()
            }
            rows += _rows(lab, shape, name, file, service, peers)
        tick()
    return rows


def _rows(
    lab: Lab, shape: Shape, name: str, file: Path, service: Service, peers: dict[str, PeerServer]
) -> list[Peer]:
    message = _request(lab.folder / f"{name}.infer", name, shape)
    expected = load(file).model.answer(prompts.block(shape)).predictions[0]  # (Q,)
    asked: dict[str, Contender] = {OURS: lab.contender(service, prompts.unary("paper", shape))}
    speaks: dict[str, Server] = {OURS_OIP: service, **peers}
    for caption, server in speaks.items():
        _check(caption, server.call(MODEL_INFER, message), expected)
        asked[caption] = lab.contender(server, message, MODEL_INFER)
    samples = lab.in_turns(asked)
    ours = samples[OURS]
    return [
        Peer(
            caption,
            shape,
            ratio(found, ours, "cpu_us"),
            ratio(ours, found, "rate"),
            Cost.of(found),
            asked[caption].server.memory_mb(),
        )
        for caption, found in samples.items()
    ]


def _request(file: Path, name: str, shape: Shape) -> bytes:
    """Return the prompt as peers are asked, in the words of their own library."""
    asked = [name, str(shape.M), str(shape.d), str(file)]
    command = [str(PYTHON), "-m", MODULE, "write", *asked]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True)
    return file.read_bytes()


def _check(caption: str, answer: bytes, expected: Array) -> None:
    """Look for the prediction in an answer, whose numbers are raw."""
    if expected.astype("<f8").tobytes() not in answer:
        raise RuntimeError(f"{caption}: expected the prediction of our model, got another")


def tables(rows: list[Peer]) -> Iterator[Table]:
    """Show who takes how much of a processor for the same prompt."""
    table = titled(
        f"`paper` on other servers, one core, 64 in flight, {SPREAD}",
        *("server, shape", "CPU a call ÷ ours", "our calls/s ÷ its"),
        *("calls/s", "µs CPU a call", "MB"),
    )
    for row in rows:
        table.add_row(
            f"{row.name}, {row.shape}",
            row.cpu_ratio.text(),
            row.rate_ratio.text(),
            f"{row.cost.rate.median:.0f}",
            f"{row.cost.cpu_us.median:.0f}",
            f"{row.resident_mb:.0f}",
        )
    yield table


def gates(rows: list[Peer]) -> Iterator[Gate]:
    """Promise what the nearest peer takes beside us."""
    for row in rows:
        if row.name == GATED:
            yield at_least(f"{row.name} {row.shape}, CPU a call ÷ ours", row.cpu_ratio.median, GATE)


PART = Part("peers", "on other servers", lambda _: 2, measure, tables, gates)
