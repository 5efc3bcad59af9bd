"""The secrets of docs/deploy.md, made by its own commands, start what `production` renders.

kubectl prints in place of sending; what a cluster does with objects is not tested.
"""

import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
import yaml
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

import sonoba
from deploy.checks import render
from deploy.checks.policy import breaches
from service.access import Access
from service.reevaluator import Reevaluator
from service.replicas import Replicas, Silent
from service.server import Server
from service.settings import Settings
from sonoba import Tls
from tests.calling.document import named_blocks
from tests.deploy.mounting import created, environment, mounted
from tests.deploy.rendering import documents, needs_kubectl

pytestmark = pytest.mark.slow  # seconds, all together

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = render.OVERLAYS / "production"
BLOCKS = named_blocks((ROOT / "docs/deploy.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Run the document's two blocks of secrets in a folder, where kubectl writes `printed`."""
    tree = documents()  # skips where nothing renders
    place = tmp_path_factory.mktemp("secrets")
    programs = {
        "sonoba": f'exec "{sys.executable}" -m service.cli "$@"',
        "kubectl": f'echo --- >>printed; exec "{render.kubectl()}" "$@" '
        "--dry-run=client -o yaml >>printed",
    }
    for name, line in programs.items():
        (place / name).write_text(f"#!/bin/sh\n{line}\n")
        (place / name).chmod(0o755)
    environ = {**os.environ, "PATH": f"{place}{os.pathsep}{os.environ['PATH']}"}
    environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'client'}"
    script = BLOCKS["files"] + BLOCKS["secrets"]
    run = ["bash", "-euc", script]
    ran = subprocess.run(run, cwd=place, env=environ, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return SimpleNamespace(path=place, tree=tree)


def pod_of(tree, name):
    found = (one for one in tree if one["kind"] == "Deployment")
    return next(one for one in found if one["metadata"]["name"] == name)["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def started(folder):
    """A server and a re-evaluator with the rendered settings and the document's secrets."""
    secrets = created((folder.path / "printed").read_text())

    def settings(name, **changed):
        pod = pod_of(folder.tree, name)
        places = mounted(pod, secrets, folder.path / "pods" / name)
        environ = environment(pod, folder.tree, places) | changed
        return Settings.from_environ(environ)

    server = Server(settings("sonoba"))
    server.start()
    replicas = {"SONOBA_REPLICAS": f"localhost:{server.admin_port}"}
    # where there is no API server; tests/service has one
    judging = settings("sonoba-reevaluator", **replicas, SONOBA_PUBLISH_CONFIGMAPS="")
    judge = Reevaluator(judging)
    judge.start()
    yield SimpleNamespace(server=server, judge=judge, judging=judging)
    judge.stop()
    server.stop(0.0)


def predicted(folder, server, token):
    tls = Tls(folder.path / "ca.crt")
    with sonoba.Client(f"localhost:{server.grpc_port}", tls=tls, token=token) as client:
        return client.predict([[1.0], [2.0], [3.0], [4.0]], [1.0, 2.0, 3.0, 4.0], [[5.0]])


def test_the_caller_of_the_document_predicts_and_others_do_not(folder, started):
    assert predicted(folder, started.server, folder.path / "shop-7.token").model == "foundation"
    with pytest.raises(sonoba.SonobaError, match="token"):
        predicted(folder, started.server, None)


@pytest.mark.parametrize("name", ["sonoba", "sonoba-reevaluator"])
def test_every_rendered_probe_finds_a_service_without_tls(folder, started, name):
    container = pod_of(folder.tree, name)["containers"][0]
    process = started.server if name == "sonoba" else started.judge

    with grpc.insecure_channel(f"127.0.0.1:{process.health_port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = container[probe]["grpc"]["service"]
            told = stub.Check(health_pb2.HealthCheckRequest(service=asked), timeout=5)
            assert told.status == health_pb2.HealthCheckResponse.SERVING, asked


def test_the_reevaluator_hears_of_the_servers_over_tls(started):
    of = started.judging
    tls = Tls(of.replicas_ca_file, of.tls_cert_file, of.tls_key_file)
    replicas = Replicas(of.replicas, of.admin_token_file, tls=tls)
    try:
        (told,) = replicas.told("foundation")
    finally:
        replicas.close()

    assert not isinstance(told, Silent), told


@pytest.mark.parametrize(("token", "status"), [("webhook.token", 200), ("admin.token", 401)])
def test_the_webhook_takes_the_token_of_alertmanager_and_no_other(folder, started, token, status):
    secret = (folder.path / token).read_text().strip()
    body = b'{"version":"4","groupKey":"","status":"firing","receiver":"","alerts":[]}'
    request = urllib.request.Request(
        f"https://localhost:{started.judge.webhook_port}/alerts",
        body,
        {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
    )
    trusting = ssl.create_default_context(cafile=folder.path / "ca.crt")

    try:
        with urllib.request.urlopen(request, timeout=10, context=trusting) as found:
            answered = found.status
    except urllib.error.HTTPError as error:
        with error:
            answered = error.code
    assert answered == status


def test_the_certificate_has_every_name_by_which_pods_are_known(folder):
    certificate = x509.load_pem_x509_certificate((folder.path / "tls.crt").read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    names = found.value.get_values_for_type(x509.DNSName)

    used = {one["metadata"]["name"] for one in folder.tree if one["kind"] == "Service"}
    used |= {f"{name}.sonoba.svc" for name in used}
    (alerts,) = (one for one in folder.tree if one["kind"] == "AlertmanagerConfig")
    url = alerts["spec"]["receivers"][0]["webhookConfigs"][0]["url"]
    assert used | {urllib.parse.urlparse(url).hostname} <= set(names)


def test_production_may_be_open_to_a_network(started):
    """It listens on loopback here; on 0.0.0.0 it would start, for nothing is plain or anonymous."""
    of = started.server._settings

    assert not of.allow_plaintext and not of.allow_anonymous
    Access(of).check(host="0.0.0.0", admin_host="0.0.0.0")


def copied(to, added):
    """Write a copy of `production` elsewhere, with what an operator adds to its lists."""
    mine = yaml.safe_load((PRODUCTION / "kustomization.yaml").read_text(encoding="utf-8"))
    for key in ("resources", "components"):
        places = ((PRODUCTION / name).resolve() for name in mine[key])
        mine[key] = [os.path.relpath(place, to.resolve()) for place in places]
    mine["resources"][0] = "namespace.yaml"
    shutil.copy(PRODUCTION / "namespace.yaml", to)
    for key, entries in yaml.safe_load(added).items():
        mine[key] = [*(mine.get(key) or ()), *entries]
    (to / "kustomization.yaml").write_text(yaml.safe_dump(mine))
    return to


@pytest.mark.parametrize("block", ["settings", "rules"])
def test_what_an_operator_adds_renders_and_breaks_no_rule(tmp_path, block):
    needs_kubectl()
    shutil.copy(ROOT / "deploy/business-rules.yaml", tmp_path / "rules.yaml")

    tree = render.render(copied(tmp_path, BLOCKS[block]))

    assert list(breaches(tree)) == []
    added = set(re.findall(r"SONOBA_\w+", BLOCKS[block]))
    configured = (one.get("data", ()) for one in tree if one["kind"] == "ConfigMap")
    assert added <= {name for names in configured for name in names}
