"""The `flask memory` commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from flask.cli import AppGroup

from app.memory.status import current_memories
from app.memory.user_counts import count, totals
from app.memory.vectors.errors import VectorError
from app.output import command_error, say
from app.web.current import current_store

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


@memory_group.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--user-id", help="Export only the memories of this user.")
def export_memories(file: Path, user_id: str | None) -> None:
    """Write memories to FILE as NDJSON, one on each line; `-` writes to stdout."""
    from app.memory.scope import Scope
    from app.memory.transfer import export_lines

    scope = Scope(user_id) if user_id else None
    with current_store().read() as conn:
        length = count(conn, user_id) if user_id else totals(conn)[1]
    is_piped = str(file) == "-"
    try:
        # The memories are private: nobody else may read the file.
        descriptor = 1 if is_piped else os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb", closefd=not is_piped) as out:
            with click.progressbar(length=length, label="exporting", file=sys.stderr) as bar:
                for part in export_lines(current_store(), scope):
                    out.write(part)
                    bar.update(part.count(b"\n"))
    except OSError as error:
        raise command_error(f"{file}: {error.strerror}") from error
    say(f"{bar.pos} memories exported", err=True)


@memory_group.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def import_memories(file: Path) -> None:
    """Store the memories of FILE, which `flask memory export` or the API wrote."""
    from app.memory.transfer import Imported, import_lines, read_lines

    try:
        size = file.stat().st_size
        with file.open("rb") as lines:
            with click.progressbar(length=size, label="importing", file=sys.stderr) as bar:
                imported = Imported()
                for state in import_lines(current_memories(), read_lines(lines)):
                    imported = state
                    bar.update(lines.tell() - bar.pos)
    except OSError as error:
        raise command_error(f"{file}: {error.strerror}") from error
    for wrong in imported.errors:
        say(f"line {wrong['line']}: {wrong['field']}: {wrong['message']}", err=True)
    say(
        f"{imported.stored} memories stored, {imported.updated} updated,"
        f" {imported.refused} lines refused"
    )
    if imported.refused:
        raise SystemExit(1)
