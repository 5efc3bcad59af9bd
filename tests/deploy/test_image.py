"""The image, built and run without a daemon: what is in it, what it may do, how it stops.

`make image-test` runs these; `make test` leaves them out, for they take minutes.
"""

import json
import re
import subprocess
import threading
import time

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import sonoba
from deploy.image import pip_settings
from sonoba.v1 import predictor_pb2_grpc
from tests.deploy.containers import (
    FOLDER,
    HARDENED,
    LIMITS,
    ROOT,
    TAG,
    Container,
    Engine,
    skip_without_tools,
)
from tests.deploy.test_dashboard_live import free_port
from tests.service.asking import asking

pytestmark = [pytest.mark.image, pytest.mark.slow, pytest.mark.timeout(900)]

MEGABYTE = 1_000_000
LAYER_MEGABYTES, COMPRESSED_MEGABYTES = 250, 150
RESIDENT_MEGABYTES = 110
WRITABLE = {"/run/sonoba", "/dev/shm"}  # both are memory
PLACES = [
    "/",
    "/etc",
    "/run",
    "/run/sonoba",
    "/srv/sonoba",
    "/tmp",
    "/var/lib/sonoba/store",
    "/dev/shm",
]
PROBE = f"""
import os
for place in {PLACES}:
    try:
        open(os.path.join(place, "probe"), "w").close()
    except OSError:
        continue
    print(place)
"""
LIMIT = """
from pathlib import Path
for one in ("memory.max", "memory/memory.limit_in_bytes"):  # control groups 2, or 1
    if (path := Path("/sys/fs/cgroup", one)).exists():
        print(path.read_text())
"""
LAME_DUCK_SECONDS = 4
SYFT = ROOT / ".venv-sbom/bin/syft"
X = np.random.default_rng(0).normal(size=(16, 5))
REQUEST = asking(X, X.sum(1), X[:1])
HEAVY = np.random.default_rng(0).normal(size=(3000, 200))


@pytest.fixture(scope="module")
def engine():
    skip_without_tools()
    found = Engine()
    found.build()
    return found


@pytest.fixture(scope="module")
def archive(engine):
    """The image as a registry keeps it, every layer compressed."""
    folder = FOLDER / "oci"
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    engine.run("buildah", "push", "--quiet", "--format", "oci", TAG, f"oci:{folder}:test")
    return folder


@pytest.fixture(scope="module")
def files(engine):
    return [line.split(" ", 3) for line in engine.files()]


@pytest.fixture(scope="module")
def server(engine):
    port = free_port()
    found = Container(
        engine,
        f"sonoba-image-test-{port}",
        SONOBA_HOST="127.0.0.1",
        SONOBA_GRPC_PORT=port,
        SONOBA_METRICS_PORT=free_port(),
        SONOBA_LAME_DUCK_SECONDS=LAME_DUCK_SECONDS,
    )
    try:
        grpc.channel_ready_future(grpc.insecure_channel(f"127.0.0.1:{port}")).result(timeout=60)
        found.port = port
        yield found
    finally:
        found.remove()


def test_the_configuration_is_what_an_orchestrator_expects(engine):
    told = engine.inspect("image", TAG)
    config, labels = told["Config"], told["Labels"]
    named = {name.removeprefix("org.opencontainers.image."): labels[name] for name in labels}

    assert config["User"] == "65532:65532"
    assert (config["Entrypoint"], config["Cmd"]) == (["sonoba"], ["serve"])
    assert sorted(config["ExposedPorts"]) == ["50051/tcp", "50052/tcp", "9464/tcp"]
    assert told["Healthcheck"]["Test"] == ["CMD", "sonoba", "health"]
    assert (named["title"], named["version"]) == ("sonoba", sonoba.__version__)
    assert named["licenses"] == "Apache-2.0"
    assert re.fullmatch("[0-9a-f]{40}(-dirty)?|unknown", named["revision"])


