"""deploy/systemd as data: what a unit starts, with which settings, and what it may."""

import configparser
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "deploy/systemd"
NAMES = ("sonoba", "sonoba-reevaluator")
PROGRAM = "/opt/sonoba/venv/bin/sonoba"


class Several(dict):
    """Keeps every value of a key that stands more than once, a line each."""

    def __setitem__(self, key, value):
        if isinstance(value, list) and key in self:
            value = [*self[key], *value]
        super().__setitem__(key, value)


def read(name, section="Service"):
    """Return the values of a section by key, a list each."""
    parser = configparser.RawConfigParser(dict_type=Several, strict=False)
    parser.optionxform = str
    parser.read(UNITS / f"{name}.service")
    return {key: value.splitlines() for key, value in parser.items(section)}


def environment(name, folder):
    """Return the environment of a unit; credentials and /var are in a folder."""
    found = {}
    for line in read(name)["Environment"]:
        for word in shlex.split(line):
            variable, _, value = word.partition("=")
            value = value.replace("%d", str(folder)).replace("/var/", f"{folder}/var/")
            found[variable] = value
    return found


def analyze(*arguments):
    """Run systemd-analyze; skip where there is none."""
    try:
        return subprocess.run(
            ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed: Debian package systemd")


def verify(text, folder, name="sonoba.service"):
    """Return what systemd says of a unit's text whose program is there."""
    path = folder / name
    path.write_text(text.replace(PROGRAM, sys.executable))
    return analyze("verify", "--man=no", path)


def exposure(text, most):
    """Return what systemd says of a unit's exposure; status 1 above `most`, in tenths."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sonoba.service"
        path.write_text(text)
        return analyze("security", "--offline=yes", "--no-pager", f"--threshold={most}", path)


def allowed(name):
    """Return the system calls that a unit may make, by systemd's own sets."""
    found = set()
    for line in read(name)["SystemCallFilter"]:
        named = set().union(*(members(word) for word in line.lstrip("~").split()))
        found = found - named if line.startswith("~") else found | named
    return found


def members(word):
    """Return the calls of a set; a call is a set of one."""
    if not word.startswith("@"):
        return {word}
    lines = analyze("syscall-filter", "--no-pager", word).stdout.splitlines()[1:]
    words = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return set().union(*(members(one) for one in words))


def surroundings(name, folder, **more):
    """Return the environment of a process that stands in for a unit."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": "client", **environment(name, folder), **more}
