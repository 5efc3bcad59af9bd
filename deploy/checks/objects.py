"""Rendered objects as the checks ask for them: by kind, by name, by what they select."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Json = dict[str, Any]
NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")


def said(document: Json) -> str:
    """Return kind and name, as kubectl writes them."""
    return f"{document['kind']}/{document['metadata']['name']}"


def labels(document: Json) -> dict[str, str]:
    """Return the labels of an object."""
    return document["metadata"].get("labels") or {}


def chosen(selector: Json | None, among: Mapping[str, str]) -> bool:
    """Return whether a label selector takes these labels; an empty one takes all."""
    selector = selector or {}
    wanted = selector.get("matchLabels") or {}
    return all(among.get(key) == value for key, value in wanted.items()) and all(
        _expressed(one, among) for one in selector.get("matchExpressions") or ()
    )


def _expressed(expression: Json, among: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return among.get(key) in values
        case "NotIn":
            return among.get(key) not in values
        case "Exists":
            return key in among
        case _:
            return key not in among


@dataclass(frozen=True)
class Pod:
    """The template of pods of one workload."""

    owner: Json
    template: Json

    @property
    def name(self) -> str:
        """Return the workload's kind and name."""
        return said(self.owner)

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of its pods."""
        return self.template.get("metadata", {}).get("labels") or {}

    @property
    def spec(self) -> Json:
        """Return what its pods are."""
        spec: Json = self.template["spec"]
        return spec

    @property
    def containers(self) -> list[Json]:
        """Return all its containers, those that run first included."""
        return [*(self.spec.get("initContainers") or ()), *self.spec["containers"]]

    def ports(self) -> dict[str, int]:
        """Return the named ports of its containers."""
        return {port["name"]: port["containerPort"] for port in self._ports() if "name" in port}

    def has_port(self, port: str | int) -> bool:
        """Return whether a container declares a port of this name or number."""
        numbers = {one["containerPort"] for one in self._ports()}
        return port in self.ports() or port in numbers

    def _ports(self) -> Iterator[Json]:
        for container in self.containers:
            yield from container.get("ports") or ()


def pod_of(document: Json) -> Pod | None:
    """Return the pods of a workload; None of everything else."""
    match document["kind"]:
        case "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job":
            return Pod(document, document["spec"]["template"])
        case "CronJob":
            return Pod(document, document["spec"]["jobTemplate"]["spec"]["template"])
        case "Pod":
            return Pod(document, document)
    return None


@dataclass(frozen=True)
class Tree:
    """Everything that one kustomization renders."""

    documents: Sequence[Json]

    @cached_property
    def pods(self) -> list[Pod]:
        """Return the pods of every workload."""
        return [pod for document in self.documents if (pod := pod_of(document))]

    def of(self, *kinds: str) -> list[Json]:
        """Return the objects of some kinds."""
        return [document for document in self.documents if document["kind"] in kinds]

    def find(self, kind: str, name: str) -> Json | None:
        """Return one object, or None."""
        named = (one for one in self.of(kind) if one["metadata"]["name"] == name)
        return next(named, None)

    def selected(self, selector: Json | None) -> list[Pod]:
        """Return the pods that a label selector takes."""
        return [pod for pod in self.pods if chosen(selector, pod.labels)]

    def environment(self, container: Json) -> dict[str, str]:
        """Return the variables of a container that the tree itself gives a value."""
        found: dict[str, str] = {}
        for source in container.get("envFrom") or ():
            if "configMapRef" in source:
                kept = self.find("ConfigMap", source["configMapRef"]["name"]) or {}
                found |= kept.get("data") or {}
        for variable in container.get("env") or ():
            if "value" in variable:
                found[variable["name"]] = variable["value"]
            elif key := variable.get("valueFrom", {}).get("configMapKeyRef"):
                kept = self.find("ConfigMap", key["name"]) or {}
                found[variable["name"]] = (kept.get("data") or {}).get(key["key"], "")
        return found
