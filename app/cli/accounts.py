"""The `flask user` and `flask token` commands: users who may log in, and tokens for the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import click
from flask.cli import AppGroup

from app.accounts import SCOPES
from app.accounts.roles import ROLES
from app.accounts.tokens import PROJECT_SCOPES, USUAL_SCOPES
from app.inputs import InputError
from app.output import say, usage_error
from app.projects import find_project
from app.store import utc_now
from app.web.current import current_accounts, current_logins, current_store

user_group = AppGroup("user", help="People who may log in to the admin pages.")
token_group = AppGroup("token", help="API tokens.")


@contextmanager
def _usage_errors() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise usage_error(str(error)) from error


@user_group.command("add")
@click.argument("username")
@click.option(
    "--role", type=click.Choice(ROLES), help="By default member; the first user is an admin."
)
@click.password_option(help="Asked for when it is not given.")
def add_user(username: str, role: str | None, password: str) -> None:
    """Add a user, or replace the password of an existing user."""
    accounts = current_accounts()
    if accounts.user(username) is not None or accounts.is_configured(username):
        _set_password(username, password)
        if role:
            _change_role(username, role)
        return
    with current_store().read() as conn:
        role = role or accounts.role_of_new_user(conn)
    with _usage_errors():
        accounts.add_user(username, password, role)
    say(f"the password of {username} is set", f"{username} is {_named(role)}")


@user_group.command("list")
def list_users() -> None:
    """Print the users with their roles."""
    accounts = current_accounts()
    with current_store().read() as conn:
        found = accounts.list_users(conn)
    for person in found:
        by_setting = ", password of ADMIN_PASSWORD" if person.is_configured else ""
        say(f"{person.username}  {person.role}, {plural(person.sessions)}{by_setting}")


@user_group.command("role")
@click.argument("username")
@click.argument("role", type=click.Choice(ROLES))
def change_role(username: str, role: str) -> None:
    """Give a user another role; it counts from the next request on."""
    _change_role(username, role)


@user_group.command("remove")
@click.argument("username")
def remove_user(username: str) -> None:
    """Remove a user and end the sessions. What the user wrote and decided stays."""
    accounts = current_accounts()
    with _usage_errors():
        accounts.remove_user(username)
    with current_store().read() as conn:
        tokens = accounts.count_made_by(conn, username)
    say(f"{username} is removed; tokens of {username} that still work: {tokens}")


@user_group.command("passwd")
@click.argument("username")
@click.password_option(help="Asked for when it is not given.")
def change_password(username: str, password: str) -> None:
    """Set a new password and end the sessions opened with the old one."""
    _set_password(username, password)


@user_group.command("unlock")
@click.argument("username")
def unlock_user(username: str) -> None:
    """Let a user log in at once who has to wait after too many wrong passwords."""
    count = current_logins().unlock(username)
    say(f"{username} may log in at once; locks taken away: {count}")


def _set_password(username: str, password: str) -> None:
    accounts = current_accounts()
    with _usage_errors():
        accounts.change_password(username, password)
    say(f"the password of {username} is set")


def _change_role(username: str, role: str) -> None:
    with _usage_errors():
        current_accounts().change_role(username, role)
    say(f"{username} is {_named(role)}")


def _named(role: str) -> str:
    return f"an {role}" if role == "admin" else f"a {role}"


def plural(sessions: int) -> str:
    """Return a number of sessions in words."""
    return "1 session" if sessions == 1 else f"{sessions} sessions"


@token_group.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="By default all of them but mcp and mcp:write.",
)
@click.option(
    "--project",
    "projects",
    multiple=True,
    type=click.IntRange(min=1),
    help="The id of a project that it is limited to; the usual scopes are then read and write.",
)
@click.option(
    "--memory-user",
    "memory_users",
    multiple=True,
    help="A user whose memories the tools of MCP read with it; needs the scope mcp.",
)
@click.option("--days", type=click.IntRange(1, 3650), help="How long it works, by default always.")
def create_token(
    name: str,
    scopes: tuple[str, ...],
    projects: tuple[int, ...],
    memory_users: tuple[str, ...],
    days: int | None,
) -> None:
    """Create an API token and print it. It is shown only once."""
    usual = [scope for scope in USUAL_SCOPES if not projects or scope in PROJECT_SCOPES]
    with _usage_errors():
        token = current_accounts().create_token(
            name,
            scopes or usual,
            projects=_known(projects) if projects else None,
            memory_users=memory_users,
            expires_at=utc_now() + timedelta(days=days) if days else None,
        )
    say(token)


def _known(ids: tuple[int, ...]) -> tuple[int, ...]:
    with current_store().read() as conn:
        for project_id in ids:
            find_project(conn, project_id)
    return ids


@token_group.command("list")
def list_tokens() -> None:
    """Print the tokens that work, with their beginnings, scopes and projects."""
    accounts, now = current_accounts(), utc_now()
    with current_store().read() as conn:
        found = accounts.list_tokens(conn)
    for token in found:
        if token.works_at(now):
            say(f"{token.name}  {token.prefix}…  {token.words}")


@token_group.command("revoke")
@click.argument("name")
def revoke_token(name: str) -> None:
    """Revoke an API token by its name."""
    if not current_accounts().revoke_token(name):
        raise usage_error(f"there is no token named {name} that works")
    say(f"the token {name} is revoked")
