"""The `flask` commands, one module for each subject. The memory package has its own commands."""

from __future__ import annotations

from flask import Flask

from app.cli.accounts import token_group, user_group
from app.cli.projects import project_group
from app.cli.releases import release_group
from app.cli.store import db_group, prune_command
from app.cli.verify import verify
from app.cli.worker import worker_command

COMMANDS = (
    db_group,
    user_group,
    token_group,
    project_group,
    release_group,
    verify,
    prune_command,
    worker_command,
)


def init_app(app: Flask) -> None:
    """Register the commands with the application."""
    for command in COMMANDS:
        app.cli.add_command(command)
