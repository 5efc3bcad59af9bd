"""Who runs a command: the name that the audit log keeps."""

import os
import pwd


def caller() -> str:
    """Return the name of the operating system's user; its number where it has none."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
