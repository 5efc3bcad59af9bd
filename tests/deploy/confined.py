"""Become a program with no more rights than a unit leaves: `confined.py COMMAND [ARGUMENT ...]`.

A process of its own and no `preexec_fn`, for the reason given in deploy/stack/launch.py.
"""

import ctypes
import os
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, PR_GET_MDWE, REFUSE_EXEC_GAIN = 38, 65, 66, 1


def confine():
    """Take away what the units take away, as far as a process can by itself."""
    libc = ctypes.CDLL(None)
    faults = libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    faults |= libc.prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0)
    if faults:
        raise OSError("this process cannot give its rights away")


if __name__ == "__main__":
    confine()
    os.execvp(sys.argv[1], sys.argv[1:])
