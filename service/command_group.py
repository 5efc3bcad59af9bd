"""Commands that are loaded when they are run: what serves has no use for the others' code.

Each is a name and where it is defined, as in click's own example of a lazily loaded group; together
they are 0.7 MB of every server and worker, and 40 ms of its start.
"""

import importlib

import click

COMMANDS = {
    "assess": "service.assess.command:assess",
    "audit": "service.audit_command:audit",
    "demo": "service.demo:demo",
    "doctor": "service.doctor:doctor",
    "evaluate": "service.evaluate_command:evaluate",
    "health": "service.health_command:health",
    "models": "service.models_command:models",
    "predict": "service.predict:predict",
    "pretrain": "service.pretrain:pretrain",
    "pretrain-foundation": "service.training:pretrain_foundation",
    "reproduce": "service.reproduce:reproduce",
    "rules": "service.rules_command:rules",
    "template": "service.template_command:template",
    "tenants": "service.tenants_command:tenants",
    "token": "service.token_command:token",
}


class LazyGroup(click.Group):
    """A group of the commands defined beside it and of `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name, loaded if need be; None where there is none."""
        if (place := COMMANDS.get(cmd_name)) is None:
            return super().get_command(ctx, cmd_name)
        module, name = place.split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command
