"""The bench runs, accounts for every call and says what it measured; nothing here judges a time."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="the bench reads /proc")
if not sys.platform.startswith("linux"):
    pytest.skip("the bench pins processes and reads /proc", allow_module_level=True)

from bench import machine
from bench.serving import echo, prompts
from bench.serving.costs import draw, lines
from bench.serving.lab import QUICK, Lab, Plan
from bench.serving.load import USUAL
from bench.serving.part import Part
from bench.serving.prompt_costs import AGAINST, points
from bench.serving.run import PARTS, run_part
from bench.serving.servers import NOTHING_MORE, Echo, Service
from bench.tables import as_markdown, titled
from service.settings import Settings
from service.transport import server_options
from tests.test_architecture import imports

ROOT = Path(__file__).parents[2]


def test_the_echo_has_the_options_of_the_service():
    assert server_options(Settings()) == echo.OPTIONS


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_refused_call_is_not_counted_as_answered(tmp_path):
    lab = Lab(QUICK, tmp_path)
    papers = prompts.write_papers(tmp_path)
    with Echo([lab.cores.server], "--model-files", ",".join(map(str, papers))) as server:
        lab.slice(lab.contender(server, b"no request"), 20)

    assert (lab.sent, lab.ok) == (20, 0)


@pytest.mark.slow
def test_a_flood_counts_what_ended_in_its_time(tmp_path):
    lab = Lab(QUICK, tmp_path)
    if lab.load.name != "h2load":
        pytest.skip("h2load is not installed")
    with Echo([lab.cores.server], "--answer-bytes", "70") as server:
        contender = lab.contender(server, prompts.unary("paper", prompts.SHAPES[0]))
        sample = lab.flood(contender, [lab.cores.generator], USUAL)

    assert lab.sent == lab.ok > 50
    assert sample.rate > 0
    assert server_keeps_time(sample.cpu_us)


def server_keeps_time(cpu_us):
    return 5 < cpu_us < 20_000


@pytest.mark.slow
def test_calls_that_get_lost_are_told_with_how_others_ended(tmp_path):
    lab = Lab(QUICK, tmp_path)
    lab.part = "floor"
    with Service([lab.cores.server]) as server:
        lab.slice(lab.contender(server, prompts.unary("foundation", prompts.SHAPES[0])), 30)
        lab.slice(lab.contender(server, b"no request"), 20)

    assert (lab.sent, lab.ok) == (50, 30)
    assert lab.lost == ["floor: 20 of 20 lost by a server of 30 OK, 20 InvalidArgument"]


def test_a_clock_of_a_process_counts_what_the_kernel_counts():
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    ticks = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    assert machine.cpu_seconds(os.getpid()) == pytest.approx(ticks, abs=0.05)


def test_a_part_that_fails_is_a_promise_not_held_and_hides_no_other():
    def fails(*_):
        raise RuntimeError("no such machine")

    broken = Part("broken", "broken", lambda _: 1, fails, lambda _: (), lambda _: ())
    fine = Part("fine", "fine", lambda _: 1, lambda *_: [1], lambda _: (), lambda _: ())
    lab = Lab(QUICK, Path())
    found = {part.name: run_part(part, lab, NOTHING_MORE, lambda: None) for part in (broken, fine)}

    assert found["broken"].measured == "RuntimeError: no such machine"
    assert [gate.ok for gate in found["broken"].gates] == [False]
    assert found["fine"].measured == [1]


def test_points_of_the_costs_vary_one_thing_each():
    for point in points(Plan()):
        model, (M, d, Q), n = point.model, point.shape, point.prompt_count
        usual = {"M": M, "d": d, "Q": Q, "n": n}
        del usual[point.against]
        expected = {"M": 64, "d": 20, "Q": 1, "n": 1}
        if point.against == "n":
            expected |= {"M": 16, "d": 5}

        assert usual.items() <= expected.items(), (model, point)


@pytest.mark.slow
def test_the_plot_of_costs_is_drawn_from_a_report(tmp_path):
    spread = {"median": 100.0, "low": 90.0, "high": 120.0}
    report = {
        "costs": {
            "points": [
                {"against": axis, "model": model, "place": place, "cpu_us": spread}
                for axis in AGAINST
                for model in ("paper", "profile")
                for place in (64, 8)
            ]
        }
    }
    path = tmp_path / "plot.png"
    found = list(lines(report["costs"]["points"]))
    draw(found, path)

    assert found[0].places == [8.0, 64.0]
    assert path.read_bytes().startswith(b"\x89PNG")


def test_tables_become_markdown():
    table = titled("Sizes", "model", "MB")
    table.add_row("paper", "80")

    assert as_markdown([table]).splitlines() == [
        "### Sizes",
        "",
        "| model | MB |",
        "|-------|----|",
        "| paper | 80 |",
    ]


PARTS_HERE = [part.name for part in PARTS if part.name != "peers"]  # has its own environment


def pinned(file):
    return dict(line.split("==") for line in (ROOT / file).read_text().split() if "==" in line)


def test_the_environment_of_the_peers_has_what_our_model_needs():
    peers, ours = pinned(".ci/peers-requirements.txt"), pinned("constraints.txt")
    trees = (ast.parse(path.read_text("utf-8")) for path in (ROOT / "model").glob("*.py"))
    packages = {name.partition(".")[0] for tree in trees for name in imports(tree)}

    wanted = packages - sys.stdlib_module_names - {"model"}

    assert wanted == {"numpy", "msgspec"}
    assert {name: peers.get(name) for name in wanted} == {name: ours[name] for name in wanted}
    assert peers["grpcio"] == ours["grpcio"]


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute or two where nothing else runs
def test_a_quick_run_measures_everything_and_every_call_is_answered(tmp_path):
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "bench.serving", *PARTS_HERE, "--quick", "--out", str(out)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=840)

    assert run.returncode == 0, run.stderr[-2000:]
    report = json.loads(out.read_text())
    assert report["sent"] == report["answered_ok"] > 1000
    assert [gate["name"] for gate in report["gates"] if "could be measured" in gate["name"]] == []
    assert {row["model"] for row in report["floor"]} == {"paper", "foundation", "profile"}
    assert len(report["floor"]) == 7
    assert {row["name"] for row in report["kinds"]} >= {"sync, 4 threads", "asyncio"}
    assert len(report["batch"]) == 5
    assert len(report["memory"][0]["resident_mb"]) == 10
    assert set(report["start"][0]["seconds"]) == {"median", "low", "high"}
    assert len(report["answers"]) == 36
    assert any("`profile` prediction at (32,8)" in gate["name"] for gate in report["gates"])
    assert {"name", "measured", "bound", "ok"} == set(report["gates"][0])
    assert len(report["costs"]["switches"]) == 12
    assert str(ROOT) not in out.read_text()
    assert out.with_suffix(".md").read_text().count("### ") > 15
