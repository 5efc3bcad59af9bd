"""The settings that a container of ours starts with, read by the class that it reads them with."""

from deploy.checks.objects import Json, Tree
from service.settings import Settings, SettingsError

COMMANDS = ("serve", "reevaluator")  # whose settings we know
IN_A_CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def command(container: Json) -> str:
    """Return which command of ours a container runs; empty if it is none that is served."""
    words = container.get("args") or ()
    return words[0] if words and words[0] in COMMANDS else ""


def settings_of(tree: Tree, container: Json) -> Settings | None:
    """Return the settings of a container; None if it is not ours, or they are wrong."""
    try:
        return read(tree, container) if command(container) else None
    except SettingsError:
        return None


def read(tree: Tree, container: Json) -> Settings:
    """Return the settings of a container; `SettingsError` says what stops its start."""
    words = container["args"][1:]
    flags = {
        flag.removeprefix("--").replace("-", "_"): value
        for flag, value in zip(words[::2], words[1::2], strict=True)
    }
    return Settings.from_environ(IN_A_CLUSTER | tree.environment(container), **flags)
