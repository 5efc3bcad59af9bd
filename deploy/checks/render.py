"""Render kustomizations as `kubectl apply -k` does: overlays, and components on the base."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from deploy.checks.objects import Json

KUSTOMIZE = Path(__file__).resolve().parents[1] / "kustomize"
OVERLAYS, COMPONENTS = KUSTOMIZE / "overlays", KUSTOMIZE / "components"
TOOLS = Path(__file__).resolve().parents[2] / ".venv-deploy/bin"  # `make deploy`


class RenderError(Exception):
    """A kustomization that cannot be rendered, in kubectl's own words."""


class Loader(yaml.CSafeLoader):
    """Reads a bare `=` as text, which YAML 1.1 keeps for something else and kustomize writes."""


# yaml.CSafeLoader, for a tree has thousands of lines; wheels bring it.
Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


def overlays() -> list[Path]:
    """Return every overlay."""
    return sorted(path.parent for path in OVERLAYS.glob("*/kustomization.yaml"))


def components() -> list[Path]:
    """Return every component, those that lie beside the tree included."""
    beside = (KUSTOMIZE.parent / name for name in ("rules", "dashboards"))
    found = [path.parent for path in COMPONENTS.glob("*/kustomization.yaml")]
    return sorted(found) + [path for path in beside if (path / "kustomization.yaml").is_file()]


def kubectl() -> str | None:
    """Return the kubectl of `make deploy`: a distribution's may know no components."""
    own = TOOLS / "kubectl"
    return str(own) if own.is_file() else None


def render(folder: Path) -> list[Json]:
    """Return the documents of a kustomization."""
    program = kubectl()
    if program is None:
        raise RenderError("kubectl: expected it in .venv-deploy/bin, got none; run `make deploy`")
    ran = subprocess.run([program, "kustomize", str(folder)], capture_output=True, text=True)
    if ran.returncode:
        raise RenderError(f"{folder.name}: {ran.stderr.strip()}")
    return [one for one in yaml.load_all(ran.stdout, Loader) if one]


def render_with(resources: Sequence[Path], parts: Sequence[Path]) -> list[Json]:
    """Return the documents of resources with components on top, in an overlay of the moment."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        written = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": list(_from(folder, resources)),
            "components": list(_from(folder, parts)),
        }
        (folder / "kustomization.yaml").write_text(json.dumps(written), encoding="utf-8")
        return render(folder)


def _from(folder: Path, paths: Sequence[Path]) -> Iterator[str]:
    """Yield paths as seen from a folder: kustomize takes no absolute ones."""
    for path in paths:
        yield os.path.relpath(path.resolve(), folder)
