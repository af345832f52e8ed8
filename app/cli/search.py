"""The `flask search` commands: the search index."""

from __future__ import annotations

import time
from datetime import timedelta

import click
from flask.cli import AppGroup
from sqlalchemy import func, select

from app.events.tables import events
from app.output import say
from app.search.indexing import catch_up, clear
from app.search.state import read_state
from app.search.task import SearchTask
from app.store import Store
from app.store.leases import claim, new_owner, release
from app.web.current import current_store

search_group = AppGroup("search", help="The search index.")

# The command renews its lease with each batch, which takes milliseconds.
LASTS = timedelta(seconds=30)
POLL_S = 0.5


@search_group.command("reindex")
def reindex_command() -> None:
    """Make the search index again, from the stored events.

    The service may go on meanwhile. Searches find the events that are indexed so far. If a
    background task writes the index, this command waits for it. If this command is interrupted,
    the background task goes on.
    """
    store = current_store()
    clear(store)
    index_events(store)
    say(f"{_indexed(store)} events are in the index")


def index_events(store: Store) -> None:
    """Index the events that are not indexed yet, with a progress bar."""
    with store.read() as conn:
        count = int(conn.scalar(select(func.count()).select_from(events)) or 0)
    done = _indexed(store)
    with click.progressbar(length=count, label="indexing") as bar:
        bar.update(done)
        _wait(store, count, bar)


def _wait(store: Store, count: int, bar: click._termui_impl.ProgressBar[int]) -> None:
    """Index all events, or wait until the background task has done so."""
    owner = new_owner()
    while True:
        if claim(store, SearchTask.name, owner, LASTS):
            catch_up(store, bar.update, lambda: claim(store, SearchTask.name, owner, LASTS))
            release(store, SearchTask.name, owner)
            return
        done = _indexed(store)
        bar.update(done - bar.pos)
        if done >= count:
            return
        time.sleep(POLL_S)


def _indexed(store: Store) -> int:
    with store.read() as conn:
        is_indexed = events.c.id <= read_state(conn).up_to
        return int(conn.scalar(select(func.count()).where(is_indexed)) or 0)
