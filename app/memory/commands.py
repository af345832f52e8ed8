"""The `flask memory` commands."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from app.memory.status import current_memories
from app.memory.vectors.errors import VectorError
from app.output import command_error, say

memory_group = AppGroup("memory", help="The memory service.")

# A person who runs a command can wait until its model is loaded.
COMMAND_WAIT_S = 120.0


@memory_group.command("reindex")
def reindex_memories() -> None:
    """Make vectors of another EMBEDDER again from the texts, and rebuild the index from them."""
    from app.memory.upkeep import Upkeep

    found = current_memories()
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
