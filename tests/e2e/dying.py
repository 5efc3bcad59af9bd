"""A re-evaluator that kills itself at a named point: `python -m tests.e2e.dying POINT`."""

import os
import signal
import sys

from service.reevaluator import Reevaluator
from service.settings import Settings


def main():
    def reached(point):
        if point == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGKILL)

    process = Reevaluator(Settings.from_environ(os.environ), reached)
    process.start()
    print("/metrics", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
