"""deploy/compose.yaml: valid for Compose, hardened, and its commands run as they stand.

No container is started here. What stands in for them are the same commands, arguments, settings
and probes as processes, with other ports and folders.
"""

import copy
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from deploy.stack import configuration, programs
from service.access import Access
from tests.deploy.composed import COMPOSE, OURS, ROOT, faults, mounts, read, settings_of
from tests.deploy.test_dashboard_live import free_port

# The program itself: the command beside it hides its exit status.
(*BINARIES,) = ROOT.glob(".venv-deploy/lib/python3*/site-packages/compose/docker-compose")
DOCKERFILE = ROOT / "deploy/Dockerfile"
PLANTED = [
    (("services", "sonoba", "ports"), ["50051:50051"], "a port of 127.0.0.1 alone"),
    (("services", "sonoba", "ports"), ["127.0.0.1:50052:50099"], "a port of 127.0.0.1 alone"),
    (("services", "grafana", "ports"), ["127.0.0.1:3001:3001"], "a port that is open"),
    (("services", "grafana", "image"), "grafana/grafana:latest", "an exact version"),
    (("services", "prometheus", "user"), "0:0", "expected the user 65534"),
    (("services", "sonoba", "read_only"), False, "expected read_only"),
    (("services", "sonoba", "cap_drop"), [], "expected cap_drop"),
    (("services", "sonoba", "stop_grace_period"), "30s", "stop_grace_period of 35 s"),
    (("services", "sonoba", "environment", "SONOBA_THREADS"), "8", "mem_limit of 1088 MiB"),
    (("services", "sonoba", "environment", "SONOBA_PROT"), "1", "SONOBA_PROT: no such setting"),
    (("services", "sonoba", "secrets"), [], "expected a secret of the service"),
    (("services", "sonoba", "secrets"), ["token"], "a secret that is declared"),
    (
        ("services", "reevaluator", "environment", "SONOBA_REPLICAS"),
        "sonoba:50053",
        "the admin port of a service, got sonoba:50053",
    ),
    (("services", "prometheus", "volumes"), ["./gone.yml:/a:ro"], "a file of the repository"),
    (("services", "prometheus", "volumes"), ["./rules:/a"], "to be read only"),
    (("services", "prometheus", "volumes"), ["gone:/a"], "a volume that is declared"),
    (("services", "reevaluator", "command"), ["serve"], "expected the command reevaluator"),
]


