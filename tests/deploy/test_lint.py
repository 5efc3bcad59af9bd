"""Linters of what is neither Python nor proto; each is shown something that it must find.

Scripts, YAML, the Dockerfile, and the hardening of rendered pods as another program sees it.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.checks.render import overlays
from tests.deploy.rendering import Planted, documents, needs_tool

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy/Dockerfile"
CHECKOV = ROOT / ".venv-checkov/bin/checkov"
YAMLLINT = ["--strict", "--format=parsable", f"--config-file={ROOT / '.ci/yamllint.yaml'}"]
ARGUMENT = re.compile(r"(?<=^FROM )\$\{(\w+)\}", flags=re.MULTILINE)
# Files of the machine that a script reads, and text that another shell expands: both on purpose.
SHELLCHECK = "--exclude=SC1091,SC2016"
SHELL = re.compile(rb"#!.*\b(ba)?sh\b")


def tracked(*patterns):
    """Return the files that are, or would be, committed, as seen from the root."""
    listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns]
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *listing]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        pytest.skip("git does not know this tree")
    names = sorted(set(ran.stdout.split("\0")) - {""})
    return [Path(name) for name in names if (ROOT / name).is_file()]


def scripts():
    """Return every file that a shell runs."""
    return [path for path in tracked() if SHELL.match((ROOT / path).read_bytes()[:80])]


def run(tool, *arguments):
    command = [needs_tool(tool), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)


def test_shellcheck_has_nothing_to_say_of_any_script():
    found = scripts()
    ran = run("shellcheck", SHELLCHECK, *found)

    assert {path.name for path in found} >= {"run", "install-system-packages"}
    assert ran.returncode == 0, ran.stdout


def test_shellcheck_finds_a_name_that_falls_apart(tmp_path):
    script = tmp_path / "planted"
    script.write_text("#!/bin/sh\nrm -r $1/build\n")

    assert SHELL.match(script.read_bytes())
    assert "SC2086" in run("shellcheck", SHELLCHECK, script).stdout


@pytest.mark.slow
def test_yamllint_has_nothing_to_say_of_any_yaml():
    ran = run("yamllint", *YAMLLINT, *tracked("*.yaml", "*.yml"))

    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("port: 1\nport: 2\n", "duplication of key"),
        ("country: no\n", "truthy value"),
        ("a:\n   - 1\n  b: 2\n", "syntax error"),
    ],
)
def test_yamllint_finds_what_reads_otherwise_than_it_looks(tmp_path, text, sentence):
    (tmp_path / "planted.yaml").write_text(text)

    assert sentence in run("yamllint", *YAMLLINT, tmp_path / "planted.yaml").stdout


def test_hadolint_has_nothing_to_say_of_the_dockerfile():
    if not DOCKERFILE.is_file():
        pytest.skip("there is no Dockerfile")
    ran = run("hadolint", DOCKERFILE)

    assert ran.returncode == 0, ran.stdout


def test_hadolint_finds_an_image_that_is_another_tomorrow(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /srv && pip install grpcio\n")

    found = run("hadolint", tmp_path / "Dockerfile").stdout

    assert {"DL3006", "DL3013"} <= set(re.findall(r"DL\d+", found))


def test_what_hadolint_shall_not_say_has_a_reason():
    lines = DOCKERFILE.read_text(encoding="utf-8").splitlines() if DOCKERFILE.is_file() else []

    for line in lines:
        if "hadolint ignore" in line:
            assert re.search(r"ignore=[\w,]+ +# \w+ \w+", line), line


PLANTED_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "planted", "namespace": "planted"},
    "spec": {"hostPID": True, "containers": [{"name": "a", "image": "debian"}]},
}


def without_arguments(text):
    """Return a Dockerfile whose FROM names the default of its argument: checkov reads no ARG."""
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)", text, flags=re.MULTILINE))
    while (named := re.sub(ARGUMENT, lambda it: defaults[it[1]], text)) != text:
        text = named  # a default may name another argument
    return text


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """What checkov says of all overlays, the Dockerfile and two planted files; by file."""
    if not CHECKOV.is_file():
        pytest.skip("checkov is not installed: make .venv-checkov/done")
    folder = tmp_path_factory.mktemp("checkov")
    for overlay in overlays():
        text = yaml.safe_dump_all(documents(overlay.name))
        (folder / f"{overlay.name}.yaml").write_text(text)
    (folder / "planted.yaml").write_text(yaml.safe_dump(PLANTED_POD))
    (folder / "planted.Dockerfile").write_text("FROM debian\nRUN sudo true\n")
    if DOCKERFILE.is_file():
        (folder / "our.Dockerfile").write_text(without_arguments(DOCKERFILE.read_text()))
    frameworks = ["--framework", "kubernetes", "dockerfile"]
    # --skip-download: it would ask a service for guidelines, and wait for an answer.
    command = [CHECKOV, "--skip-download", "-o", "json", *frameworks, "-d", folder]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200)
    told = json.loads(ran.stdout)
    return [result["results"] for result in (told if isinstance(told, list) else [told])]


def of(scanned, outcome, name):
    """Return the outcomes of one file."""
    checks = [check for results in scanned for check in results[f"{outcome}_checks"]]
    return [check for check in checks if Path(check["file_path"]).name.startswith(name)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.name for path in overlays()])
def test_checkov_finds_nothing_but_what_is_excused_with_a_reason(scanned, name):
    failed = [(check["check_id"], check["resource"]) for check in of(scanned, "failed", name)]
    reasons = [check["check_result"]["suppress_comment"] for check in of(scanned, "skipped", name)]

    assert failed == []
    assert len(of(scanned, "passed", name)) > 50
    assert reasons and all(len(reason.split()) > 3 for reason in reasons), reasons


@pytest.mark.slow
def test_checkov_finds_nothing_in_the_dockerfile(scanned):
    if not DOCKERFILE.is_file():
        pytest.skip("there is no Dockerfile")
    failed = [
        (check["check_id"], check["file_line_range"]) for check in of(scanned, "failed", "our")
    ]

    assert failed == []
    assert of(scanned, "passed", "our")


@pytest.mark.slow
def test_checkov_finds_what_is_planted(scanned):
    found = {check["check_id"] for check in of(scanned, "failed", "planted")}

    # the node's processes, root, an unbounded container; an image and a user of a Dockerfile
    assert found >= {"CKV_K8S_17", "CKV_K8S_23", "CKV_K8S_13", "CKV_DOCKER_7", "CKV_DOCKER_3"}


def test_an_excuse_names_its_check_and_its_reason():
    tree = Planted(documents())
    excuses = {
        key: value
        for document in tree.documents
        for key, value in (document["metadata"].get("annotations") or {}).items()
        if key.startswith("checkov.io/")
    }

    assert excuses
    for key, value in excuses.items():
        assert re.fullmatch(r"checkov\.io/skip\d+", key), key
        assert re.fullmatch(r"CKV2?_K8S_\d+=\w+ .+", value), value
