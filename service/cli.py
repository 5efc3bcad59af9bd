"""`sonoba`: the command line, which reads the environment."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

import click

from service import __version__
from service.announced import (
    addresses,
    log_start,
    program,
    reevaluator_lines,
    several_workers,
)
from service.caller import caller
from service.command_group import LazyGroup
from service.handed import Handed
from service.logs import configure
from service.process import become, prepare, say, wait_for_stop
from service.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


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
    prepare()
    settings = _settings(flags)
    if settings.workers > 1:
        raise SystemExit(_supervise(settings))
    become(Handed(settings, program()))


@cli.command()
@_setting_options
def reevaluator(**flags: str | None) -> None:
    """Take alerts, judge models, and change what is in force, until SIGTERM or Ctrl-C.

    Needs the store's folder, the servers' admin addresses (replicas) and two files with tokens. A
    second one on the same store stands by until the first one ends.
    """
    prepare()
    from service.reevaluator import Reevaluator
    from service.start_error import StartError

    settings = _settings(flags)
    form = configure(settings.log_format, settings.log_level)
    try:
        process = Reevaluator(settings)
        process.start()
    except StartError as error:
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
        say(reevaluator_lines(settings, listening))
    wait_for_stop()
    process.stop()


def _settings(flags: Mapping[str, str | None]) -> Settings:
    try:
        return Settings.from_environ(os.environ, **flags)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def _supervise(settings: Settings) -> int:
    """Run several workers until told to stop; return the exit status."""
    from service.start_error import StartError
    from service.supervisor import Supervisor

    form = configure(settings.log_format, settings.log_level, "supervisor")
    supervisor = Supervisor(settings, os.environ)
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
        say(several_workers(settings, *ports, standings))
    return supervisor.run()


def main() -> None:
    """Run the command line."""
    cli()


if __name__ == "__main__":
    main()
