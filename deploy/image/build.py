"""`make image`: build the image with docker, podman or buildah, whichever is there, and say which.

Bases by digest, another tag and everything else: `make image IMAGE_FLAGS='--base NAME@sha256:...'`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, without installing

from deploy.image import pip_settings

ROOT = Path(__file__).resolve().parents[2]
BUILDERS = ("docker", "podman", "buildah")
STAGES = {"serve": "build", "pretrain": "build-pretrain"}  # of a target, where packages are fetched


def main(arguments: list[str]) -> int:
    """Build; return the builder's exit status."""
    asked = _parsed(arguments)
    builder = asked.builder or chosen()
    if builder is None:
        print(
            f"none of {', '.join(BUILDERS)} can build here: install one, or start docker's daemon"
        )
        return 1
    name = "sonoba" if asked.target == "serve" else "sonoba-pretrain"
    # The compose file and the overlay `local` name :dev, the latter with a host.
    tags = (
        [asked.tag]
        if asked.tag
        else [f"{name}:{version()}", f"{name}:dev", f"localhost/{name}:dev"]
    )
    print(f"building {', '.join(tags)} with {builder}", flush=True)
    with tempfile.TemporaryDirectory(prefix="sonoba-image-") as folder:
        for command in commands(builder, tags, asked.target, asked.base, Path(folder)):
            ran = subprocess.run([*command, *asked.flags, "."], cwd=ROOT)
            if ran.returncode != 0:
                return ran.returncode
    print(f"built {', '.join(tags)} with {builder}")
    return save(builder, tags[0], asked.save) if asked.save else 0


def chosen() -> str | None:
    """Return the first builder that works: a docker client without its daemon does not."""
    for builder in BUILDERS:
        if shutil.which(builder) is not None:
            probe = [builder, "info"]
            if subprocess.run(probe, capture_output=True).returncode == 0:
                return builder
    return None


def commands(
    builder: str, tags: list[str], target: str, base: str, secrets: Path
) -> list[list[str]]:
    """Return what to run, one after the other, each less the folder that it builds from."""
    found, local = pip_settings.settings(), []
    if builder == "docker":  # its daemon sees nothing of this machine's folders
        found = pip_settings.without_local(found)
    else:
        local = pip_settings.local_paths(found)
    common = [builder, "build", "--file", "deploy/Dockerfile"]
    for file in pip_settings.write_secrets(found, secrets):
        common += ["--secret", f"id={file.name},src={file}"]
    arguments = {
        "VERSION": version(),
        "REVISION": revision(),
        **({"BASE_IMAGE": base} if base else {}),
    }
    for name, value in arguments.items():
        common += ["--build-arg", f"{name}={value}"]
    if builder != "docker":
        # OCI's own format knows no HEALTHCHECK, and these two write it unless told otherwise.
        common += ["--format", "docker", "--layers"]
    last = [*common, "--target", target, *(part for tag in tags for part in ("--tag", tag))]
    if not local:
        return [last]
    # A mounted folder leaves an empty one behind: what is kept is built without, from the layers.
    mounts = [part for path in local for part in ("--volume", f"{path}:{path}:ro")]
    return [[*common, *mounts, "--target", STAGES[target]], last]


def save(builder: str, tag: str, file: Path) -> int:
    """Write an image to an archive of docker's format; return the builder's exit status."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)  # podman and buildah add to one that is there
    if builder == "buildah":
        command = [builder, "push", "--quiet", tag, f"docker-archive:{file}:{tag}"]
    else:
        command = [builder, "save", "--output", str(file), tag]
    return subprocess.run(command).returncode


def version() -> str:
    """Return the version that the project says it has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def revision() -> str:
    """Return the commit, with `-dirty` where files differ from it."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    ran = subprocess.run(git, capture_output=True, text=True)
    return ran.stdout.strip() if ran.returncode == 0 else "unknown"


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deploy/image/build.py", description=__doc__)
    parser.add_argument("--builder", choices=BUILDERS, help="default: the first that works")
    parser.add_argument("--target", choices=list(STAGES), default="serve")
    parser.add_argument("--tag", help="default: sonoba or sonoba-pretrain, and the version")
    parser.add_argument("--save", type=Path, help="also write the image to this archive")
    parser.add_argument("--base", default="", help="another base image, best by digest")
    parser.add_argument("flags", nargs="*", help="after --: for the builder itself")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    os.environ.setdefault("DOCKER_BUILDKIT", "1")  # older clients build without secrets otherwise
    raise SystemExit(main(sys.argv[1:]))
