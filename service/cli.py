"""`sonoba`: the command line, and the only reader of the environment."""

import ipaddress
import logging
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import click

from service import __version__
from service.audit_command import audit
from service.caller import caller
from service.demo import demo
from service.doctor import doctor
from service.evaluate_command import evaluate
from service.logs import configure
from service.models_command import models
from service.predict import predict
from service.pretrain import pretrain
from service.reproduce import reproduce
from service.rules_command import rules
from service.settings import Settings, SettingsError
from service.template_command import template
from service.tenants_command import tenants
from service.training import pretrain_foundation

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
EXAMPLES = Path(__file__).with_name("demo_data")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    commands=[
        *(predict, pretrain, models, template, tenants, rules, audit, evaluate),
        *(demo, doctor, reproduce, pretrain_foundation),
    ],
)
@click.version_option(__version__, prog_name="sonoba")
@click.pass_context
def cli(context: click.Context) -> None:
    """In-context predictions on the spot: send labelled examples and queries, get answers.

    Start with `sonoba serve`, then `sonoba predict`; `sonoba demo` shows both on real data, and
    `sonoba doctor` finds out what is wrong when something is.
    """
    context.obj = caller()  # who does what, for the audit log


def _setting_options(command: Any) -> Any:
    """Give a command one flag a setting, with the setting's own sentence as help."""
    for name, field in reversed(Settings.model_fields.items()):
        flag = f"--{name.replace('_', '-')}"
        default = field.get_default()
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        text = f"{field.description}  [SONOBA_{name.upper()}; default: {shown or 'none'}]"
        kinds = {tuple: "LIST", type(None): "PATH"}
        metavar = kinds.get(type(default), type(default).__name__.upper())
        command = click.option(flag, name, default=None, metavar=metavar, help=text)(command)
    return command


@cli.command()
@_setting_options
def serve(**flags: str | None) -> None:
    """Serve predictions until SIGTERM or Ctrl-C.

    Works without any flag: the bundled foundation model, on this machine only. Every flag can also
    be set by its SONOBA_ variable; a flag wins.
    """
    _prepare()
    from model.checkpoint import ArtifactError
    from service.server import Server  # after the line above, which it reads
    from service.start_error import StartError
    from service.tracing import open_tracing

    try:
        settings = Settings.from_environ(os.environ, **flags)
        form = configure(settings.log_format, settings.log_level)
        server = Server(settings, open_tracing(os.environ))
        server.start()
    except (SettingsError, StartError, ArtifactError) as error:
        raise click.ClickException(str(error)) from None
    admin = f"{settings.admin_host}:{server.admin_port}" if server.admin_port else ""
    ports = server.grpc_port, server.metrics_port
    if form == "json":
        _log_start(f"serves {server.described}", _listening(settings.host, *ports, admin))
    if settings.log_format != "json":
        _announce(settings.host, *ports, admin, server.described)
    received = _wait_for_stop()
    server.stop(0.0 if received == signal.SIGINT else settings.lame_duck_seconds)


@cli.command()
@_setting_options
def reevaluator(**flags: str | None) -> None:
    """Take alerts, judge models, and change what is in force, until SIGTERM or Ctrl-C.

    Needs the store's folder, the servers' admin addresses (replicas) and two files with tokens. A
    second one on the same store stands by until the first one ends.
    """
    _prepare()
    from service.reevaluator import Reevaluator
    from service.start_error import StartError

    try:
        settings = Settings.from_environ(os.environ, **flags)
        form = configure(settings.log_format, settings.log_level)
        process = Reevaluator(settings)
        process.start()
    except (SettingsError, StartError) as error:
        raise click.ClickException(str(error)) from None
    hook = f"http://{settings.admin_host}:{process.webhook_port}"
    listening = {
        "alerts": f"{hook}/alerts",
        "reports": f"{hook}/reports",
        "operations": f"{settings.admin_host}:{process.admin_port}",
        "metrics": f"http://{settings.host}:{process.metrics_port}/metrics",
    }
    if form == "json":
        _log_start(f"re-evaluates the models of {settings.store}", listening)
    if settings.log_format != "json":
        _announce_reevaluator(settings, listening)
    _wait_for_stop()
    process.stop()


def _prepare() -> None:
    """Set what a process must have set before it loads libraries and starts threads."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads under our threads only collide
    os.environ.setdefault("PROMETHEUS_DISABLE_CREATED_SERIES", "1")  # two series a counter
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # for sigwait, in every thread


def _wait_for_stop() -> int:
    """Return the signal that asks to stop; a second one ends the process at once."""
    received = signal.sigwait(STOP_SIGNALS)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: os._exit(130))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    return received


def _announce(host: str, grpc_port: int, metrics_port: int, admin: str, models: str) -> None:
    """Print where the server is and a line that calls it."""
    program = "sonoba" if shutil.which("sonoba") else os.path.relpath(sys.argv[0])
    if program.endswith(".py"):
        program = f"{os.path.relpath(sys.executable)} -m service.cli"
    data = os.path.relpath(EXAMPLES)
    click.echo(f"sonoba {__version__} serves {models}")
    click.echo(f"  predictions  {host}:{grpc_port}  (gRPC, health, reflection)")
    click.echo(f"  status page  http://{host}:{metrics_port}/")
    click.echo(f"  metrics      http://{host}:{metrics_port}/metrics")
    if admin:
        click.echo(f"  admin        {admin}  (gRPC, with the token)")
    if not _is_loopback(host):
        click.echo("WARNING: anyone who reaches this host may call it, and nothing is encrypted")
    if admin and not _is_loopback(admin.rpartition(":")[0]):
        click.echo("WARNING: the token of the admin port travels unencrypted")
    click.echo("try it from another terminal:")
    click.echo(
        f"  {program} predict --context {data}/context.csv --target log_bikers "
        f"--query {data}/query.csv --address {host}:{grpc_port}"
    )
    sys.stdout.flush()


def _announce_reevaluator(settings: Settings, listening: dict[str, str]) -> None:
    """Print where the re-evaluator is."""
    click.echo(f"sonoba {__version__} re-evaluates the models of {settings.store}")
    for name, address in listening.items():
        more = "  (gRPC, with the token)" if name == "operations" else ""
        click.echo(f"  {name:<13}{address}{more}")
    if not _is_loopback(settings.admin_host):
        click.echo("WARNING: both tokens travel unencrypted")
    sys.stdout.flush()


def _listening(host: str, grpc_port: int, metrics_port: int, admin: str) -> dict[str, str]:
    """Return the addresses of a server by what is there."""
    found = {"predictions": f"{host}:{grpc_port}", "metrics": f"http://{host}:{metrics_port}"}
    return found | ({"admin": admin} if admin else {})


def _log_start(what: str, listening: dict[str, str]) -> None:
    more = {"event": "start", "version": __version__, "listening": listening}
    logging.getLogger("sonoba").info("sonoba %s %s", __version__, what, extra=more)


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(socket.getaddrinfo(host, None)[0][4][0]).is_loopback


def main() -> None:
    """Run the command line."""
    cli()


if __name__ == "__main__":
    main()
