"""What kubelet would make of rendered objects: the folders of a pod, and its environment."""

import base64
from pathlib import Path

import yaml

PORTS = "_PORT"  # the end of every setting that is a port


def created(printed: str) -> dict[str, dict[str, bytes]]:
    """Return the Secrets that `kubectl create --dry-run` printed, by name and key."""
    found = [one for one in yaml.safe_load_all(printed) if one and one["kind"] == "Secret"]
    return {
        one["metadata"]["name"]: {k: base64.b64decode(v) for k, v in one["data"].items()}
        for one in found
    }


def mounted(pod: dict, secrets: dict[str, dict[str, bytes]], root: Path) -> dict[str, Path]:
    """Write the volumes of a pod; return the folder behind every path of its container."""
    places = {}
    for mount in pod["containers"][0]["volumeMounts"]:
        volume = next(one for one in pod["volumes"] if one["name"] == mount["name"])
        folder = root / mount["name"]
        folder.mkdir(parents=True)
        for name, content in _files(volume, secrets).items():
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o440)
        places[mount["mountPath"]] = folder
    return places


def _files(volume: dict, secrets: dict[str, dict[str, bytes]]) -> dict[str, bytes]:
    """Return the files that Secrets put into a volume; a key that is missing is a KeyError."""
    if "secret" in volume:
        return secrets[volume["secret"]["secretName"]]
    found = {}
    for source in volume.get("projected", {}).get("sources", ()):
        if "secret" in source:
            keys = secrets[source["secret"]["name"]]
            found |= {item["path"]: keys[item["key"]] for item in source["secret"]["items"]}
    return found


def environment(pod: dict, documents: list[dict], places: dict[str, Path]) -> dict[str, str]:
    """Return the variables of a pod's container, on loopback, free ports and our folders."""
    container = pod["containers"][0]
    maps = {one["metadata"]["name"]: one for one in documents if one["kind"] == "ConfigMap"}
    found = {}
    for source in container["envFrom"]:
        found |= maps[source["configMapRef"]["name"]]["data"]
    found |= {one["name"]: one["value"] for one in container["env"]}
    for name, value in found.items():
        for path, folder in places.items():
            value = value.replace(path, str(folder))
        found[name] = "0" if name.endswith(PORTS) else value.replace("0.0.0.0", "127.0.0.1")
    return found
