"""`flask erase`: erase a person by id, e-mail address or IP address."""

from __future__ import annotations

import json
import sys

import click
from flask import current_app
from flask.cli import with_appcontext

from app.accounts import audit
from app.erasing import run
from app.erasing.identifier import Identifier, Kind, WrongIdentifier
from app.erasing.jobs import places_here
from app.erasing.records import ErasingAlready
from app.erasing.report import LABELS, Report
from app.output import command_error, say, usage_error

_STDIN = "-"
_HELP = "%s; - reads it from stdin, so that it stands in no list of processes."


@click.command("erase")
@click.option("--user-id", metavar="ID", help=_HELP % "The id of a user")
@click.option("--email", metavar="ADDRESS", help=_HELP % "An e-mail address")
@click.option("--ip", metavar="ADDRESS", help=_HELP % "An IP address")
@click.option("--yes", is_flag=True, help="Do not ask; erase what is found.")
@click.option("--dry-run", is_flag=True, help="Only count what would be erased.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@with_appcontext
def erase_command(
    user_id: str | None,
    email: str | None,
    ip: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Erase a person: what the store, the emergency folder and the memories have of them.

    It says what it found and asks before it erases. The service may go on meanwhile.
    """
    given = {Kind.USER_ID: user_id, Kind.EMAIL: email, Kind.IP: ip}
    identifier = _identifier({kind: text for kind, text in given.items() if text is not None})
    places = places_here()
    if dry_run or not yes:
        found = _count(places, identifier)
        _print(found, as_json and dry_run)
        if dry_run or not found.found:
            return
        click.confirm("Erase it?", abort=True, err=True)
    try:
        actor = audit.current_caller().actor
        begun = run.begin(places, identifier, secret_here(), actor, is_dry=False)
    except ErasingAlready as error:
        raise command_error(str(error)) from error
    with _bar(run.size_of(places, is_dry=False), "erasing") as bar:
        report = begun.finish(bar.update)
    _print(report, as_json)
    if report.left:
        raise command_error(f"{report.left} more were found at the end: run it again")


def secret_here() -> str:
    """Return the key of the hash of an identifier."""
    return str(current_app.secret_key or "")


def _identifier(given: dict[Kind, str]) -> Identifier:
    if len(given) != 1:
        raise usage_error("give one of --user-id, --email and --ip")
    ((kind, text),) = given.items()
    if text == _STDIN:
        text = sys.stdin.readline()
    try:
        return Identifier.of(kind, text)
    except WrongIdentifier as error:
        raise usage_error(f"--{str(kind).replace('_', '-')}: {error}") from None


def _count(places: run.Places, identifier: Identifier) -> Report:
    with _bar(run.size_of(places, is_dry=True), "looking") as bar:
        return run.count(places, identifier, bar.update)


def _bar(length: int, label: str) -> click._termui_impl.ProgressBar[int]:
    return click.progressbar(length=length, label=label, file=sys.stderr)


def _print(report: Report, as_json: bool) -> None:
    if as_json:
        say(json.dumps(report.as_json()))
        return
    if not report.found:
        say("nothing was found")
    for name, label in LABELS.items():
        if number := report.counts[name]:
            say(f"{number:>8,} {label}")
    for project_id, sent in sorted(report.forwarded.items()):
        first, last = (at.strftime("%Y-%m-%d %H:%M") for at in (sent.first, sent.last) if at)
        say(f"Sentry has {sent.envelopes:,} of project {project_id}, from {first} to {last} UTC")
    for note in report.stays:
        say(f"stays: {note}")
    for note in report.notes:
        say(f"note: {note}")
    if report.left is not None:
        say(f"{report.left} found when it looked again")
        for note in run.NOT_TOUCHED:
            say(note)
