"""The commands that are loaded when they are run: all are there, and a server loads none."""

import subprocess
import sys

import click
import pytest

from service.cli import cli
from service.command_group import COMMANDS

LOADED = """
import sys
from service.cli import cli
{run}
print(*sorted(module for module in sys.modules if module.startswith("service.")))
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_found_by_the_name_it_has(name):
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert command.name == name
    assert not command.hidden


def test_every_command_is_listed_once_and_in_order():
    names = cli.list_commands(click.Context(cli))

    assert names == sorted({*COMMANDS, "reevaluator", "serve"})


def test_a_name_that_is_none_is_a_sentence():
    found = subprocess.run(
        [sys.executable, "-m", "service.cli", "predit"], capture_output=True, text=True
    )

    assert found.returncode == 2
    assert "No such command 'predit'" in found.stderr


def test_what_serves_loads_no_other_command():
    serving = _loaded("")
    asked = _loaded('cli.main(["token", "--help"], standalone_mode=False)')

    modules = {place.split(":")[0] for place in COMMANDS.values()}
    assert serving & modules == set()
    assert asked & modules == {"service.token_command"}


def _loaded(run):
    code = LOADED.format(run=run)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())
