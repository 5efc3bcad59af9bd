import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import service
import sonoba

ROOT = Path(__file__).resolve().parents[1]
SERVER = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CLIENT = tomllib.loads((ROOT / "client/pyproject.toml").read_text(encoding="utf-8"))
PINS = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()

DISTRIBUTION = {  # of an import that is not called like its distribution
    "google.protobuf": "protobuf",
    "google.rpc": "googleapis-common-protos",
    "grpc": "grpcio",
    "grpc_health": "grpcio-health-checking",
    "opentelemetry": "opentelemetry-sdk",  # and the exporter's, which shares its package
    "grpc_reflection": "grpcio-reflection",
    "grpc_status": "grpcio-status",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
LOCK_FILES = {
    *("poetry.lock", "uv.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "conda-lock.yml"),
    *("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "Cargo.lock"),
}
# Written in pieces, so that this file is not found by its own search.
HOSTS = {
    *("py" + "pi.org", "python" + "hosted.org", "download.py" + "torch.org"),
    *("registry.npm" + "js.org", "registry.yarn" + "pkg.com", "ana" + "conda.org"),
    *("crates" + ".io", "proxy.go" + "lang.org", "deb.deb" + "ian.org"),
    *("docker" + ".io", "ghcr" + ".io", "quay" + ".io", "gcr" + ".io", "registry.k8s" + ".io"),
    *("public.ecr" + ".aws", "mcr.micro" + "soft.com"),
}
SOURCES = {
    "index" + "-url",
    "index" + "_url",
    "find" + "-links",
    "find" + "_links",
    "tool.uv" + ".",
}
MACHINE_PATH = re.compile(r"(?<![\w.~*-])/(?:work|root|home)/")
NEVER = re.compile("|".join(map(re.escape, sorted(HOSTS | SOURCES))) + f"|{MACHINE_PATH.pattern}")


def committed(root: Path) -> list[Path]:
    """Return the files that are, or would be, committed; without git, all but what is built."""
    listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        git = ["git", "-c", "safe.directory=*", "-C", str(root), *listing]
        ran = subprocess.run(git, capture_output=True, text=True, check=True)
        paths = [root / name for name in ran.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        built = re.compile(
            r"\.git|\.venv.*|\..*_cache|__pycache__|.*\.egg-info|build|dist|node_modules|\.hypothesis"
        )
        paths = [
            path
            for path in root.rglob("*")
            if not any(built.fullmatch(part) for part in path.relative_to(root).parts)
        ]
    return [path for path in paths if path.is_file()]


def found(root: Path) -> Iterator[str]:
    """Yield every lock file, package source and machine path among the committed files."""
    for path in committed(root):
        name = path.relative_to(root).as_posix()
        if path.name in LOCK_FILES:
            yield f"{name}: a lock file"
        text = path.read_bytes().decode("utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            if match := NEVER.search(line):
                yield f"{name}:{number}: {match.group()}"


def distribution(requirement: str) -> str:
    """Return the normalised name of a requirement such as `grpcio>=1.85`."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]).lower()


def third_party(folder: str) -> set[str]:
    """Return the distributions that a folder's files import."""
    ours = {"model", "monitoring", "service", "sonoba"}
    used = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module == "google":
                names = [f"google.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            used |= {".".join(n.split(".")[: 1 + n.startswith("google.")]) for n in names}
    used -= ours | set(sys.stdlib_module_names)
    return {distribution(DISTRIBUTION.get(name, name)) for name in used}


def loaded_by(imports: str, tmp_path: Path) -> set[str]:
    """Return the modules a fresh interpreter holds after the imports; torch can be had there."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text("")
    path = os.pathsep.join(map(str, (tmp_path, ROOT, ROOT / "client")))
    program = f"import sys, {imports}\nprint(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ran.stdout.split())


def test_the_versions_agree():
    versions = {sonoba.__version__, service.__version__}

    assert versions == {SERVER["project"]["version"]}
    assert versions == {CLIENT["project"]["version"]}


@pytest.mark.slow
def test_no_committed_file_names_a_package_source_or_a_machine():
    assert list(found(ROOT)) == []


@pytest.mark.parametrize(
    "line", [*sorted(HOSTS | SOURCES), "x = '/" + "home/me'", "cd /" + "work/x"]
)
@pytest.mark.parametrize("with_git", [True, False])
def test_a_planted_source_is_found(tmp_path, line, with_git):
    if with_git:
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "notes.md").write_text(f"first\n{line}\n")

    assert len(list(found(tmp_path))) == 1


def test_a_planted_lock_file_is_found_and_a_relative_path_is_not(tmp_path):
    (tmp_path / "uv.lock").write_text("")
    (tmp_path / "notes.md").write_text("see frame" + "work/home/ and ./work" + "/x\n")

    assert list(found(tmp_path)) == ["uv.lock: a lock file"]


def test_the_pins_are_names_and_versions_only():
    pin = re.compile(
        r"[A-Za-z0-9._-]+==([0-9]+!)?[0-9]+(\.[0-9]+)*(b[0-9]+)?"
    )  # with an epoch, or a beta

    assert [line for line in PINS if not pin.fullmatch(line)] == []
    assert sorted(PINS, key=str.lower) == PINS


def test_every_declared_dependency_is_pinned():
    extras = SERVER["project"]["optional-dependencies"] | CLIENT["project"]["optional-dependencies"]
    declared = SERVER["project"]["dependencies"] + CLIENT["project"]["dependencies"]
    names = {distribution(one) for one in sum(extras.values(), declared)}

    assert names - {distribution(pin) for pin in PINS} == {"sonoba", "sonoba-server"}


@pytest.mark.slow
def test_every_import_of_the_server_is_declared():
    extras = SERVER["project"]["optional-dependencies"]
    optional = ("demo", "judge", "otel", "pretrain", "stores")
    declared = sum((extras[name] for name in optional), SERVER["project"]["dependencies"])
    used = third_party("model") | third_party("monitoring") | third_party("service")

    assert used - {distribution(one) for one in declared} == set()


def test_every_import_of_the_client_is_declared():
    declared = CLIENT["project"]["dependencies"]

    assert third_party("client/sonoba") - {distribution(one) for one in declared} == set()


@pytest.mark.parametrize(("project", "source"), [(SERVER, ROOT), (CLIENT, ROOT / "client")])
def test_every_package_travels_in_the_wheel(project, source):
    declared = project["tool"]["setuptools"]["packages"]
    tops = {name.partition(".")[0] for name in declared}
    folders = {path.parent for top in tops for path in (source / top).rglob("*.py")}

    assert {".".join(folder.relative_to(source).parts) for folder in folders} == set(declared)


def test_every_pattern_of_package_data_finds_a_file():
    data = SERVER["tool"]["setuptools"]["package-data"]
    patterns = [f"{package}/{pattern}" for package, globs in data.items() for pattern in globs]

    assert [pattern for pattern in patterns if not any(ROOT.glob(pattern))] == []


@pytest.mark.slow
def test_the_server_starts_without_torch_and_what_only_the_command_line_needs(tmp_path):
    loaded = loaded_by("service.server, model.foundation, model.checkpoint", tmp_path)

    assert "service.server" in loaded
    assert (
        loaded
        & {"torch", "duckdb", "matplotlib", "jinja2", "pandas", "rich", "click", "opentelemetry"}
        == set()
    )


def test_the_command_line_starts_without_torch(tmp_path):
    loaded = loaded_by("service.cli", tmp_path)

    assert loaded & {"torch", "duckdb", "matplotlib", "numpy"} == set()


def test_every_module_of_the_model_but_pretraining_does_without_torch(tmp_path):
    modules = ", ".join(f"model.{path.stem}" for path in sorted((ROOT / "model").glob("[a-z]*.py")))
    loaded = loaded_by(modules, tmp_path)

    assert loaded & {"torch", "grpc", "google", "sonoba", "prometheus_client"} == set()
