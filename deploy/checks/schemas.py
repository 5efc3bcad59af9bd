"""Find fields that a Kubernetes version does not know, and values it would refuse.

Runs in the environment of `make deploy`, alone: the models of custom resources bring libraries that
the server does not share. Reads cases as JSON, each with `versions` and `documents`, and prints for
each a list of sentences; all in one go, for the models take seconds to import:

    .venv-deploy/bin/python deploy/checks/schemas.py <cases.json

A model of a custom resource drops what it does not know, in silence; so each document goes through
its model and back, and what did not come back is a fault. The models are those of Prometheus
operator 0.80 and KEDA 2.16: old ones, which newer clusters understand. No Python package knows the
Gateway API: the fields that we use are in gateway-schema.json, and others are a fault.
"""

import functools
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
from kubernetes_validate import utils

MODELS = {
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
    "monitoring.coreos.com/v1alpha1": "cloudcoil.models.prometheus_operator.v1alpha1",
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
}
GATEWAY = Path(__file__).resolve().parent / "gateway-schema.json"
Json = dict[str, Any]

# One copy of the definitions for all documents; the library reads them again for each.
utils.schema_contents = functools.cache(utils.schema_contents)


def faults(document: Json, versions: list[str]) -> Iterator[str]:
    """Yield what is wrong with one document, in the first version that refuses it."""
    where = f"{document['kind']}/{document['metadata']['name']}"
    if document["apiVersion"] in MODELS:
        found = list(model_faults(document))
    elif document["apiVersion"].startswith("gateway.networking.k8s.io/"):
        found = list(gateway_faults(document))
    else:
        found = [fault for version in versions for fault in core_faults(document, version)]
    yield from (f"{where}: {fault}" for fault in found)


def core_faults(document: Json, version: str) -> Iterator[str]:
    """Yield what a version of Kubernetes itself refuses; fields it does not know are refused."""
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.SchemaNotFoundError as error:
        yield error.message
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(map(str, error.path))}: {error.message} (Kubernetes {version})"


def model_faults(document: Json) -> Iterator[str]:
    """Yield what the model of a custom resource refuses, and what it does not know."""
    module = importlib.import_module(MODELS[document["apiVersion"]])
    model = getattr(module, document["kind"], None)
    if model is None:
        yield f"expected a kind of {document['apiVersion']}, got {document['kind']}"
        return
    try:
        read = model.model_validate(document)
    except ValueError as error:  # pydantic's
        yield " ".join(str(error).split())
        return
    yield from lost(document, read.model_dump(mode="json", by_alias=True, exclude_unset=True))


def lost(before: object, after: object, path: str = "") -> Iterator[str]:
    """Yield every field that did not come back."""
    match before, after:
        case dict(), dict():
            for key, value in before.items():
                if key not in after:
                    yield f"{path}{key}: no such field"
                else:
                    yield from lost(value, after[key], f"{path}{key}.")
        case list(), list():
            for index, (one, other) in enumerate(zip(before, after, strict=True)):
                yield from lost(one, other, f"{path}{index}.")
        case _:
            if type(before) is not type(after):
                yield f"{path.rstrip('.')}: expected {after!r}, got {before!r}"


def gateway_faults(document: Json) -> Iterator[str]:
    """Yield what the Gateway API refuses, and what we have not looked up in it."""
    schema = json.loads(GATEWAY.read_text(encoding="utf-8"))
    for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
        best = jsonschema.exceptions.best_match([error])
        yield f"{'.'.join(map(str, best.absolute_path))}: {best.message}"


def main() -> None:
    """Check the cases on standard input."""
    answers = [
        [fault for one in case["documents"] for fault in faults(one, case["versions"])]
        for case in json.load(sys.stdin)
    ]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
