"""The commands of docs/operations.md: a store is backed up while in use, destroyed, and restored.

A server and a re-evaluator run on it, as processes; an evaluation is going on meanwhile.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

import sonoba
from model.store import Store
from tests.calling.document import named_blocks
from tests.e2e.stack import Reevaluator, Replica, tokens
from tests.model import profiles
from tests.service import watched
from tests.service.asking import COLUMNS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
BLOCKS, SCALING = (
    named_blocks((ROOT / f"docs/{name}.md").read_text(encoding="utf-8"))
    for name in ("operations", "scaling")
)
NAME = "bikes"
RULES = "version: 1\ndefaults: {{gather_seconds_max: {}}}\n"
STEP_SECONDS = 60.0


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """Return a store with two versions of a profile that answer differently."""
    folder = tmp_path_factory.mktemp("learnt") / "store"
    found = watched.fitted()
    fewer = replace(found.parameters, steps=found.parameters.steps[:1])  # layers
    for one in (replace(found, parameters=fewer), found):
        watched.save(folder, NAME, one)
    assert len(Store(folder).versions(NAME)) == 2
    return folder


@pytest.fixture
def machine(tmp_path, learnt):
    """Return a machine's folder with a store, what runs a block there, and two processes."""
    shutil.copytree(learnt, tmp_path / "store")
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "rules.yaml").write_text(RULES.format("1h"))
    (tmp_path / "bin").mkdir()
    for name, command in (("sonoba", "-m service.cli"), ("python3", "")):
        path = tmp_path / "bin" / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        path.chmod(0o755)
    made = Machine(tmp_path, tokens(tmp_path))
    yield made
    made.kill()


class Answer(NamedTuple):
    bits: bytes
    version: str


class Machine:
    """A server and a re-evaluator on one store, and a shell beside them."""

    def __init__(self, folder, secrets):
        self.folder, self.store = folder, folder / "store"
        secrets = secrets | {"SONOBA_STORE_POLL_SECONDS": "0.2"}
        self.replica = Replica(self.store, NAME, **secrets)
        more = {"SONOBA_RULES_FILE": str(folder / "rules.yaml")}
        more["SONOBA_REPORTS"] = str(folder / "reports")
        self.reevaluator = Reevaluator(self.store, [self.replica], **secrets, **more)
        shutil.copy(secrets["SONOBA_ADMIN_TOKEN_FILE"], folder / "admin.token")

    def start(self):
        self.replica.start()
        self.reevaluator.start()
        return self

    def kill(self):
        for one in (self.replica, self.reevaluator):
            if one.child is not None and one.child.poll() is None:
                one.kill()

    def shell(self, text):
        """Run commands as the document shows them; return what came of it."""
        text = text.replace("127.0.0.1:50053", f"127.0.0.1:{self.reevaluator.admin_port}")
        environ = os.environ | {"PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'client'}"
        command = ["bash", "-ec", text]
        return subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, timeout=120
        )

    def answer(self):
        """Return the bytes of an answer, and the version that gave it."""
        block, _ = profiles.asked(7)
        (x,), (y,) = block.context
        with sonoba.Client(f"127.0.0.1:{self.replica.grpc_port}") as client:
            told = client.predict(x, y, block.queries[0], model=NAME, columns=COLUMNS)
        return Answer(told.values.tobytes(), told.model_version)

    def state(self, store=None):
        """Return where the newest evaluation of the ledger stands."""
        newest = "SELECT state FROM evaluations ORDER BY number DESC LIMIT 1"
        with closing(sqlite3.connect((store or self.store) / "audit.sqlite")) as ledger:
            return ledger.execute(newest).fetchone()[0]


def until(holds, say):
    ends = time.monotonic() + STEP_SECONDS
    while not holds():
        assert time.monotonic() < ends, say()
        time.sleep(0.1)


