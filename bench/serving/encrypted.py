"""What TLS costs a server: the same calls encrypted and not, in turns on one core.

Connections are kept, as clients keep them: calls/s are counted after the handshakes, whose eight a
slice are in the processor time. The certificate is of P-256, TLS 1.3 is agreed on.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from bench.promises import Gate, at_most
from bench.serving import prompts
from bench.serving.lab import Contender, Cost, Lab, Sample, ratio
from bench.serving.load import USUAL
from bench.serving.part import SPREAD, Part, Tick
from bench.serving.prompts import SHAPES, Shape
from bench.serving.servers import Models, Service
from bench.spread import Spread
from bench.tables import titled

GATE, GATED = 1.15, SHAPES[:2]


@dataclass(frozen=True, slots=True)
class Encrypted:
    """One model at one shape; a ratio of 1 would be TLS for nothing."""

    model: str
    shape: Shape
    cpu_ratio: Spread  # processor time a call, TLS ÷ plaintext
    rate_ratio: Spread  # calls/s, plaintext ÷ TLS
    tls: Cost
    plaintext: Cost

    @property
    def decisive(self) -> float:
        """The higher median of both ratios: what the gate looks at."""
        return max(self.cpu_ratio.median, self.rate_ratio.median)


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of this machine for a day, with its key; return both files."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-days", "1", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(certificate)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def measure(lab: Lab, models: Models, tick: Tick) -> list[Encrypted]:
    """Return the cost of TLS for `paper` at every shape."""
    cores = [lab.cores.server]
    pair = write_certificate(lab.folder)
    rows = []
    with Service(cores, models, pair=pair) as encrypted, Service(cores, models) as plaintext:
        for shape in SHAPES:
            message = prompts.unary("paper", shape)
            asked = lab.contender(encrypted, message), lab.contender(plaintext, message)
            tls, plain = _in_turns(lab, *asked)
            ratios = ratio(tls, plain, "cpu_us"), ratio(plain, tls, "rate")
            rows.append(Encrypted("paper", shape, *ratios, Cost.of(tls), Cost.of(plain)))
            tick()
    return rows


def _in_turns(lab: Lab, *contenders: Contender) -> list[list[Sample]]:
    samples: list[list[Sample]] = [[] for _ in contenders]
    for _ in range(lab.plan.repetitions):
        for one, found in zip(contenders, samples, strict=True):
            found.append(lab.flood(one, [lab.cores.generator], USUAL))
    return samples


def tables(rows: list[Encrypted]) -> Iterator[Table]:
    """Show every row."""
    table = titled(
        f"TLS against plaintext, {SPREAD}",
        *("model, shape", "CPU, TLS ÷ plaintext", "calls/s, plaintext ÷ TLS"),
        *("µs CPU a call", "plaintext", "calls/s", "plaintext"),
    )
    for row in rows:
        table.add_row(
            f"{row.model} {row.shape}",
            row.cpu_ratio.text(),
            row.rate_ratio.text(),
            f"{row.tls.cpu_us.median:.0f}",
            f"{row.plaintext.cpu_us.median:.0f}",
            f"{row.tls.rate.median:.0f}",
            f"{row.plaintext.rate.median:.0f}",
        )
    yield table


def gates(rows: list[Encrypted]) -> Iterator[Gate]:
    """Promise what TLS takes of calls of a usual size; of 134 kB, deciphering is most of it."""
    for row in rows:
        if row.shape in GATED:
            yield at_most(f"{row.model} {row.shape}, TLS ÷ plaintext", row.decisive, GATE)


PART = Part("encrypted", "encrypted", lambda _: len(SHAPES), measure, tables, gates)
