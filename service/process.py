"""One process that answers: `sonoba serve` becomes it, a supervisor starts several.

It is a program of its own so that it loads only what answering takes (docs/adr/0038).
"""

import os
import signal
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

from service.allocator import bound_arenas
from service.announced import addresses, log_start, one_server
from service.handed import HANDED, Handed, command, handing, taken
from service.logs import configure
from service.roaming import settle
from service.start_error import StartError
from service.worker_line import Failed, Started, end_with_supervisor, line_of

if TYPE_CHECKING:
    from service.server import Server
    from service.settings import Settings

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def prepare() -> None:
    """Set what a process must have set before it loads libraries and starts threads."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # else a line for each stray handshake
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads under our threads only collide
    os.environ.setdefault("PROMETHEUS_DISABLE_CREATED_SERIES", "1")  # two series a counter
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # for sigwait, in every thread
    bound_arenas()


def become(handed: Handed) -> NoReturn:
    """Go on as a process that answers: the same id, the same signals held back, another program."""
    started = command()
    os.execve(started[0], started, handing(handed, os.environ))


def wait_for_stop() -> int:
    """Return the signal that asks to stop; a second one ends the process at once."""
    received = signal.sigwait(STOP_SIGNALS)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: os._exit(130))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    return received


def say(lines: Iterable[str]) -> None:
    """Print lines at once."""
    for line in lines:
        print(line)
    sys.stdout.flush()


def main() -> None:
    """Do what this process was handed."""
    prepare()
    if (text := os.environ.pop(HANDED, None)) is None:
        sys.exit("Error: start it with `sonoba serve`, which reads the settings")
    settings, program = taken(text)
    number = "".join(sys.argv[1:2])  # of one of several workers
    form = configure(settings.log_format, settings.log_level, number)
    settle(settings.pin, int(number or 0), settings.workers)
    if number:
        _one_of_several(settings)
    else:
        _alone(settings, form, program)


def _alone(settings: "Settings", form: str, program: str) -> None:
    try:
        server = _started(settings)
    except StartError as error:
        sys.exit(f"Error: {error}")
    admin = f"{settings.admin_host}:{server.admin_port}" if server.admin_port else ""
    ports = server.grpc_port, server.metrics_port
    if form == "json":
        log_start(f"serves {server.described}", addresses(settings.host, *ports, admin))
    if settings.log_format != "json":
        say(one_server(settings, *ports, admin, server.described, program))
    _stop(server, settings, wait_for_stop())


def _one_of_several(settings: "Settings") -> None:
    end_with_supervisor(settings.lame_duck_seconds + settings.drain_seconds)
    try:
        server = _started(settings)
    except StartError as error:
        say([line_of(Failed(str(error)))])
        sys.exit(1)
    ports = server.grpc_port, server.metrics_port, server.admin_port
    say([line_of(Started(*ports, server.described))])
    _stop(server, settings, signal.sigwait(STOP_SIGNALS))  # a second one may reach all processes


def _started(settings: "Settings") -> "Server":
    """Return a server that answers."""
    from model.checkpoint import ArtifactError
    from service.server import Server  # after `prepare`, which says what it reads
    from service.tracing import open_tracing

    try:
        server = Server(settings, open_tracing(os.environ))
        server.start()
    except ArtifactError as error:
        raise StartError(str(error)) from None
    return server


def _stop(server: "Server", settings: "Settings", received: int) -> None:
    server.stop(0.0 if received == signal.SIGINT else settings.lame_duck_seconds)


if __name__ == "__main__":
    main()
