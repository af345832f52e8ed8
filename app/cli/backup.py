"""`flask backup` and `flask restore`: the store in one file that proves itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click
from flask.cli import with_appcontext

from app.backup.check import check_file
from app.backup.errors import BackupError
from app.backup.files import Folders
from app.backup.make import make_backup
from app.backup.manifest import Manifest
from app.backup.restore import restore_backup
from app.cli.verify.command import quiet
from app.cli.verify.projects import verify_projects
from app.delivery.accounting import read_counters
from app.output import command_error, say, usage_error
from app.projects import OWN_PROJECT_ID
from app.store import Store, StoreError, utc_now
from app.store.recording import recording
from app.web.current import before_opening, current_store
from app.web.last_backup import last_backup, note_backup
from config import Config

# The exit code of `flask restore` if the store is restored, but the test event did not pass.
EVENT_FAILED = 3
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@click.command("backup")
@click.argument("words", nargs=-1, metavar="[verify] FILE")
@click.option(
    "--check-age", "most", metavar="AGE", help="Only say how old the last one is: 26h, 90m or 2d."
)
@with_appcontext
@click.pass_context
def backup_command(context: click.Context, words: tuple[str, ...], most: str | None) -> None:
    """Write the store and the emergency folder to a new FILE, while the service runs.

    The file is read again to its end before it gets its name. It has all secrets of the store:
    keys, password hashes, addresses of channels, what events say about people.

    With "verify", read a backup to its end instead: checksums, numbers of rows, every value.

    \b
    Exit code:
      0  the backup is whole; with --check-age: the last verified one is young enough
      1  it is not, or could not be written; with --check-age: it is older, or there is none
      2  wrong usage, or a setting is wrong
    """
    if most is not None and not words:
        context.exit(_check_age(_age(most)))
    if most is not None or not (len(words) == 1 or (len(words) == 2 and words[0] == "verify")):
        raise usage_error("give FILE, or verify FILE, or --check-age AGE")
    if words == ("verify",):  # A file of this name would look like a backup that was verified.
        raise usage_error("verify: give the FILE to read")
    with _told(), quiet(before_opening("config")):
        if len(words) == 2:
            _say(words[1], "is whole", check_file(Path(words[1]), _bar))
        else:
            _make(Path(words[0]))


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--no-event", is_flag=True, help="Do not send a test event at the end.")
@with_appcontext
@click.pass_context
def restore_command(context: click.Context, file: Path, no_event: bool) -> None:
    """Restore the backup FILE into an empty place, the one that the settings name.

    Every table is counted again and the accounting is added up before the store gets its name. Then
    a test event passes every hop: recorded, sent to Sentry if project 1 has one, notified. With it
    the store starts to send what waited in the backup.

    \b
    Exit code:
      0  restored, and every proof succeeded
      1  nothing was restored: the backup is damaged or newer, or the place is not empty
      2  wrong usage, or a setting is wrong
      3  restored, but Sentry did not accept the test event
    """
    config: Config = before_opening("config")
    with _told(), recording(), quiet(config):
        found = restore_backup(file, before_opening("store"), _folders(config), _bar)
    _say(str(file), "is restored", found)
    say("every table has the rows of the manifest, and the accounting adds up")
    with quiet(config):
        note_backup(current_store(), found.created_at, "restored", file.name)
        if not no_event and verify_projects(str(OWN_PROJECT_ID), as_json=False):
            context.exit(EVENT_FAILED)


def _make(path: Path) -> None:
    store: Store = before_opening("store")
    _check_there(store)
    with recording():
        made = make_backup(store, _folders(before_opening("config")), path, _bar)
        note_backup(store, made.manifest.created_at, "backed_up", path.name)
    _say(str(path), f"has {made.size_bytes / 1e6:,.1f} MB and was verified", made.manifest)


def _check_there(store: Store) -> None:
    """Check that there is a store, since a backup of an empty one would look like one of the real.

    :raise BackupError: there is none.
    """
    if store.is_sqlite:
        path = Path(str(store.url.database))
        if not path.is_file() or not path.stat().st_size:
            raise BackupError(f"there is no store at {path}: is DATA_DIR that of the service?")
    elif store.schema_revision() is None:
        raise BackupError(f"the database {store.url.database} is empty: is it the right one?")


def _check_age(most: timedelta) -> int:
    store: Store = before_opening("store")
    with _told():
        _check_there(store)
        with store.read() as conn:
            at = last_backup(read_counters(conn))
    if at is None:
        say("last verified backup: never")
        return 1
    age = utc_now() - at
    say(f"last verified backup: {age / timedelta(hours=1):.1f} h ago")
    return int(age > most)


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,5})([mhd])", text)
    if found is None:
        raise usage_error("--check-age: give minutes, hours or days, such as 90m, 26h or 2d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _folders(config: Config) -> Folders:
    return Folders(config.emergency_dir, config.DATA_DIR)


def _say(name: str, state: str, found: Manifest) -> None:
    files = f" and {found.files.count} files beside it" if found.files.count else ""
    say(
        f"{name} {state}: {found.rows:,} rows in {len(found.tables)} tables{files}, "
        f"of {found.created_at:%Y-%m-%d %H:%M:%S} UTC, schema {found.revision}"
    )


@contextmanager
def _told() -> Iterator[None]:
    """Turn the errors of a backup and a store into the error of a command."""
    try:
        yield
    except (BackupError, StoreError) as error:
        raise command_error(str(error)) from None


@contextmanager
def _bar(label: str, steps: int) -> Iterator[Callable[[int], None]]:
    with click.progressbar(length=steps, label=label) as bar:
        yield bar.update
