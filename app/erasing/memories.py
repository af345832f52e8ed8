"""Memories: all of a user who is the person; in those of others, the identifier is replaced. A
history of changes that has it is deleted as a whole.

SQL is changed first. Qdrant, if there is one, removes what was removed by the same note that any
removal leaves; a rewritten memory gets a new vector from the background task. Until then, no search
finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, select

from app.erasing.rows import fitting, is_row, pages
from app.erasing.task import Task
from app.memory import history, records, removing
from app.memory.content import digest_of
from app.memory.scope import Scope
from app.memory.tables import memories, memory_changes, memory_users

IN_INDEX = "Qdrant removes the memories in the background, usually within a minute"
TEXTS = ("agent_id", "run_id", "content", "kind", "tags", "metadata")


def erase_memories(task: Task, index_name: Callable[[], str | None]) -> None:
    """Erase the person from the memories.

    :param index_name: returns the name of the present index, which has to remove memories too.
    """
    users: list[str] = []
    for found in pages(task, memory_users, ()):
        users += [row.user_id for row in found]
    # Read the others first: those of the person are removed with all their texts.
    for user_id in users:
        _erase_user(task, user_id, index_name)
    for rows in pages(task, memory_changes, ("memory_id", "before")):
        task.report.counts["memories"] += len(rows)
        if not task.is_dry:
            with task.write() as conn:
                history.remove_of(conn, [row.memory_id for row in rows])
    for rows in pages(task, memories, ("user_id", *TEXTS)):
        others = [row for row in rows if row.user_id not in users]
        task.report.counts["memories"] += len(others)
        if not task.is_dry:
            with task.write() as conn:
                for row in others:
                    _rewrite(conn, task, row)


def _erase_user(task: Task, user_id: str, index_name: Callable[[], str | None]) -> None:
    with task.store.read() as conn:
        of_user = memory_users.c.user_id == user_id
        task.report.counts["memories"] += (
            conn.scalar(select(memory_users.c.memories).where(of_user)) or 0
        )
    if not task.is_dry:
        name = index_name()
        if name is not None and IN_INDEX not in task.report.notes:
            task.report.notes.append(IN_INDEX)
        with task.write() as conn:
            removing.remove_all(conn, Scope(user_id), name)


def _rewrite(conn: Connection, task: Task, row: Row[Any]) -> None:
    now = conn.execute(select(memories).where(*is_row(memories, row))).first()
    values = fitting(memories, task.in_row(now, TEXTS)) if now else {}
    if not values or now is None:
        return
    scope = Scope(
        now.user_id, *(values.get(name, getattr(now, name)) for name in ("agent_id", "run_id"))
    )
    digest = digest_of(scope, values.get("content", now.content))
    same = memories.c.user_id == now.user_id, memories.c.digest == digest, memories.c.id != now.id
    if conn.execute(select(memories.c.id).where(*same)).first() is not None:
        removing.remove(conn, Scope(now.user_id), now.id, now.indexed_in)
        return
    records.rewrite(conn, now.user_id, now.id, values | {"digest": digest})
