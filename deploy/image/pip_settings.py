"""This machine's pip configuration as the build of an image can use it, beside nothing else.

It goes into the build as two secrets, `pip.conf` and `ca.pem`: where packages come from, and whose
certificates hold, is the builder's business and is in no layer (docs/image.md).
"""

import ast
import configparser
import subprocess
import sys
from pathlib import Path

CA_INSIDE = "/run/secrets/ca.pem"
URL = "file://"


def settings() -> dict[str, str]:
    """Return what `pip config list` says, the environment's last: it wins, as in pip itself."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line]
    pairs.sort(key=lambda pair: pair[0].startswith(":env:"))
    return {key.rpartition(".")[2]: str(ast.literal_eval(value)) for key, value in pairs}


def local_paths(found: dict[str, str]) -> list[Path]:
    """Return the files and folders of this machine that settings name, the certificates apart.

    >>> local_paths({"cert": "/etc", "constraint": "/etc/hostname none", "timeout": "3"})
    [PosixPath('/etc/hostname')]
    """
    words = [word for key, text in found.items() if key != "cert" for word in text.split()]
    paths = [Path(word.removeprefix(URL)) for word in words if word.startswith(("/", URL))]
    # The simple index of a folder points outside of itself; its neighbours come along.
    roots = [path.parent if path.name == "simple" else path for path in paths]
    return sorted({path for path in roots if path.exists()})


def without_local(found: dict[str, str]) -> dict[str, str]:
    """Return the settings less the words that name something of this machine only.

    >>> without_local({"cert": "/etc/ca", "constraint": "/etc/hostname"})
    {'cert': '/etc/ca'}
    """
    kept = {
        key: text if key == "cert" else " ".join(word for word in text.split() if not _local(word))
        for key, text in found.items()
    }
    return {key: text for key, text in kept.items() if text}


def write_secrets(found: dict[str, str], folder: Path) -> list[Path]:
    """Write the files of the secrets into a folder; return them."""
    written = []
    if certificates := found.get("cert"):
        written.append(folder / "ca.pem")
        written[0].write_bytes(Path(certificates).read_bytes())
        found = {**found, "cert": CA_INSIDE}
    parser = configparser.RawConfigParser()
    parser["global"] = found
    written.append(folder / "pip.conf")
    with written[-1].open("w", encoding="utf-8") as file:
        parser.write(file)
    return written


def _local(word: str) -> bool:
    return word.startswith(("/", URL))
