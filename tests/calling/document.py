"""What docs/calling.md shows, found by the names in its fences, and ways to run it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/calling.md").read_text(encoding="utf-8")
ADDRESS = "127.0.0.1:50051"  # what the document writes where a test has a server of its own


def named_blocks(text):
    """Return the body of every fence that has a name after its language."""
    found = re.findall(r"^```(\w+) (\S+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return {name: body for _, name, body in found}


def table(text, first):
    """Return the rows, split into cells, of the table whose first heading is `first`."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |")) + 2
    rows = []
    while at < len(lines) and lines[at].startswith("|"):
        rows.append([cell.strip().strip("`") for cell in lines[at].strip("|").split(" |")])
        at += 1
    return rows


BLOCKS = named_blocks(TEXT)
ANSWER = BLOCKS["answer"].splitlines()


def curl_request(name):
    """Return method and JSON body of a grpcurl command."""
    body, method = re.search(rf"-d '(.*?)' {ADDRESS} (\S+)", BLOCKS[name], re.DOTALL).groups()
    return method, json.loads(body)


def run_python(name, address):
    """Return what a Python program of the document prints; a warning fails it."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "client")}
    return printed([sys.executable, "-W", "error", "-", address], input=BLOCKS[name], env=env)


def printed(command, **options):
    """Return the lines a command prints in the root of the repository; it must succeed."""
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=60, **options
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.splitlines()
