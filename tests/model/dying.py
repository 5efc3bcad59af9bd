"""A writer that is killed before or after its nth call that touches the disk."""

import os
import signal
import traceback

CALLS = ("fsync", "rename", "replace", "mkdir", "open", "unlink", "rmdir", "utime")


def status_of(work, nth, when, calls=CALLS):
    """Do some work in a child that dies at its nth call; return its exit status, as a shell's."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        left = [nth]
        for name in calls:
            setattr(os, name, _dying(getattr(os, name), left, when))
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _dying(call, left, when):
    def wrapped(*arguments, **options):
        left[0] -= 1
        if left[0] == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return call(*arguments, **options)
        finally:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return wrapped
