"""`make stack`: everything of one machine without containers, from the root of the project.

    python -m deploy.stack

Starts server, re-evaluator, Alertmanager and Prometheus on loopback, says where they are, and ends
all of them on Ctrl-C (docs/one-machine.md).
"""

import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.stack import programs
from deploy.stack.children import Asked, Children, block_signals
from deploy.stack.places import Places, check_free, places_of
from deploy.stack.problem import Problem
from deploy.stack.secrets import tokens_in

INTERRUPTED = 130
DATA = "service/demo_data"


def main(environ: Mapping[str, str]) -> int:
    """Run the stack until told to stop; return the exit status."""
    block_signals()
    try:
        programs.found()
        places = places_of(environ)
        with _alone(places.folder):
            check_free(places.ports)
            return _run(places, environ)
    except Problem as problem:
        print(f"Error: {problem}", file=sys.stderr)
        return 1


def _run(places: Places, environ: Mapping[str, str]) -> int:
    """Start, wait and end; whatever happens, nothing is left running."""
    tokens = tokens_in(places.folder)
    (places.folder / "store").mkdir(exist_ok=True)
    started = programs.programs(places, tokens, environ)
    children = Children(started, places.folder / "log", _say)
    asked = 0
    try:
        _say(f"starting {', '.join(one.name for one in started)}: about ten seconds")
        children.start()
        for line in told(places):
            _say(line)
        asked = children.watch()
    except Asked as early:
        asked = early.number
    finally:
        is_hurried = children.end(asked)
    return INTERRUPTED if is_hurried else 0


def told(places: Places) -> Iterator[str]:
    """Yield where everything is, and a line to try."""
    here = places.folder.is_relative_to(Path.cwd())
    folder = os.path.relpath(places.folder) if here else str(places.folder)
    yield "all of it runs, on this machine only; Ctrl-C ends it"
    yield f"  predictions   {places.predictions.address}  (gRPC)"
    yield f"  status page   http://{places.page.address}/  (can I trust today's predictions?)"
    yield f"  reports       http://{places.alerts.address}/reports"
    yield f"                (any name; the password is the line of {folder}/admin.token)"
    yield f"  operations    {places.operations.address}  (gRPC, with {folder}/admin.token)"
    yield f"  Prometheus    http://{places.prometheus.address}/"
    yield f"  Alertmanager  http://{places.alertmanager.address}/"
    yield f"  logs          {folder}/log"
    yield "try it from another terminal:"
    program = os.path.relpath(Path(sys.executable).with_name("sonoba"))
    yield (
        f"  {program} predict --context {DATA}/context.csv --target log_bikers "
        f"--query {DATA}/query.csv --address {places.predictions.address}"
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder, which others cannot read; `Problem` where another stack has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem(f"STACK_FOLDER: another stack runs in {folder}") from None
        yield


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(os.environ))
