"""The versions of Kubernetes that are supported, and what their schemas say of documents."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from deploy.checks.objects import Json
from deploy.checks.render import TOOLS

OLDEST, NEWEST = "1.29", "1.37"
NEEDED = {"zone": "1.33"}  # component → the oldest version that knows its fields
SCRIPT = Path(__file__).resolve().parent / "schemas.py"
PYTHON = TOOLS / "python"


class SchemaError(Exception):
    """Schemas that could not be asked, and why."""


class Case(NamedTuple):
    """Documents, and the versions that shall know them."""

    documents: Sequence[Json]
    versions: Sequence[str]


def schema_faults(*cases: Case) -> list[list[str]]:
    """Return for each case a sentence for everything that a version, or a model, refuses."""
    if not PYTHON.is_file():
        raise SchemaError(f"{PYTHON}: expected the tools of `make deploy`, got none")
    asked = json.dumps([case._asdict() for case in cases])
    ran = subprocess.run([PYTHON, SCRIPT], input=asked, capture_output=True, text=True)
    if ran.returncode:
        raise SchemaError(ran.stderr.strip())
    answers: list[list[str]] = json.loads(ran.stdout)
    return answers