def test_nothing_of_the_machine_that_built_it_is_in_it(engine, files):
    """Neither variables nor pip's configuration, and no folder where something was mounted."""
    told = json.dumps(engine.inspect("image", TAG))
    variables = {entry.partition("=")[0] for entry in engine.inspect("image", TAG)["Config"]["Env"]}
    paths = {f"/{path}" for _, _, _, path in files}
    found = pip_settings.settings()

    assert variables == {
        *("PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "TMPDIR"),
        "SONOBA_HOST",
    }
    assert [text for text in found.values() if len(text) > 4 and text in told] == []
    assert [path for path in pip_settings.local_paths(found) if str(path) in paths] == []
    assert {"/run/secrets", "/etc/pip.conf", "/src", "/tools", "/wheels"} & paths == set()
    assert "/etc/apt/sources.list" not in paths


def test_it_has_neither_torch_nor_what_installs_software(files):
    programs = {path.split("bin/")[1] for _, _, _, path in files if "bin/" in path}
    folders = {path.rpartition("/")[2] for mode, _, _, path in files if mode[0] == "d"}

    assert {"grpc", "numpy", "sonoba", "service", "model"} <= folders
    assert {"torch", "pip", "setuptools", "wheel", "ensurepip", "python-wheels"} & folders == set()
    assert {"python", "sonoba"} <= programs
    assert {"pip", "pip3", "gcc", "curl", "wget"} & programs == set()


def test_the_service_owns_nothing_but_where_volumes_go(files):
    owned = {f"/{path}" for _, owner, _, path in files if owner == "65532"}
    open_to_all = {f"/{path}" for mode, _, _, path in files if mode[0] != "l" and mode[8] == "w"}

    assert owned == {f"/var/lib/sonoba{end}" for end in ("", "/store", "/reports")}
    devices = {path for path in open_to_all if path.startswith("/dev/")}
    assert open_to_all - devices == {"/run/sonoba", "/run/lock", "/tmp", "/var/tmp"}


def test_it_is_small(archive, files):
    index = json.loads((archive / "index.json").read_text())
    blobs = archive / "blobs/sha256"
    manifest = json.loads((blobs / index["manifests"][0]["digest"].partition(":")[2]).read_text())
    layers = [layer["size"] / MEGABYTE for layer in manifest["layers"]]
    sizes = [int(size) for _, _, size, path in files if path.startswith("srv/")]
    own_megabytes = sum(sizes) / MEGABYTE

    print(f"compressed {sum(layers):.1f} MB; the environment alone {own_megabytes:.1f} MB")
    assert sum(layers) <= COMPRESSED_MEGABYTES
    assert own_megabytes <= LAYER_MEGABYTES


def test_the_list_of_software_names_what_is_in_it(archive, tmp_path):
    if not SYFT.exists():
        pytest.skip("syft is not installed: make .venv-sbom/done")
    out = tmp_path / "sbom.json"
    command = [SYFT, "scan", "--quiet", f"oci-dir:{archive}", "--output", f"cyclonedx-json={out}"]
    subprocess.run(command, check=True, timeout=300, env={"SYFT_CHECK_FOR_APP_UPDATE": "false"})
    listed = {
        one["name"].lower(): one["version"] for one in json.loads(out.read_text())["components"]
    }
    pins = [line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines()]
    pinned = {name.lower(): version for name, version in pins}
    needed = {"grpcio", "numpy", "protobuf", "pydantic", "cryptography", "duckdb", "pyyaml"}

    assert {name: listed.get(name) for name in needed} == {name: pinned[name] for name in needed}
    assert listed["sonoba"] == listed["sonoba-server"] == sonoba.__version__
    assert "python3.11" in listed and "libc6" in listed
    assert "torch" not in listed and "pip" not in listed


def test_it_runs_as_nobody_with_no_rights_in_256_megabytes(server):
    status = server.status()

    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65532"}
    assert [int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")] == [
        0
    ] * 5
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert server.python(LIMIT).strip() == str(256 * 2**20)
    assert set(server.python(PROBE).split()) == WRITABLE


def test_the_probe_of_what_can_be_written_finds_what_can(engine):
    loose = ("run", "--rm", "--network", "host", *LIMITS, "--user", "0", "--entrypoint", "python")
    ran = engine.podman(*loose, TAG, "-c", PROBE)

    assert set(ran.stdout.split()) == set(PLACES), ran.stderr


def test_what_takes_more_memory_is_ended(engine):
    run = ("run", "--rm", *HARDENED, "--entrypoint", "python", TAG, "-c", "bytearray(400 * 2**20)")

    assert engine.podman(*run).returncode == 137


def test_beyond_loopback_it_says_what_it_needs_before_it_starts(engine):
    ran = engine.podman("run", "--rm", *HARDENED, TAG)

    assert ran.returncode == 1
    assert "tls_cert_file" in ran.stderr and "Traceback" not in ran.stderr


def test_it_answers_and_is_healthy_and_its_memory_stays_far_below_the_limit(engine, server):
    with sonoba.Client(f"127.0.0.1:{server.port}") as client:
        answers = [client.predict(X, X.sum(1), X[:1]).values[0] for _ in range(2000)]
    probe = engine.podman("healthcheck", "run", server.name)
    resident = int(server.status()["VmRSS"].split()[0]) / 1000

    print(f"resident after {len(answers)} calls: {resident:.0f} MB")
    np.testing.assert_allclose(answers, X[0].sum(), rtol=0.2)
    assert probe.returncode == 0, probe.stdout + probe.stderr
    assert resident < RESIDENT_MEGABYTES


class Callers:
    """Four that call without pause until their server's health says that it will go."""

    def __init__(self, port):
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = predictor_pb2_grpc.PredictorStub(self._channel)
        self._leaving, self.outcomes = threading.Event(), []
        jobs = [self._watch, *[self._call] * 4]
        self._threads = [threading.Thread(target=job) for job in jobs]
        for thread in self._threads:
            thread.start()

    def join(self):
        for thread in self._threads:
            thread.join(30)
        self._channel.close()

    def _watch(self):
        asked = health_pb2.HealthCheckRequest(service="sonoba.v1.Predictor")
        for told in health_pb2_grpc.HealthStub(self._channel).Watch(asked, timeout=60):
            if told.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                break
        self._leaving.set()

    def _call(self):
        """Note of each call whether it was answered, and whether the end was known by then."""
        while not self._leaving.is_set():
            self._ask(REQUEST)
        self._ask(asking(HEAVY, HEAVY[:, 0], HEAVY[:1]))  # begun when health had fallen

    def _ask(self, request):
        try:
            self._stub.Predict(request, timeout=20)
            self.outcomes.append((True, self._leaving.is_set()))
        except grpc.RpcError as error:
            self.outcomes.append((error.code(), self._leaving.is_set()))


def test_a_stop_finishes_every_call_and_ends_with_0(server):
    """The last test: the server is gone after it."""
    callers = Callers(server.port)
    time.sleep(0.5)
    begun = time.monotonic()
    status = server.stop(30)
    took = time.monotonic() - begun
    callers.join()
    late = [outcome for outcome, was_leaving in callers.outcomes if was_leaving]

    print(f"{len(callers.outcomes)} calls, {len(late)} ended in the lame duck; {took:.1f} s")
    assert status == 0, server.logs()
    assert {outcome for outcome, _ in callers.outcomes} == {True}
    assert len(late) >= 4
    assert LAME_DUCK_SECONDS <= took < LAME_DUCK_SECONDS + 10.0
