"""The `flask` commands, one module for each subject. The memory package has its own commands.

A command is loaded when it is called or listed, so that `flask project list` does not load what
only `flask worker` needs.
"""

from __future__ import annotations

from importlib import import_module

import click
from flask import Flask
from flask.cli import AppGroup

# Name of the command, its module and its name there.
COMMANDS = {
    "db": ("app.cli.store", "db_group"),
    "user": ("app.cli.accounts", "user_group"),
    "token": ("app.cli.accounts", "token_group"),
    "project": ("app.cli.projects", "project_group"),
    "release": ("app.cli.releases", "release_group"),
    "search": ("app.cli.search", "search_group"),
    "backup": ("app.cli.backup", "backup_command"),
    "restore": ("app.cli.backup", "restore_command"),
    "demo": ("app.cli.demo", "demo_command"),
    "erase": ("app.cli.erase", "erase_command"),
    "verify": ("app.cli.verify", "verify"),
    "prune": ("app.cli.store", "prune_command"),
    "worker": ("app.cli.worker", "worker_command"),
}
# Flask's own commands and ours that send requests to the application or list its routes.
WITH_PAGES = {"run", "shell", "routes", "verify"}


class Commands(AppGroup):
    """The commands of the application; those of ``COMMANDS`` are loaded when they are needed."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, ``None`` if there is none of this name."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            module, name = COMMANDS[cmd_name]
            self.add_command(getattr(import_module(module), name), cmd_name)
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*self.commands, *COMMANDS})


def needs_pages(arguments: list[str]) -> bool:
    """Return whether a command line of `flask` needs the pages and the API.

    :param arguments: those of the process; a command of another package may need everything.
    """
    return bool(WITH_PAGES & set(arguments)) or not (set(COMMANDS) & set(arguments))


def init_app(app: Flask) -> None:
    """Register the commands with the application. Call this before other packages add theirs."""
    app.cli = Commands(app.name)
