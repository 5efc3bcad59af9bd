"""What `make image` tells a builder, and what the Dockerfile says, without building anything."""

import re
import subprocess

import pytest

from deploy.image import build, pip_settings
from service.settings import Settings
from tests.deploy.containers import ROOT

DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
SECRET = "https://someone:password@mirror.invalid/simple"


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """pip's configuration of a machine with a mirror, a folder of wheels and an authority."""
    authority = tmp_path / "authority.pem"
    authority.write_text("an authority")
    (tmp_path / "wheels").mkdir()
    found = {"mirror": SECRET, "folder": f"{tmp_path}/wheels", "cert": str(authority)}
    monkeypatch.setattr(pip_settings, "settings", lambda: dict(found))
    (tmp_path / "secrets").mkdir()
    return tmp_path


def told(builder, mirror, **changes):
    asked = {"tags": ["sonoba:1"], "target": "serve", "base": "", "secrets": mirror / "secrets"}
    return build.commands(builder, **(asked | changes))


@pytest.mark.parametrize("builder", build.BUILDERS)
def test_a_password_of_a_mirror_is_in_a_secret_and_in_no_argument(mirror, builder):
    commands = told(builder, mirror)
    written = (mirror / "secrets/pip.conf").read_text()

    assert SECRET in written and "cert = /run/secrets/ca.pem" in written
    assert (mirror / "secrets/ca.pem").read_text() == "an authority"
    assert not any("mirror.invalid" in part for command in commands for part in command)
    for command in commands:
        assert f"id=pip.conf,src={mirror}/secrets/pip.conf" in command


def test_folders_of_the_machine_are_mounted_in_a_pass_of_which_nothing_is_kept(mirror):
    first, last = told("buildah", mirror)

    assert f"{mirror}/wheels:{mirror}/wheels:ro" in first and "--tag" not in first
    assert "--volume" not in last and last[-2:] == ["--tag", "sonoba:1"]
    assert first[first.index("--target") + 1] == "build"
    assert all("docker" in command for command in (first, last))  # the format with a health check


def test_docker_is_not_sent_to_folders_that_its_daemon_cannot_see(mirror):
    (command,) = told("docker", mirror)

    assert "--volume" not in command and "--format" not in command
    assert "wheels" not in (mirror / "secrets/pip.conf").read_text()


def test_what_pip_is_set_up_to_do_is_read_from_pip(monkeypatch):
    monkeypatch.setenv("PIP_TIMEOUT", "17")

    assert pip_settings.settings()["timeout"] == "17"


def test_a_build_that_fails_fails(monkeypatch, mirror, capsys):
    failed = subprocess.CompletedProcess([], 3)
    monkeypatch.setattr(build.subprocess, "run", lambda *_, **__: failed)

    assert build.main(["--builder", "podman"]) == 3
    assert "built" not in capsys.readouterr().out.replace("building", "")


def test_without_a_builder_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(build.shutil, "which", lambda _: None)

    assert build.main([]) == 1
    assert "none of docker, podman, buildah" in capsys.readouterr().out


def test_ports_and_variables_are_those_of_the_settings():
    (exposed,) = re.findall(r"^EXPOSE (.*)$", DOCKERFILE, re.MULTILINE)
    variables = re.findall(r"\bSONOBA_([A-Z_]+)=", DOCKERFILE)
    names = ("grpc_port", "metrics_port", "admin_port")
    defaults = [str(Settings.model_fields[name].default) for name in names]

    assert exposed.split() == defaults
    assert variables == ["HOST"] and "host" in Settings.model_fields


def test_every_base_has_a_tag_and_every_build_tool_a_pin():
    bases = re.findall(r"^ARG [A-Z]+_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    sources = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    tools = (ROOT / "deploy/image/build-requirements.txt").read_text().splitlines()

    assert [one for one in bases if ":" not in one and not one.startswith("$")] == []
    assert sources - stages == {"${BASE_IMAGE}", "${RUNTIME_IMAGE}"}
    assert [one for one in tools if not re.fullmatch(r"[a-z]+==[0-9.]+", one)] == []


def test_the_build_sees_what_it_copies_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    admitted = {line[1:].removesuffix("/**") for line in lines if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)

    assert lines[1] == "**"  # after what the file is for
    assert admitted == {name for line in copied for name in line.split()}
