import fcntl
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.calling.document import ANSWER, BLOCKS, ROOT, TEXT, printed, table

PACKAGE = Path(__file__).with_name("node") / "package.json"
INSTALL = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Run a script with the packages of the document; they are installed once a checkout."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    digest = hashlib.sha256(PACKAGE.read_bytes()).hexdigest()[:12]
    home = ROOT / "node_modules" / f"calling-{digest}"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:  # two test runs may meet here
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "done").exists():
            shutil.copy(PACKAGE, home)
            ran = subprocess.run(INSTALL, cwd=home, capture_output=True, text=True, timeout=240)
            if ran.returncode:
                pytest.skip(f"npm could not install the packages: {ran.stderr[-500:]}")
            (home / "done").touch()
    script = tmp_path_factory.mktemp("node") / "predict.js"
    env = {**os.environ, "NODE_PATH": str(home / "node_modules")}

    def run(text, *arguments):
        script.write_text(text, encoding="utf-8")
        return printed(["node", str(script), *arguments], env=env)

    return run


def test_the_versions_installed_are_those_the_document_names():
    pinned = json.loads(PACKAGE.read_text(encoding="utf-8"))["dependencies"]

    command = re.search(r"^npm install (.*)$", TEXT, re.MULTILINE)[1]
    assert command.split() == [f"{name}@{version}" for name, version in pinned.items()]


def test_the_node_program_prints_the_prediction_and_the_typed_error(node, address):
    assert node(BLOCKS["predict.js"], address) == ANSWER


def test_the_node_program_survives_that_nobody_answers(node):
    (line,) = node(BLOCKS["predict.js"], "127.0.0.1:1")  # reserved, nobody listens

    assert line.split() in (["UNAVAILABLE"], ["DEADLINE_EXCEEDED"])


def test_node_packs_numbers_as_the_contract_wants_them(node):
    expression = next(row[1] for row in table(TEXT, "language") if row[0] == "Node")
    expression = re.match("(.*)` ", expression)[1]
    numbers = [1.5, -2.0, 1e300]

    (packed,) = node(f"const numbers = {numbers}; console.log({expression}.toString('hex'));")
    assert packed == struct.pack("<3d", *numbers).hex()
