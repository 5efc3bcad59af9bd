"""Probes ask what servers know, and a stop leaves them the time they need; memory is bounded."""

import re
from collections.abc import Iterator

from deploy.checks.objects import Json, Tree
from deploy.checks.ports import PROBES
from deploy.checks.settings import command, settings_of
from service.health import LIVENESS, READINESS
from service.operations import SERVICE as OPERATIONS
from service.settings import Settings

READY = {"serve": READINESS, "reevaluator": OPERATIONS}  # command → its service
STARTUP_SECONDS = 60  # a large model on a busy node
SPARE_SECONDS = 10
MIB = 2**20
PROCESS_BYTES = 128 * MIB  # a process, its models and the queue of its monitor
WORKED_ON = 6  # times the size of a message while a thread answers it (tests/deploy/test_memory.py)
WAITING = 12  # messages that are read ahead, or lie in the buffers of connections
SUFFIXES = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "K": 10**3, "M": 10**6, "G": 10**9}


def probe_breaches(tree: Tree) -> Iterator[str]:
    """Yield probes that are missing, or ask for a name that the process does not know."""
    for name, container in _serving(tree):
        wanted = {
            "startupProbe": {""},
            "readinessProbe": {READY[command(container)]},
            "livenessProbe": {LIVENESS},
        }
        for probe in PROBES:
            asked = (container.get(probe) or {}).get("grpc")
            if asked is None:
                yield f"{name}: expected a {probe} over gRPC, got none"
            elif asked.get("service", "") not in wanted[probe]:
                got = f"{asked.get('service', '')!r}"
                yield f"{name}: expected a {probe} of {wanted[probe].pop()!r}, got {got}"
        startup = container.get("startupProbe") or {}
        budget = startup.get("periodSeconds", 10) * startup.get("failureThreshold", 3)
        if budget < STARTUP_SECONDS:
            yield f"{name}: expected {STARTUP_SECONDS} s to start at least, got {budget}"


def plain_breaches(tree: Tree) -> Iterator[str]:
    """Yield probes of a port that speaks TLS: kubelet's speak none."""
    for name, container in _serving(tree):
        settings = settings_of(tree, container)
        if settings is None or settings.tls_cert_file is None:
            continue
        for probe in PROBES:
            asked = (container.get(probe) or {}).get("grpc") or {}
            if asked and asked["port"] != settings.health_port:
                port = settings.health_port
                yield f"{name}: expected a {probe} of health_port, {port}, got {asked['port']}"


def grace_breaches(tree: Tree) -> Iterator[str]:
    """Yield pods that are killed before they have ended, and streams that outlive connections."""
    for pod in tree.pods:
        for container in pod.containers:
            settings = settings_of(tree, container)
            if settings is None or command(container) != "serve":
                continue
            needed = settings.lame_duck_seconds + settings.drain_seconds + SPARE_SECONDS
            grace = pod.spec.get("terminationGracePeriodSeconds", 30)
            if grace < needed:
                field = "terminationGracePeriodSeconds"
                yield f"{pod.name}: expected a {field} of {needed:g} at least, got {grace}"
            if settings.stream_seconds > settings.max_connection_age_seconds:
                yield f"{pod.name}: expected streams that end before connections do"


def memory_breaches(tree: Tree) -> Iterator[str]:
    """Yield servers whose limit of memory is less than their threads' largest messages need."""
    for name, container in _serving(tree):
        settings = settings_of(tree, container)
        limit = (container.get("resources") or {}).get("limits", {}).get("memory")
        if settings is None or limit is None or command(container) != "serve":
            continue
        needed = needed_bytes(settings)
        if quantity(limit) < needed:
            yield f"{name}: expected {needed // MIB} MiB of memory at least, got {limit}"


def needed_bytes(settings: Settings) -> int:
    """Return the memory of a server whose callers all send the largest messages at once."""
    messages = WORKED_ON * settings.threads + WAITING
    return settings.workers * (PROCESS_BYTES + messages * settings.max_message_bytes)


def quantity(text: str | int) -> float:
    """Return a quantity of Kubernetes as a number."""
    found = re.fullmatch(r"([0-9.]+)([KMG]i?)?", str(text).replace("k", "K"))
    if found is None:
        raise ValueError(f"expected a quantity such as 512Mi, got {text}")
    return float(found[1]) * SUFFIXES[found[2] or ""]


def _serving(tree: Tree) -> Iterator[tuple[str, Json]]:
    """Yield the containers that serve, with the name of their workload."""
    for pod in tree.pods:
        for container in pod.containers:
            if command(container):
                yield pod.name, container
