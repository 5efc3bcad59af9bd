"""Files and folders that settings name lie on a volume: the root of a container is read-only."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from deploy.checks.objects import Json, Pod, Tree
from deploy.checks.settings import command, settings_of
from service.settings import Settings

FLAT = "flat://"  # a store that is read as it lies, and copied to store_cache
WRITTEN = {"serve": ("store_cache",), "reevaluator": ("store", "reports")}


def path_breaches(tree: Tree) -> Iterator[str]:
    """Yield files that no volume brings, and folders that could not be written."""
    for pod in tree.pods:
        for container in pod.containers:
            settings = settings_of(tree, container)
            if settings is None:
                continue
            for name, path in _read(settings):
                yield from (f"{pod.name}: {name}: {it}" for it in _unreadable(pod, container, path))
            for name, path in _written(settings, command(container)):
                if not _is_writable(mount_of(container, path), pod):
                    yield f"{pod.name}: {name}: expected a path on a volume to write to, got {path}"


def _read(settings: Settings) -> Iterator[tuple[str, PurePosixPath]]:
    for name, value in settings:
        if name.endswith("_file") and value is not None:
            yield name, PurePosixPath(value)
    for path in settings.model_files:
        yield "model_files", PurePosixPath(path)
    if settings.store and settings.store.startswith(FLAT):
        yield "store", PurePosixPath(settings.store.removeprefix(FLAT))


def _written(settings: Settings, kind: str) -> Iterator[tuple[str, PurePosixPath]]:
    for name in WRITTEN[kind]:
        value = getattr(settings, name)
        if value is not None and (kind != "serve" or settings.store):
            yield name, PurePosixPath(value)


def mount_of(container: Json, path: PurePosixPath) -> Json | None:
    """Return the mount that a path lies on."""
    mounts = container.get("volumeMounts") or ()
    on = [mount for mount in mounts if path.is_relative_to(mount["mountPath"])]
    return max(on, key=lambda mount: len(mount["mountPath"]), default=None)


def _unreadable(pod: Pod, container: Json, path: PurePosixPath) -> Iterator[str]:
    mount = mount_of(container, path)
    volume = _volume(pod, mount)
    if mount is None or volume is None:
        yield f"expected a path on a volume, got {path}"
        return
    brought = list(_brought(volume))
    within = str(path.relative_to(mount["mountPath"]))
    if brought and within != "." and within not in brought:
        yield f"expected one of {', '.join(brought)} in {mount['mountPath']}, got {within}"


def _brought(volume: Json) -> Iterator[str]:
    """Yield the files of a volume, where its sources list them."""
    for source in (volume, *(volume.get("projected") or {}).get("sources", ())):
        for field in ("secret", "configMap"):
            for item in (source.get(field) or {}).get("items") or ():
                yield item["path"]


def _volume(pod: Pod, mount: Json | None) -> Json | None:
    named = (one for one in pod.spec.get("volumes") or () if mount and one["name"] == mount["name"])
    return next(named, None)


def _is_writable(mount: Json | None, pod: Pod) -> bool:
    volume = _volume(pod, mount)
    if mount is None or volume is None or mount.get("readOnly"):
        return False
    return bool(volume.keys() & {"emptyDir", "persistentVolumeClaim"})
