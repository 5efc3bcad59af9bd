"""Who may import whom, and how large things may grow; a breach of every rule is planted below."""

import ast
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import STATUS

ROOT = Path(__file__).resolve().parents[1]

LIBRARIES = {  # beside the standard library; a folder not named here belongs to its parent
    "model": {"model", "numpy", "msgspec"},
    "model/pretrain": {"model", "numpy", "torch"},
    "monitoring": {"monitoring", "numpy", "prometheus_client"},
    "service": {
        *("service", "model", "monitoring", "sonoba", "numpy", "pydantic", "prometheus_client"),
        *("grpc", "grpc_health", "grpc_reflection", "grpc_status", "google.protobuf", "google.rpc"),
        *("click", "rich", "duckdb", "matplotlib", "jinja2", "sklearn", "threadpoolctl"),
        *("cryptography", "yaml", "fsspec", "opentelemetry"),
    },
    "client/sonoba": {"sonoba", "grpc", "google.protobuf"},
    "bench": None,  # measures from outside: anything but what ONLY_IN keeps for others
}
WIRE = {
    *("codec", "layout", "batch", "stream", "core", "replies", "describe"),
    *("operations", "server", "replica", "replicas", "operations_client"),
    *("oip", "oip_request", "oip_response", "oip_metadata"),
    "shapes",
}
ONLY_IN = {  # for whom a library, or one of our own modules, is kept
    "torch": {"model/pretrain/"},
    "model.pretrain": {
        *("model/pretrain/", "service/cli.py", "service/training.py"),
        "service/reproduce_training.py",
    },
    "cryptography": {"service/certificates.py"},
    "jinja2": {"service/reproduce_page.py", "service/report_page.py", "service/assess/page.py"},
    "yaml": {"service/business_rules.py", "bench/"},
    "fsspec": {"service/store_mirror.py"},
    "opentelemetry": {"service/tracing.py", "bench/"},
    "sklearn": {"service/boosting.py", "bench/"},
    "threadpoolctl": {"service/boosting.py", "bench/"},
    "prometheus_client": {
        *("service/metrics.py", "service/metrics_port.py", "service/server.py"),
        "service/worker_metrics.py",
        *("service/reevaluator.py", "service/reevaluator_metrics.py", "service/swap_metrics.py"),
        *("service/overload_metrics.py", "service/publish_metrics.py"),
        *("service/access_metrics.py", "monitoring/exporter.py", "bench/"),
    },
    "sonoba.v1": {"client/sonoba/", "bench/", *(f"service/{noun}.py" for noun in WIRE)},
    "sonoba": {  # the client's own classes
        *("client/sonoba/", "bench/", "service/cli.py", "service/predict.py"),
        *("service/channels.py", "service/channel_options.py", "service/reevaluator.py"),
        *("service/replicas.py", "service/operations_client.py", "service/evaluate_command.py"),
        "service/tenants_command.py",
        *("service/demo.py", "service/doctor.py", "service/health_command.py"),
    },
    "environ": {"service/cli.py", "service/process.py", "bench/"},
}
NAMELESS = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
FILE_LINES, FUNCTION_LINES = 300, 25
Function = ast.FunctionDef | ast.AsyncFunctionDef


def breaches(root: Path) -> Iterator[str]:
    """Yield one sentence for every breach of a rule under a root."""
    for package in ("model", "monitoring", "service", "client/sonoba", "bench"):
        for path in sorted((root / package).rglob("*.py")):
            if "_pb2" not in path.name:  # generated
                name = path.relative_to(root).as_posix()
                for breach in file_breaches(name, path.read_text(encoding="utf-8")):
                    yield f"{name}: {breach}"


def file_breaches(name: str, source: str) -> Iterator[str]:
    tree = ast.parse(source, filename=name)
    if nameless := NAMELESS & {part.removesuffix(".py") for part in name.split("/")}:
        yield f"a name that says nothing: {nameless.pop()}"
    if reads_environment(tree) and not name.startswith(tuple(ONLY_IN["environ"])):
        yield "the environment is read in service/cli.py and process.py only"
    work = [node.lineno for node in tree.body if works_on_import(node)]
    if work and not name.endswith("/__main__.py"):
        yield f"line {work[0]} works on import"
    yield from import_breaches(name, tree)
    yield from size_breaches(tree, source)


def import_breaches(name: str, tree: ast.AST) -> Iterator[str]:
    for imported in sorted(set(imports(tree))):
        if not is_allowed(name, imported):
            yield f"must not import {imported}"
        if (kept := kept_for(imported)) and not name.startswith(tuple(ONLY_IN[kept])):
            yield f"{kept} is not for this file ({imported})"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield f"line {node.lineno}: a relative import"


def size_breaches(tree: ast.AST, source: str) -> Iterator[str]:
    if (lines := len(source.splitlines())) > FILE_LINES:
        yield f"expected at most {FILE_LINES} lines, got {lines}"
    for node in ast.walk(tree):
        if isinstance(node, Function) and (lines := body_lines(node, source)) > FUNCTION_LINES:
            yield f"{node.name}: expected at most {FUNCTION_LINES} lines, got {lines}"


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything imported, at the top, in a function or by its name."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.Call(func=function, args=[ast.Constant(value=str(module)), *_]) if ast.unparse(
                function
            ).rpartition(".")[2] in ("import_module", "__import__"):
                yield module


