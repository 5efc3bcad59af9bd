"""`sonoba`: the command line, and the only reader of the environment."""

import os
import signal
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args

import click

from service import __version__
from service.allocator import bound_arenas
from service.announced import (
    addresses,
    log_start,
    one_server,
    reevaluator_lines,
    several_workers,
)
from service.caller import caller
from service.command_group import LazyGroup
from service.logs import configure
from service.roaming import settle
from service.settings import PREFIX, Settings, SettingsError
from service.worker_line import Failed, Started, end_with_supervisor, line_of

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from service.server import Server

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
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
        command = click.option(flag, name, default=None, metavar=_kind(field), help=text)(command)
    return command


def _kind(field: "FieldInfo") -> str:
    """Return what a setting's flag takes, in one word."""
    default = field.get_default()
    if default is not None:
        return "LIST" if isinstance(default, tuple) else type(default).__name__.upper()
    kinds = {getattr(one, "__origin__", one) for one in get_args(field.annotation)}
    return "INT" if int in kinds else "BOOL" if bool in kinds else "PATH"


@cli.command()
@_setting_options
def serve(**flags: str | None) -> None:
    """Serve predictions until SIGTERM or Ctrl-C.

    Works without any flag: the bundled foundation model, on this machine only. Every flag can also
    be set by its SONOBA_ variable; a flag wins.
    """
    _prepare()
    given = {f"{PREFIX}{name.upper()}": flag for name, flag in flags.items() if flag is not None}
    environ = {**os.environ, **given}
    settings = _settings(environ)
    own = "supervisor" if settings.workers > 1 else ""
    form = configure(settings.log_format, settings.log_level, own)
    if settings.workers > 1:
        raise SystemExit(_supervise(settings, environ, form))
    settle(settings.pin, 0, 1)
    server = _started(settings)
    admin = f"{settings.admin_host}:{server.admin_port}" if server.admin_port else ""
    ports = server.grpc_port, server.metrics_port
    if form == "json":
        log_start(f"serves {server.described}", addresses(settings.host, *ports, admin))
    if settings.log_format != "json":
        _print(one_server(settings, *ports, admin, server.described))
    _stop(server, settings, _wait_for_stop())


@cli.command(hidden=True)
@click.option("--number", type=click.IntRange(0), required=True)
def worker(number: int) -> None:
    """Serve as one of several processes; `sonoba serve --workers` starts these."""
    _prepare()
    settings = _settings(os.environ)
    configure(settings.log_format, settings.log_level, str(number))
    settle(settings.pin, number, settings.workers)
    end_with_supervisor(settings.lame_duck_seconds + settings.drain_seconds)
    try:
        server = _started(settings)
    except click.ClickException as error:
        _print([line_of(Failed(error.message))])
        raise SystemExit(1) from None
    ports = server.grpc_port, server.metrics_port, server.admin_port
    _print([line_of(Started(*ports, server.described))])
    _stop(server, settings, signal.sigwait(STOP_SIGNALS))  # a second one may reach all processes


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
    scheme = "http" if settings.tls_cert_file is None else "https"
    hook = f"{scheme}://{settings.admin_host}:{process.webhook_port}"
    listening = {
        "alerts": f"{hook}/alerts",
        "reports": f"{hook}/reports",
        "operations": f"{settings.admin_host}:{process.admin_port}",
        "metrics": f"http://{settings.host}:{process.metrics_port}/metrics",
    }
    if form == "json":
        log_start(f"re-evaluates the models of {settings.store}", listening)
    if settings.log_format != "json":
        _print(reevaluator_lines(settings, listening))
    _wait_for_stop()
    process.stop()


def _settings(environ: Mapping[str, str]) -> Settings:
    try:
        return Settings.from_environ(environ)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def _started(settings: Settings) -> "Server":
    """Return a server that answers."""
    from model.checkpoint import ArtifactError
    from service.server import Server  # after `_prepare`, which says what it reads
    from service.start_error import StartError
    from service.tracing import open_tracing

    try:
        server = Server(settings, open_tracing(os.environ))
        server.start()
    except (StartError, ArtifactError) as error:
        raise click.ClickException(str(error)) from None
    return server


def _stop(server: "Server", settings: Settings, received: int) -> None:
    server.stop(0.0 if received == signal.SIGINT else settings.lame_duck_seconds)


def _supervise(settings: Settings, environ: Mapping[str, str], form: str) -> int:
    """Run several workers until told to stop; return the exit status."""
    from service.start_error import StartError
    from service.supervisor import Supervisor

    supervisor = Supervisor(settings, environ)
    try:
        if not supervisor.start():
            return 0
    except StartError as error:
        raise click.ClickException(str(error)) from None
    ports = supervisor.workers.grpc_port, supervisor.metrics_port
    standings = supervisor.workers.standings
    if form == "json":
        log_start(f"serves {standings[0].described}", addresses(settings.host, *ports))
    if settings.log_format != "json":
        _print(several_workers(settings, *ports, standings))
    return supervisor.run()


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
    sys.stdout.flush()


def _prepare() -> None:
    """Set what a process must have set before it loads libraries and starts threads."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # else a line for each stray handshake
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads under our threads only collide
    os.environ.setdefault("PROMETHEUS_DISABLE_CREATED_SERIES", "1")  # two series a counter
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # for sigwait, in every thread
    bound_arenas()


def _wait_for_stop() -> int:
    """Return the signal that asks to stop; a second one ends the process at once."""
    received = signal.sigwait(STOP_SIGNALS)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: os._exit(130))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    return received


def main() -> None:
    """Run the command line."""
    cli()


if __name__ == "__main__":
    main()
