"""Become a program that ends with the stack: `launch.py STACK COMMAND [ARGUMENT ...]`.

A process of its own and no `preexec_fn`: with one, Python forks the stack, and gRPC, which looks
whether programs are ready, polls on in the child with files that are closed there, and aborts it.
"""

import ctypes
import os
import signal
import sys

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
PR_SET_PDEATHSIG = 1


def main(stack: int, command: list[str]) -> None:
    """Hear signals again, end when the stack, a process id, is killed, and run the command."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != stack:  # killed before the wish was made: no signal will come
            return
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
