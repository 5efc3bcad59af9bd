"""Containers without a daemon: buildah, podman and runc of Debian, with a storage of their own."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "out/image"
BASE, TAG = "localhost/sonoba-base:test", "localhost/sonoba:test"
TOOLS = ("buildah", "podman", "runc", "mmdebstrap")
BASE_SECONDS = 7 * 86_400  # age at which the stand-in for the base image is made anew
# podman's own limits are higher than what some machines let even root set.
LIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
HARDENED = [  # what the manifests ask of a cluster, in podman's words
    *("--network", "host", "--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges", "--memory", "256m", "--memory-swap", "256m"),
    *("--tmpfs", "/run/sonoba:rw,noexec,nosuid,size=64m"),
    *LIMITS,
]


def skip_without_tools():
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        pytest.skip(f"not installed: Debian packages {' '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("containers without a daemon are made as root here")


class Engine:
    """Commands of podman and buildah on one storage."""

    def __init__(self):
        FOLDER.mkdir(parents=True, exist_ok=True)
        config = FOLDER / "storage.conf"
        paths = {"graphroot": FOLDER / "storage", "runroot": FOLDER / "storage-run"}
        lines = ['driver = "overlay"', *(f'{key} = "{path}"' for key, path in paths.items())]
        config.write_text("\n".join(["[storage]", *lines, ""]))
        self.environ = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(config),
            "BUILDAH_ISOLATION": "chroot",  # no namespaces of its own, which machines may lack
        }

    def run(self, *command, seconds=600, **options):
        """Run a command to its end; its failure fails the test with what it said."""
        ran = subprocess.run(
            [str(part) for part in command],
            env=self.environ,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            **options,
        )
        assert ran.returncode == 0, f"{command}: {ran.stdout[-3000:]}{ran.stderr[-3000:]}"
        return ran.stdout

    def build(self):
        """Build the image on a bootstrapped Debian, for no registry is asked."""
        base = FOLDER / "base.tar"
        is_fresh = base.exists() and time.time() - base.stat().st_mtime < BASE_SECONDS
        if not is_fresh:
            self.run(ROOT / "deploy/image/debian-base", base)
        if not is_fresh or self.podman("image", "exists", BASE).returncode != 0:
            self.run("podman", "import", "--quiet", base, BASE)
        flags = ("--pull-never", "--network", "host")
        build = (sys.executable, "deploy/image/build.py", "--builder", "buildah", "--tag", TAG)
        return self.run(*build, "--base", BASE, "--", *flags)

    def inspect(self, kind, name):
        return json.loads(self.run("podman", kind, "inspect", name))[0]

    def files(self):
        """Return a line for each path in the image: mode, owner, size, path."""
        container = self.run("buildah", "from", "--pull-never", TAG).strip()
        try:
            root = self.run("buildah", "mount", container).strip()
            return self.run("find", root, "-xdev", "-printf", "%M %U %s %P\n").splitlines()
        finally:
            self.run("buildah", "umount", container)
            self.run("buildah", "rm", container)

    def podman(self, *arguments, **options):
        """Return podman's result, whatever its status."""
        command = ["podman", "--cgroup-manager", "cgroupfs", "--runtime", "runc", *arguments]
        return subprocess.run(
            command,
            env=self.environ,
            cwd=FOLDER,  # where podman's monitor leaves a note of what ran out of memory
            capture_output=True,
            text=True,
            timeout=120,
            **options,
        )


class Container:
    """One running container of the image."""

    def __init__(self, engine, name, *command, **environ):
        self._engine, self.name = engine, name
        variables = [part for key, value in environ.items() for part in ("--env", f"{key}={value}")]
        engine.podman("rm", "--force", name)
        started = engine.podman(
            "run", "--detach", "--name", name, *HARDENED, *variables, TAG, *command
        )
        assert started.returncode == 0, started.stderr
        self._pid = engine.inspect("container", name)["State"]["Pid"]

    def status(self):
        """Return what the kernel says of its first process, by name."""
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def python(self, program):
        """Run a program with the image's interpreter, in the container; return what it prints."""
        ran = self._engine.podman("exec", self.name, "python", "-c", program)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def logs(self):
        ran = self._engine.podman("logs", self.name)
        return ran.stdout + ran.stderr

    def stop(self, seconds):
        """Stop it as an orchestrator does; return the exit status."""
        self._engine.podman("stop", "--time", str(seconds), self.name)
        return self._engine.inspect("container", self.name)["State"]["ExitCode"]

    def remove(self):
        self._engine.podman("rm", "--force", "--time", "0", self.name)
