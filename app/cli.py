"""The `flask` commands."""

from __future__ import annotations

import signal

import click
from flask import Flask
from flask.cli import AppGroup, with_appcontext

from app.accounts import SCOPES
from app.intake.retention import Limits, PruneFailed, excess, prune
from app.intake.store_bound import used_bytes
from app.memory.upkeep import Upkeep
from app.output import command_error, say, usage_error
from app.project_commands import project_group
from app.release_commands import release_group
from app.services import services
from app.vectors.errors import VectorError
from app.verify import verify
from app.worker import Worker

# Somebody who waits for a command waits for its model, too.
COMMAND_WAIT_S = 120.0

db_group = AppGroup("db", help="The store's schema.")
user_group = AppGroup("user", help="People who may log in to the admin pages.")
token_group = AppGroup("token", help="API tokens.")
memory_group = AppGroup("memory", help="The memory service.")


def init_app(app: Flask) -> None:
    """Register the commands."""
    groups = db_group, user_group, token_group, project_group, release_group, memory_group
    for group in groups:
        app.cli.add_command(group)
    app.cli.add_command(verify)
    app.cli.add_command(prune_command)
    app.cli.add_command(worker_command)


@db_group.command("upgrade")
def upgrade() -> None:
    """Bring the store's schema to the newest revision."""
    store = services().store
    store.migrate()
    say(f"the store is at revision {store.schema_revision()}")


@db_group.command("accept-loss")
def accept_loss() -> None:
    """Say that no key of a damaged store is coming back: unknown ones get 403 again, not 503."""
    lost = services().store.accept_loss()
    say("unknown keys are refused from now on" if lost else "no key is missing")


@click.command("prune")
@with_appcontext
def prune_command() -> None:
    """Remove what is beyond RETENTION_DAYS, RETENTION_EVENTS and MAX_STORE_BYTES."""
    parts = services()
    limits = Limits.of(parts.config)
    # What goes for its bytes is not known before, so the bar may grow beyond the estimate.
    with click.progressbar(length=excess(parts.store, limits), label="pruning") as bar:
        try:
            gone, failed = prune(parts.store, limits, bar.update), None
        except PruneFailed as error:
            gone, failed = error.gone, error
    say(f"{gone} envelopes removed, {used_bytes(parts.store)} bytes in use")
    if failed:
        raise command_error(f"{failed}; the log says why")


@click.command("worker")
@with_appcontext
def worker_command() -> None:
    """Run the background loop alone, until SIGTERM or Ctrl-C; every web process has one, too."""
    worker = Worker(services())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.finish())
    say(f"worker {worker.owner} runs", err=True)
    worker.run_once()
    worker.run_forever()


@memory_group.command("reindex")
def reindex_memories() -> None:
    """Make vectors of another EMBEDDER anew from the texts, and the index from the vectors."""
    found = services().memories
    upkeep = Upkeep(found)
    try:
        found.embedders.get(COMMAND_WAIT_S)
        state = found.state()
        stored = state.memories
        length = state.foreign + (stored if found.index.identity else 0)
        with click.progressbar(length=length, label="indexing") as bar:
            embedded, indexed = upkeep.reindex(bar.update)
    except VectorError as error:
        raise command_error(str(error)) from error
    say(f"{stored} memories: {embedded} embedded anew, {indexed} put into the index")
    if found.index.identity is None:
        say("exact search reads the rows themselves: there is no index to be made")


@user_group.command("add")
@click.argument("username")
@click.password_option(help="Asked for when it is not given.")
def add_user(username: str, password: str) -> None:
    """Add a person, or replace the password of one who is there."""
    _set_password(username, password)


@user_group.command("passwd")
@click.argument("username")
@click.password_option(help="Asked for when it is not given.")
def change_password(username: str, password: str) -> None:
    """Set a new password and end the sessions opened with the old one."""
    _set_password(username, password)


@user_group.command("unlock")
@click.argument("username")
def unlock_user(username: str) -> None:
    """Let a person try to log in at once who has to wait after too many wrong passwords."""
    count = services().logins.throttle.unlock(username)
    say(f"{username} may log in at once; locks taken away: {count}")


def _set_password(username: str, password: str) -> None:
    config = services().config
    if len(password) < 8:
        raise usage_error("the password is too short: at least 8 characters are expected")
    if config.ADMIN_PASSWORD and username == config.ADMIN_USERNAME:
        raise usage_error(f"the password of {username} is set by ADMIN_PASSWORD: change it there")
    services().accounts.set_password(username, password)
    say(f"the password of {username} is set")


@token_group.command("create")
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="By default all of them."
)
def create_token(name: str, scopes: tuple[str, ...]) -> None:
    """Make an API token and print it, once."""
    try:
        say(services().accounts.create_token(name, scopes or SCOPES))
    except ValueError as error:
        raise usage_error(str(error)) from error


@token_group.command("revoke")
@click.argument("name")
def revoke_token(name: str) -> None:
    """Revoke an API token by its name."""
    if not services().accounts.revoke_token(name):
        raise usage_error(f"there is no token named {name} that works")
    say(f"the token {name} is revoked")
