"""Where the stack listens and keeps its files, read from one environment.

The server's and the re-evaluator's own variables mean what they mean everywhere. What neither has
for the other, and what Prometheus and Alertmanager need, begins with STACK_.
"""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.stack.problem import Problem
from service.loopback import is_loopback
from service.settings import Settings, SettingsError

PREFIX = "STACK_"
HOST = "127.0.0.1"
Number = Annotated[int, Field(ge=0, le=65535)]


class Port(NamedTuple):
    """One port: the variable that sets it, its number, what listens there."""

    variable: str
    number: int
    listener: str

    @property
    def address(self) -> str:
        """Where it is reached."""
        return f"{HOST}:{self.number}"


class Own(BaseModel):
    """What only the stack knows; `STACK_PROMETHEUS_PORT=9190` sets `prometheus_port`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operations_port: Number = 50053
    reevaluator_metrics_port: Number = 9465
    prometheus_port: Number = 9090
    alertmanager_port: Number = 9093
    folder: Path = Path("stack")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read every variable with our prefix; `Problem` names one that is unknown or no good."""
        ours = {n: value for n, value in environ.items() if n.startswith(PREFIX)}
        try:
            return cls.model_validate({n.removeprefix(PREFIX).lower(): v for n, v in ours.items()})
        except ValidationError as error:
            names = [PREFIX + str(one["loc"][0]).upper() for one in error.errors()]
            known = ", ".join(PREFIX + name.upper() for name in cls.model_fields)
            raise Problem(f"{names[0]}: expected one of {known}; ports are 0 to 65535") from None


class Places(NamedTuple):
    """Every port and the folder; 0 in the environment has become a free port."""

    predictions: Port
    page: Port
    admin: Port
    operations: Port
    alerts: Port
    reevaluator_metrics: Port
    prometheus: Port
    alertmanager: Port
    folder: Path

    @property
    def ports(self) -> tuple[Port, ...]:
        """Every port."""
        return tuple(place for place in self if isinstance(place, Port))


def places_of(environ: Mapping[str, str]) -> Places:
    """Return where everything is; `Problem` names what the stack cannot do."""
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        raise Problem(str(error)) from None
    _check(settings)
    own = Own.from_environ(environ)
    return Places(
        _port("SONOBA_GRPC_PORT", settings.grpc_port, "predictions"),
        _port("SONOBA_METRICS_PORT", settings.metrics_port, "the status page"),
        _port("SONOBA_ADMIN_PORT", settings.admin_port, "the server's admin port"),
        _port("STACK_OPERATIONS_PORT", own.operations_port, "the re-evaluator's operations"),
        _port("SONOBA_WEBHOOK_PORT", settings.webhook_port, "alerts and reports"),
        _port(
            "STACK_REEVALUATOR_METRICS_PORT",
            own.reevaluator_metrics_port,
            "the re-evaluator's metrics",
        ),
        _port("STACK_PROMETHEUS_PORT", own.prometheus_port, "Prometheus"),
        _port("STACK_ALERTMANAGER_PORT", own.alertmanager_port, "Alertmanager"),
        own.folder.resolve(),
    )


def check_free(ports: tuple[Port, ...]) -> None:
    """Raise a `Problem` that names the first port that is taken, or wanted twice."""
    for place, port in enumerate(ports):
        for other in ports[:place]:
            if other.number == port.number:
                sentence = f"expected another port than {other.variable}, got {port.number} twice"
                raise Problem(f"{port.variable}: {sentence}")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port.number))
            except OSError as error:
                raise Problem(_taken(port, error)) from None


def _check(settings: Settings) -> None:
    """Refuse what the stack's one configuration of Prometheus and re-evaluator does not fit."""
    for name in ("host", "admin_host"):
        if not is_loopback(host := getattr(settings, name)):
            sentence = f"expected an address of this machine alone, got {host}"
            raise Problem(f"SONOBA_{name.upper()}: {sentence}; the stack is not for others")
    if settings.workers > 1:
        sentence = f"expected 1, got {settings.workers}; several workers are in docs/operating.md"
        raise Problem(f"SONOBA_WORKERS: {sentence}")
    if settings.tls_cert_file is not None:
        raise Problem("SONOBA_TLS_CERT_FILE: expected none; the stack is on loopback only")


def _port(variable: str, number: int, listener: str) -> Port:
    if number == 0:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            number = probe.getsockname()[1]
    return Port(variable, number, listener)


def _taken(port: Port, error: OSError) -> str:
    """Return who cannot have a port, and the way out."""
    sentence = f"{port.variable}: cannot listen on {port.address} for {port.listener}"
    other = f"end what listens there, or take another: {port.variable}=0 make stack"
    if port.listener in ("Prometheus", "Alertmanager"):
        other += (
            "\nDebian's package starts one of its own, which the stack does not need:"
            "\n  sudo systemctl disable --now prometheus prometheus-alertmanager"
        )
    return f"{sentence} ({error.strerror}); {other}"
