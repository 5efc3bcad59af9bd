"""What a process that answers is handed: the settings as they were read, in its environment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.handed import HANDED, Handed, command, handing, taken
from service.settings import Settings

SETTINGS = {
    "the defaults": Settings(),
    "others": Settings(
        model_files=(Path("a.json"), Path("/b/ü,'\"c.json")),
        store="s3://bucket/ストア",
        tls_cert_file=Path("cert.pem"),
        replicas=("one:1", "two:2"),
        health_port=0,
        reflection=False,
        quota_calls_per_second=0.1,
        monitor_processor_share=1 / 3,
        max_message_bytes=2**30,
    ),
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_every_setting_arrives_with_its_value_and_type(settings):
    environ = handing(Handed(settings, "bin/sonoba"), {"PATH": "/bin"})
    found, program = taken(environ[HANDED])

    assert (environ["PATH"], program) == ("/bin", "bin/sonoba")
    assert vars(found) == dict(settings)
    for name in Settings.model_fields:
        assert type(getattr(found, name)) is type(getattr(settings, name)), name


def test_a_process_imports_from_where_we_do(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["/somewhere/else"])
    assert command() == [sys.executable, "-P", "-m", "service.process"]

    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert command(3) == [sys.executable, "-m", "service.process", "3"]


def test_by_itself_it_says_how_to_start_it():
    environ = {name: value for name, value in os.environ.items() if name != HANDED}
    done = subprocess.run(
        [sys.executable, "-m", "service.process"], env=environ, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert done.stderr == "Error: start it with `sonoba serve`, which reads the settings\n"
