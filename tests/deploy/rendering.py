"""Rendered kustomizations for tests, each rendered once; a copy for whoever breaks one."""

import functools
import pickle

import pytest

from deploy.checks import render


@functools.cache
def _rendered(name: str) -> bytes:
    return pickle.dumps(render.render(render.OVERLAYS / name))  # copied faster than objects


def documents(overlay: str = "production") -> list[dict]:
    """Return the documents of an overlay; skip where nothing can render it."""
    needs_kubectl()
    return pickle.loads(_rendered(overlay))


def needs_kubectl() -> None:
    """Skip where no kubectl knows components."""
    if render.kubectl() is None:
        pytest.skip("kubectl is not installed: make deploy")


def needs_tool(name: str) -> str:
    """Return the path of a tool of `make deploy`; skip where it is missing."""
    tool = render.TOOLS / name
    if not tool.is_file():
        pytest.skip(f"{name} is not installed: make deploy")
    return str(tool)


class Planted:
    """A tree to plant violations in: parts of it by kind and name."""

    def __init__(self, documents: list[dict]) -> None:
        self.documents = documents

    def __call__(self, kind: str, name: str = "sonoba") -> dict:
        found = [
            one
            for one in self.documents
            if one["kind"] == kind and one["metadata"]["name"].startswith(name)
        ]
        return min(found, key=lambda one: len(one["metadata"]["name"]))

    def pod(self, name: str = "sonoba") -> dict:
        return self("Deployment", name)["spec"]["template"]["spec"]

    def container(self, name: str = "sonoba") -> dict:
        return self.pod(name)["containers"][0]

    def settings(self, name: str = "sonoba-config") -> dict:
        return self("ConfigMap", name)["data"]