def test_a_machine_that_is_lost_comes_back_from_its_backup(machine):
    machine.start()
    before, versions = machine.answer(), Store(machine.store).versions(NAME)
    asked = machine.shell(
        f"sonoba evaluate {NAME} --address 127.0.0.1:50053 --token-file admin.token --reason drill"
    )
    until(lambda: machine.state() == "GATHERING", machine.state)

    done = machine.shell(BLOCKS["backup"])

    assert (asked.returncode, done.returncode) == (0, 0), done.stderr
    head = re.search(r"whole: \d+ lines, head ([0-9a-f]{64})", done.stdout)[1]
    (machine.folder / "head").write_text(f"{head}\n")
    (copied,) = (machine.folder / "backup").iterdir()
    assert machine.state(copied) == "GATHERING"
    machine.kill()
    shutil.rmtree(machine.store)

    done = machine.shell(BLOCKS["restore"])

    assert done.returncode == 0, done.stdout + done.stderr
    assert Store(machine.store).versions(NAME) == versions
    (machine.folder / "rules.yaml").write_text(RULES.format("1s"))
    machine.start()
    assert machine.answer() == before
    until(lambda: machine.state() == "DONE", machine.state)  # it found no prompts
    rolls_back(machine, before)


def rolls_back(machine, before):
    """Put the version before in force and back, by the commands of the drill."""
    back, forth, verify = BLOCKS["drill"].splitlines()

    assert machine.shell(back).returncode == 0
    until(lambda: machine.answer().version != before.version, lambda: "the same version")
    assert machine.answer().bits != before.bits
    assert machine.shell(forth).returncode == 0
    until(lambda: machine.answer() == before, lambda: "another version")
    head = (machine.folder / "head").read_text().strip()
    told = machine.shell(f"{verify} --head {head}")
    assert told.returncode == 0, told.stdout + told.stderr


def test_a_store_that_is_changed_all_the_while_is_copied_whole(machine):
    store, stopped = Store(machine.store), threading.Event()
    versions = store.versions(NAME)

    def change():
        while not stopped.is_set():
            for version in versions:
                store.promote(NAME, version)

    thread = threading.Thread(target=change)
    thread.start()
    done = [machine.shell(f"deploy/store/backup store copy-{turn}") for turn in range(3)]
    stopped.set()
    thread.join()

    for turn, one in enumerate(done):
        assert one.returncode == 0, one.stdout + one.stderr
        assert Store(machine.folder / f"copy-{turn}").current(NAME).version in versions
    assert store.current(NAME).serial > 20


def test_a_copy_that_is_damaged_is_no_backup(machine):
    weights = next(machine.store.glob("*/versions/*/weights.npz"))
    weights.write_bytes(weights.read_bytes()[:-1])

    done = machine.shell(BLOCKS["backup"])

    assert done.returncode == 1
    assert "the file is incomplete" in done.stdout
    assert [path.suffix for path in (machine.folder / "backup").iterdir()] == [".unfinished"]


def test_nothing_is_written_over(machine):
    piped = "sh -s store copy < deploy/store/backup"  # as into a pod
    copied = machine.shell(f"{piped} && deploy/store/backup store copy")
    restored = machine.shell("deploy/store/restore copy store")
    missing = machine.shell("deploy/store/backup stroe copy-2")

    assert copied.returncode == restored.returncode == missing.returncode == 1
    assert "expected a folder that is not there yet, got copy" in copied.stderr
    assert "expected store to be empty: move away what is in it" in restored.stderr
    assert "expected the folder of a store, got stroe" in missing.stderr
    assert machine.shell("deploy/store/backup store").returncode == 2


def test_a_version_travels_to_another_cluster(machine, tmp_path):
    version = Store(machine.store).current(NAME).version
    machine.store.rename(tmp_path / "east")
    text = SCALING["travel"].replace("3fa9c1d2e4b5", version)

    done = machine.shell(text)

    assert done.returncode == 0, done.stdout + done.stderr
    assert Store(machine.store).current(NAME).version == version
    assert machine.shell("sonoba models verify --store store").returncode == 0