def within(imported: str, name: str) -> bool:
    return imported == name or imported.startswith(f"{name}.")


def is_allowed(name: str, imported: str) -> bool:
    folder = max((f for f in LIBRARIES if name.startswith(f"{f}/")), key=len)
    allowed = LIBRARIES[folder]
    top = imported.partition(".")[0]
    if allowed is None or top in sys.stdlib_module_names:
        return True
    return any(within(imported, library) for library in allowed)


def kept_for(imported: str) -> str | None:
    """Return the longest entry of ONLY_IN that an import falls under."""
    return max((kept for kept in ONLY_IN if within(imported, kept)), key=len, default=None)


def reads_environment(tree: ast.AST) -> bool:
    readers = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv"}
    touched = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return bool(readers & (touched | set(imports(tree))))


def works_on_import(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()):  # a docstring
            return False
        case ast.If(test=test):
            return ast.unparse(test) not in ("TYPE_CHECKING", "__name__ == '__main__'")
    return isinstance(node, ast.Expr | ast.For | ast.While | ast.With | ast.Delete)


def strings(*nodes: ast.AST) -> Iterator[str]:
    for inner in itertools.chain.from_iterable(map(ast.walk, nodes)):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def body_lines(function: Function, source: str) -> int:
    """Return the lines of a body without its docstring and blank lines."""
    body = function.body[ast.get_docstring(function) is not None :]
    if not body:
        return 0
    lines = source.splitlines()[body[0].lineno - 1 : function.end_lineno]
    return sum(bool(line.strip()) for line in lines)


@pytest.mark.slow
def test_every_folder_keeps_to_its_rules():
    assert list(breaches(ROOT)) == []


@pytest.mark.slow
def test_every_reason_of_a_refusal_has_a_status():
    reasons = {
        reason
        for package in ("model", "service")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Refusal"
        for reason in strings(*node.args[:1])
    }

    assert "BAD_SHAPE" in reasons
    assert reasons - set(STATUS) == set()


PLANTED = [
    ("model/a.py", "import grpc", "must not import grpc"),
    ("model/a.py", "from monitoring.harm import h", "must not import monitoring.harm.h"),
    ("model/a.py", "def f():\n    import service.core", "must not import service.core"),
    ("model/a.py", "import torch", "must not import torch"),
    ("model/a.py", "from google import protobuf", "must not import google.protobuf"),
    ("model/a.py", "import importlib\nX = importlib.import_module('grpc')", "import grpc"),
    ("model/a.py", "from model.pretrain import flow", "model.pretrain is not for this file"),
    ("monitoring/a.py", "from model.prompt import Prompt", "must not import model.prompt.Prompt"),
    ("monitoring/a.py", "import prometheus_client", "prometheus_client is not for this file"),
    ("service/a.py", "import torch", "must not import torch"),
    ("service/a.py", "import requests", "must not import requests"),
    ("service/core.py", "from prometheus_client import Counter", "prometheus_client is not for"),
    ("service/a.py", "from sonoba.v1 import predictor_pb2", "sonoba.v1 is not for this file"),
    ("service/core.py", "from sonoba import Client", "sonoba is not for this file"),
    ("service/core.py", "import os\n\ndef f():\n    return os.environ", "environment is read in"),
    ("service/core.py", "from os import getenv", "environment is read in"),
    ("client/sonoba/a.py", "import numpy", "must not import numpy"),
    ("client/sonoba/a.py", "from google.rpc import status_pb2", "must not import google.rpc"),
    ("bench/a.py", "import torch", "torch is not for this file"),
    ("model/a.py", "from . import layers", "a relative import"),
    ("model/a.py", "print('hello')", "line 1 works on import"),
    ("model/a.py", "if True:\n    X = 1", "line 1 works on import"),
    ("service/utils.py", "", "a name that says nothing: utils"),
    ("service/common/a.py", "", "a name that says nothing: common"),
    ("bench/a.py", "X = 1\n" * 301, "expected at most 300 lines, got 301"),
    ("bench/a.py", "def f():\n" + "    x = 1\n" * 26, "f: expected at most 25 lines, got 26"),
]


@pytest.mark.parametrize(("name", "source", "sentence"), PLANTED)
def test_a_planted_breach_is_found(tmp_path, name, source, sentence):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(source)

    found = list(breaches(tmp_path))

    assert any(breach.startswith(name) and sentence in breach for breach in found), found


KEPT = [
    ("model/pretrain/a.py", "import torch\nfrom model.layers import Steps"),
    (
        "service/cli.py",
        "import os\n\ndef f():\n    from model.pretrain import flow\n    os.environ",
    ),
    ("service/core.py", "from model.prompt import Prompt\nfrom sonoba.v1 import predictor_pb2"),
    ("service/demo.py", "import sonoba"),
    ("client/sonoba/a.py", "import grpc\nfrom google.protobuf import message\nimport sonoba.v1"),
    ("client/sonoba/v1/a_pb2.py", "import numpy\n" * 301),
    ("bench/__main__.py", "from bench.serving.floor import run\n\nrun()"),
    ("bench/a.py", 'def f():\n    """Say."""\n\n' + "    x = 1\n\n" * 25),
]


@pytest.mark.parametrize(("name", "source"), KEPT)
def test_what_keeps_to_the_rules_is_left_alone(tmp_path, name, source):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(source)

    assert list(breaches(tmp_path)) == []
