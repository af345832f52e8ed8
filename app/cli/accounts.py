"""The `flask user` and `flask token` commands: users who may log in, and tokens for the API."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from app.accounts import SCOPES
from app.output import say, usage_error
from app.web.current import current_accounts, current_config, current_logins

user_group = AppGroup("user", help="People who may log in to the admin pages.")
token_group = AppGroup("token", help="API tokens.")


@user_group.command("add")
@click.argument("username")
@click.password_option(help="Asked for when it is not given.")
def add_user(username: str, password: str) -> None:
    """Add a user, or replace the password of an existing user."""
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
    """Let a user log in at once who has to wait after too many wrong passwords."""
    count = current_logins().throttle.unlock(username)
    say(f"{username} may log in at once; locks taken away: {count}")


def _set_password(username: str, password: str) -> None:
    config = current_config()
    if len(password) < 8:
        raise usage_error("the password is too short: at least 8 characters are expected")
    if config.ADMIN_PASSWORD and username == config.ADMIN_USERNAME:
        raise usage_error(f"the password of {username} is set by ADMIN_PASSWORD: change it there")
    current_accounts().set_password(username, password)
    say(f"the password of {username} is set")


@token_group.command("create")
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="By default all of them."
)
def create_token(name: str, scopes: tuple[str, ...]) -> None:
    """Create an API token and print it. It is shown only once."""
    try:
        say(current_accounts().create_token(name, scopes or SCOPES))
    except ValueError as error:
        raise usage_error(str(error)) from error


@token_group.command("revoke")
@click.argument("name")
def revoke_token(name: str) -> None:
    """Revoke an API token by its name."""
    if not current_accounts().revoke_token(name):
        raise usage_error(f"there is no token named {name} that works")
    say(f"the token {name} is revoked")
