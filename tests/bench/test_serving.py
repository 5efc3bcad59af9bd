"""The bench runs, accounts for every call and says what it measured; nothing here judges a time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="the bench reads /proc")
if not sys.platform.startswith("linux"):
    pytest.skip("the bench pins processes and reads /proc", allow_module_level=True)

from bench.serving import echo, prompts
from bench.serving.lab import QUICK, Lab
from bench.serving.servers import Echo
from service.server import _options
from service.settings import Settings

ROOT = Path(__file__).parents[2]


def test_the_echo_has_the_options_of_the_service():
    assert _options(Settings()) == echo.OPTIONS


@pytest.mark.parametrize("generator", ["h2load", "python"])
def test_every_call_of_a_slice_is_counted_by_the_server(generator, tmp_path):
    lab = Lab(QUICK, tmp_path)
    if generator == "python":
        lab.load._h2load = None
    elif lab.load.name != generator:
        pytest.skip("h2load is not installed")
    with Echo([lab.cores.server], "--answer-bytes", "70") as server:
        contender = lab.contender(server, prompts.unary("paper", prompts.SHAPES[0]))
        sample = lab.slice(contender, 200)
        lab.slice(contender, 20, tmp_path / "log")

    assert (lab.sent, lab.ok) == (220, 220)
    assert sample.rate > 0
    assert len((tmp_path / "log").read_text().splitlines()) == 20


def test_a_refused_call_is_not_counted_as_answered(tmp_path):
    lab = Lab(QUICK, tmp_path)
    papers = prompts.write_papers(tmp_path)
    with Echo([lab.cores.server], "--model-files", ",".join(map(str, papers))) as server:
        lab.slice(lab.contender(server, b"no request"), 20)

    assert (lab.sent, lab.ok) == (20, 0)


@pytest.mark.slow
def test_a_quick_run_measures_everything_and_every_call_is_answered(tmp_path):
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "bench.serving", "--quick", "--out", str(out)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)

    assert run.returncode == 0, run.stderr[-2000:]
    report = json.loads(out.read_text())
    assert report["sent"] == report["answered_ok"] > 1000
    assert {row["model"] for row in report["floor"]} == {"paper", "foundation"}
    assert len(report["floor"]) == 6
    assert {row["name"] for row in report["kinds"]} >= {"sync, 4 threads", "asyncio"}
    assert len(report["batch"]) == 4
    assert len(report["memory"]["resident_mb"]) == 10
    assert set(report["start_seconds"]) == {"median", "low", "high"}
    assert len(report["answers"]) == 36
    assert any("`profile` prediction at (32,8)" in gate["name"] for gate in report["gates"])
    assert {"name", "measured", "bound", "ok"} == set(report["gates"][0])
    assert str(ROOT) not in out.read_text()
