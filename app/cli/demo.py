"""`flask demo`: projects with made-up errors of three months, and their removal."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from app.cli.search import index_events
from app.demo.filling import demo_events, demo_projects, make_demo, remove_demo
from app.demo.plan import DAYS, PROJECTS, Plan
from app.output import command_error, say
from app.web.current import current_config, current_destinations, current_intake, current_store

EVENTS, MOST_EVENTS = 20_000, 1_000_000


@click.command("demo")
@click.option(
    "--events",
    type=click.IntRange(1, MOST_EVENTS),
    default=EVENTS,
    show_default=True,
    help="How many events to make, some hundred a second.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="A seed makes the same demo.")
@click.option("--remove", "removes", is_flag=True, help="Remove the demo with all its data.")
@click.option("--yes", is_flag=True, help="Make the demo in production, too.")
@with_appcontext
def demo_command(events: int, seed: int, removes: bool, yes: bool) -> None:
    """Make demo projects with errors of 90 days, to try the pages with.

    They are never forwarded to Sentry, no alert looks at them, and neither Start nor the accounting
    counts them.
    """
    if removes:
        _remove()
        return
    if current_config().ENVIRONMENT == "production" and not yes:
        raise command_error("this is production; to make the demo here, add --yes")
    with current_store().read() as conn:
        if demo_projects(conn):
            raise command_error("there is a demo already; remove it with flask demo --remove")
    with click.progressbar(length=events, label="Making the demo") as bar:
        make_demo(current_intake(), Plan(events, seed=seed), bar.update)
    index_events(current_store())  # The background task would take minutes.
    say(f"{events:,} events of {DAYS} days in {len(PROJECTS)} projects; see /admin/issues")


def _remove() -> None:
    store = current_store()
    with store.read() as conn:
        if not demo_projects(conn):
            raise command_error("there is no demo")
    with click.progressbar(length=demo_events(store), label="Removing the demo") as bar:
        gone = remove_demo(store, current_destinations(), bar.update)
    say(f"{gone} demo projects are removed")