def compose(*arguments):
    if not BINARIES:
        pytest.skip("docker-compose is not in .venv-deploy: make deploy")
    return subprocess.run(
        [BINARIES[0], *map(str, arguments)],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_compose_accepts_the_file_and_reads_what_we_read():
    ran = compose("-f", COMPOSE, "config", "--format", "json")

    assert ran.returncode == 0, ran.stderr
    found = yaml.safe_load(ran.stdout)["services"]
    ours = read()["services"]
    assert {name: one["environment"] for name, one in found.items() if name in OURS} == {
        name: ours[name]["environment"] for name in OURS
    }
    assert {name: one["command"] for name, one in found.items() if name != "grafana"} == {
        name: one["command"] for name, one in ours.items() if name != "grafana"
    }


def test_compose_finds_a_misspelt_key(tmp_path):
    text = COMPOSE.read_text(encoding="utf-8").replace("mem_limit:", "mem_limits:", 1)
    (tmp_path / "compose.yaml").write_text(text)

    ran = compose("-f", tmp_path / "compose.yaml", "config", "-q")

    assert ran.returncode != 0
    assert "mem_limits" in ran.stderr


def test_the_file_has_no_fault():
    assert list(faults(read())) == []


@pytest.mark.parametrize(("place", "value", "sentence"), PLANTED)
def test_a_planted_fault_is_found(place, value, sentence):
    document = copy.deepcopy(read())
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value

    assert any(sentence in fault for fault in faults(document)), list(faults(document))


def test_what_is_mounted_is_written_from_what_is_shipped():
    for path, text in configuration.compose().items():
        assert path.read_text(encoding="utf-8") == text


def test_an_address_that_left_the_shipped_configuration_is_missed():
    with pytest.raises(ValueError, match="expected b once"):
        configuration.replaced("# b\na: 1\n", {"a": "c", "b": "d"})


def test_other_programs_are_started_as_without_containers():
    services, path = read()["services"], Path("/x")
    commands = {
        "prometheus": programs.prometheus_command("x", path, path, "y"),
        "alertmanager": programs.alertmanager_command("x", path, path, "y"),
    }
    for name, command in commands.items():
        flags = {one.partition("=")[0] for one in command[1:]}
        assert {one.partition("=")[0] for one in services[name]["command"]} == flags


@pytest.mark.parametrize(
    ("name", "tool", "check"),
    [
        ("prometheus", "promtool", ("check", "config")),
        ("alertmanager", "amtool", ("check-config",)),
    ],
)
def test_the_mounted_configuration_is_valid_where_it_is_mounted(tmp_path, name, tool, check):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    document = read()
    for source, target in mounts(document, name):
        place = tmp_path / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)
    config = document["services"][name]["command"][0].removeprefix("--config.file=")
    if name == "alertmanager":
        (secret,) = document["services"][name]["secrets"]
        assert secret["target"] == str(Path(config).with_name("webhook.token"))

    ran = subprocess.run(
        [tool, *check, str(tmp_path / config.lstrip("/"))], capture_output=True, text=True
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_image_has_the_folders_of_volumes_for_its_user():
    # An engine gives a new volume the owner of the folder that it covers.
    (made,) = re.findall(r"install -d -o 65532 -g 65532 (.*)", DOCKERFILE.read_text())
    service = read()["services"]["reevaluator"]

    assert {volume.split(":")[1] for volume in service["volumes"]} <= set(made.split())


@pytest.mark.parametrize("name", OURS)
def test_ports_of_a_container_may_open_to_its_network(name):
    of = settings_of(read()["services"][name])

    Access(of).check(host=of.host, admin_host=of.admin_host)


def test_containers_ask_each_other_by_the_ports_they_open():
    services = read()["services"]
    server, judge = (settings_of(services[name]) for name in OURS)
    prometheus, alertmanager = (
        yaml.safe_load(configuration.compose()[configuration.COMPOSE / name])
        for name in ("prometheus.yml", "alertmanager.yml")
    )
    scraped = [job["static_configs"][0]["targets"] for job in prometheus["scrape_configs"]]
    hooks = [one for hook in alertmanager["receivers"] for one in hook.get("webhook_configs", ())]

    assert scraped == [[f"sonoba:{server.metrics_port}"], [f"reevaluator:{judge.metrics_port}"]]
    assert [one["url"] for one in hooks] == [f"http://reevaluator:{judge.webhook_port}/alerts"]


def secrets_made(folder):
    """Make the secrets as the command of the documentation does, elsewhere."""
    done = subprocess.run(
        ["make", "stack-secrets", f"COMPOSE_SECRETS={folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_secrets_lie_where_only_their_owner_comes_and_are_made_once(tmp_path):
    folder = secrets_made(tmp_path / "stack")
    before = {path.name: path.read_text() for path in folder.iterdir()}
    secrets_made(folder)

    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert set(before) == {"admin.token", "webhook.token"}
    assert len(set(before.values())) == 2
    assert all(re.fullmatch(r"[\w+/]{43}\n", text) for text in before.values())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}


class Processes:
    """The containers of ours as processes: their commands, environment and probes."""

    def __init__(self, folder):
        self.folder, self.started = folder, []
        self.document = read()["services"]
        self.ports = {str(port): str(free_port()) for port in (50051, 50052, 50053, 9464, 8085)}
        self.secrets = secrets_made(folder / "secrets")
        for name in ("store", "reports"):
            (folder / name).mkdir()

    def environment(self, name):
        """Return what a container has, for this machine: its folders, names and ports."""
        moved = {
            "/run/secrets/admin_token": str(self.secrets / "admin.token"),
            "/run/secrets/webhook_token": str(self.secrets / "webhook.token"),
            "/var/lib/sonoba": str(self.folder),
            "sonoba:50052": f"127.0.0.1:{self.ports['50052']}",
            "0.0.0.0": "127.0.0.1",
        }
        found = {}
        for variable, value in self.document[name]["environment"].items():
            for old, new in moved.items():
                value = value.replace(old, new)
            found[variable] = self.ports.get(value, value)
        ports = {"SONOBA_GRPC_PORT": "50051", "SONOBA_METRICS_PORT": "9464"}
        ports |= {"SONOBA_ADMIN_PORT": "50052", "SONOBA_WEBHOOK_PORT": "8085"}
        if name == "reevaluator":
            self.ports["9464"] = str(free_port())
        return {variable: self.ports[port] for variable, port in ports.items()} | found

    def run(self, name, words):
        """Start a command in the surroundings of a container."""
        environ = {**os.environ, "PYTHONPATH": "client", "SONOBA_LAME_DUCK_SECONDS": "0.1"}
        return subprocess.Popen(
            [sys.executable, "-m", "service.cli", *(self.ports.get(one, one) for one in words)],
            cwd=ROOT,
            env=environ | self.environment(name),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start(self, name):
        """Start a service; return what its health check says once it is well."""
        child = self.run(name, self.document[name]["command"])
        self.started.append(child)
        probe = self.document[name]["healthcheck"]["test"]
        assert probe[:2] == ["CMD", "sonoba"]
        until = time.monotonic() + 60.0
        while time.monotonic() < until and child.poll() is None:
            asked = self.run(name, probe[2:])
            said, _ = asked.communicate(timeout=30)
            if asked.returncode == 0:
                return said
        raise AssertionError(child.communicate()[0] if child.poll() is not None else said)

    def stop(self):
        """Ask all to end as `docker stop` does; return what they exited with."""
        for child in reversed(self.started):
            child.terminate()
        for child in self.started:
            child.communicate(timeout=40)
        return [child.returncode for child in self.started]


@pytest.mark.slow
def test_the_commands_of_the_containers_run_are_healthy_and_end(tmp_path):
    processes = Processes(tmp_path)
    try:
        said = [processes.start(name) for name in OURS]
        made = sorted(path.name for path in (tmp_path / "store").iterdir())
    finally:
        statuses = processes.stop()

    assert [line.partition(": ")[2] for line in said] == [
        "sonoba.v1.Predictor: SERVING\n",
        "sonoba.v1.Operations: SERVING\n",
    ]
    assert ".reevaluator.lock" in made and "audit.sqlite" in made
    assert statuses == [0, 0]
