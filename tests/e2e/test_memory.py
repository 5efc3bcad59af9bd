"""What a process that answers has loaded: what answering takes, and nothing that starting took."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from model.layer_draft import layer_draft
from model.paper import PaperModel
from model.schema import Column, Schema
from model.store import Store

pytestmark = pytest.mark.slow

UNUSED = {"click", "pydantic", "rich"}
CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def loaded(pid):
    """Return the files that a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if "/" in line}


def has(library, files):
    return any(library in Path(file).name for file in files)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")
def test_a_process_that_answers_from_a_store_has_let_go_of_what_read_its_settings(
    process, tmp_path
):
    schema = Schema((Column("a", "", ""), Column("b", "", "")), "")
    Store(tmp_path).save(*layer_draft("bikes", PaperModel(np.eye(2)), schema, CREATED))
    server = process("--store", str(tmp_path), "--default-model", "bikes")
    files = loaded(server.child.pid)  # the id that was started: nothing stands between

    assert "serves the model bikes" in server.printed
    assert has("cygrpc", files) and has("_multiarray_umath", files)
    assert not has("pydantic", files)


def test_answering_imports_nothing_of_the_command_line():
    code = (
        "import sys, service.process, service.server, service.tracing\n"
        f"print(sorted({UNUSED!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((".", "client"))},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"
