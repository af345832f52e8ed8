"""Users who are counted: the affected users of issues and releases, those of sessions, log-ins.

They are stored as hashes, which can be computed from an identifier. So they are personal data too.
The numbers that were counted stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Table, delete, func, or_, select, update

from app.accounts.tables import audit_log, login_attempts, user_sessions
from app.accounts.throttle import rows_of
from app.erasing.identifier import Kind
from app.erasing.rows import is_row, pages
from app.erasing.task import Task
from app.projects import projects
from app.stats.sessions import NOBODY, session_series, user_hash_of
from app.stats.tables import affected_users, known_sessions, session_users
from app.stats.users import hash_of
from app.store import in_batches

BATCH_SIZE = 500


def erase_users(task: Task) -> None:
    """Erase the person from the users who are counted."""
    hashes = task.identities | {hash_of(form) for form in _forms(task)}
    for hash in sorted(hashes):
        _delete(task, "users", affected_users, affected_users.c.user_hash == hash)
    for number in sorted(_hashes_of_sessions(task)):
        _erase_session_user(task, number)
    value, kind = task.person.identifier.value, task.person.identifier.kind
    if kind is Kind.IP:
        for table, counted_as in ((user_sessions, "logins"), (audit_log, "audit")):
            _forget_address(task, table, counted_as)
        _delete(task, "logins", login_attempts, rows_of(address=value))
    else:
        _delete(task, "logins", login_attempts, rows_of(name=value))


def _forms(task: Task) -> set[str]:
    """Return the identifier as clients may have written it."""
    text = task.person.identifier.value
    return {text, text.lower(), text.upper(), text.capitalize()}


def _hashes_of_sessions(task: Task) -> set[int]:
    with task.store.read() as conn:
        ids = list(conn.scalars(select(projects.c.id)))
    dids = task.dids | _forms(task)
    return {user_hash_of(project_id, did) for project_id in ids for did in dids}


def _erase_session_user(task: Task, number: int) -> None:
    of_user = session_users.c.user_hash == number
    known = known_sessions.c.user_hash == number
    before = known_sessions.c.user_before == number
    with task.store.read() as conn:
        found = select(func.count()).select_from(session_users).where(of_user)
        also = select(func.count()).select_from(known_sessions).where(or_(known, before))
        count = int(conn.scalar(found) or 0)
        if not count and not conn.scalar(also):
            return
    task.report.counts["session_users"] += count
    if task.is_dry:
        return
    with task.write() as conn:
        gone = delete(session_users).where(of_user).returning(session_users.c.series_id)
        for series_id in list(conn.scalars(gone)):
            fewer = update(session_series).where(session_series.c.id == series_id)
            conn.execute(fewer.values(users=session_series.c.users - 1))
        conn.execute(update(known_sessions).where(known).values(user_hash=NOBODY))
        conn.execute(update(known_sessions).where(before).values(user_before=NOBODY))


def _forget_address(task: Task, table: Table, counted_as: str) -> None:
    for found in pages(task, table, ("address",), lambda task, row: task.person.is_it(row.address)):
        task.report.counts[counted_as] += len(found)
        if task.is_dry:
            continue
        with task.write() as conn:
            for row in found:
                conn.execute(update(table).where(*is_row(table, row)).values(address=None))


def _delete(task: Task, counted_as: str, table: Table, condition: Any) -> None:
    key = tuple(table.primary_key)
    with task.store.read() as conn:
        rows = conn.execute(select(*key).where(condition)).all()
    task.report.counts[counted_as] += len(rows)
    if task.is_dry:
        return
    for batch in in_batches(rows, BATCH_SIZE):
        with task.write() as conn:
            _delete_rows(conn, table, batch)
    task.advance(0)


def _delete_rows(conn: Any, table: Table, rows: Iterable[Any]) -> None:
    for row in rows:
        conn.execute(delete(table).where(*is_row(table, row)))
