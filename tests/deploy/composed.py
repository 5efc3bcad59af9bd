"""deploy/compose.yaml as data, and what is wrong with such a file: one sentence a fault."""

import re
from pathlib import Path

import yaml

from deploy.checks.probes import needed_bytes
from service.settings import PREFIX, Settings, SettingsError

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy/compose.yaml"
OURS = {"sonoba": "serve", "reevaluator": "reevaluator"}
USERS = {"sonoba": "65532:65532", "reevaluator": "65532:65532", "grafana": "472:0"}
OF_OTHERS = "65534:65534"  # nobody, who owns the volumes of Prometheus's and Alertmanager's images
HARDENED = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}
DEFAULT = re.compile(r"\$\{\w+:-(\w*)\}")


def read(path=COMPOSE):
    """Return the file, with every variable at its default."""
    return yaml.safe_load(DEFAULT.sub(r"\1", path.read_text(encoding="utf-8")))


def settings_of(service):
    """Return the settings that a service of ours starts with."""
    ours = {n: v for n, v in service["environment"].items() if n.startswith(PREFIX)}
    return Settings.from_environ(ours)


def mounts(document, name):
    """Yield (source, target) of every file and folder of the repository that is mounted."""
    service = document["services"][name]
    for volume in service.get("volumes", ()):
        source, target = volume.split(":")[:2]
        if source.startswith("."):
            yield COMPOSE.parent / source, target


def faults(document):
    """Yield what is wrong."""
    for name, service in document["services"].items():
        yield from _loose(name, service)
        yield from _mounted(document, name)
        if name in OURS:
            yield from _set(name, service)
    yield from _ports(document)
    yield from _secrets(document)


def _loose(name, service):
    for key, wanted in HARDENED.items():
        if service.get(key) != wanted:
            yield f"{name}: expected {key} {wanted}, got {service.get(key)}"
    if service.get("user") != USERS.get(name, OF_OTHERS):
        yield f"{name}: expected the user {USERS.get(name, OF_OTHERS)}, got {service.get('user')}"
    for key in ("mem_limit", "pids_limit"):
        if key not in service:
            yield f"{name}: expected {key}, got none"
    if not re.fullmatch(r"(sonoba:dev|[\w/-]+:v?\d+\.\d+\.\d+(@sha256:\w{64})?)", service["image"]):
        yield f"{name}: expected an image with an exact version, got {service['image']}"
    for port in service.get("ports", ()):
        if not re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port):
            yield f"{name}: expected a port of 127.0.0.1 alone, got {port}"


def _mounted(document, name):
    for source, target in mounts(document, name):
        if not source.exists():
            yield f"{name}: {target}: expected a file of the repository, got {source.name}"
    for volume in document["services"][name].get("volumes", ()):
        source = volume.split(":")[0]
        if not source.startswith(".") and source not in document["volumes"]:
            yield f"{name}: expected a volume that is declared, got {source}"
        if source.startswith(".") and not volume.endswith(":ro"):
            yield f"{name}: expected {source} to be read only"


def _set(name, service):
    if service["command"] != [OURS[name]]:
        yield f"{name}: expected the command {OURS[name]}, got {service['command']}"
    try:
        settings = settings_of(service)
    except SettingsError as error:
        yield f"{name}: {error}"
        return
    patience = float(service["stop_grace_period"].removesuffix("s"))
    needed = settings.lame_duck_seconds + settings.drain_seconds if name == "sonoba" else 5.0
    if patience < needed + 10.0:
        yield f"{name}: expected a stop_grace_period of {needed + 10:g} s or more, got {patience:g}"
    if name == "sonoba":
        mib = needed_bytes(settings) / 2**20
        if (limit := 1024 * int(service["mem_limit"].removesuffix("g"))) < mib:
            yield f"{name}: expected a mem_limit of {mib:g} MiB or more, got {limit}"


def _ports(document):
    """Yield ports that are published, and that nothing listens on."""
    opened = {
        "prometheus": {9090},
        "alertmanager": {9093},
        "grafana": {3000},
    }
    for name in OURS:
        try:
            of = settings_of(document["services"][name])
        except SettingsError:
            return
        own = {of.grpc_port} if name == "sonoba" else {of.webhook_port}
        opened[name] = own | {of.metrics_port, of.admin_port}
    for name, service in document["services"].items():
        for port in service.get("ports", ()):
            if int(port.rpartition(":")[2]) not in opened[name]:
                yield f"{name}: expected a port that is open, got {port}"
    for address in document["services"]["reevaluator"]["environment"]["SONOBA_REPLICAS"].split(","):
        host, _, number = address.partition(":")
        if int(number) not in opened.get(host, ()):
            yield f"reevaluator: expected the admin port of a service, got {address}"


def _secrets(document):
    for name, service in document["services"].items():
        for secret in service.get("secrets", ()):
            source = secret if isinstance(secret, str) else secret["source"]
            if source not in document["secrets"]:
                yield f"{name}: expected a secret that is declared, got {source}"
        given = {
            f"/run/secrets/{one}" for one in service.get("secrets", ()) if isinstance(one, str)
        }
        for variable, value in service.get("environment", {}).items():
            if variable.endswith("_TOKEN_FILE") and value not in given:
                yield f"{name}: {variable}: expected a secret of the service, got {value}"
