"""The runs of erasing as rows: who erased what, when, and what was found.

The identifier is in none of them: only its keyed hash, and counts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from app.accounts import audit
from app.erasing.identifier import Identifier, Kind
from app.erasing.report import Report
from app.erasing.tables import erasures
from app.inputs import Conflict
from app.store import Store, utc_now
from app.store.leases import claim, is_dead, release
from app.store.tables import leases

LEASE = "erasing"
# Longer than any batch, and than writing a large file anew.
LASTS = timedelta(minutes=15)
# The largest number of rows that are kept: about 1 MB.
MAX_KEPT = 1000
_CALLED = {Kind.USER_ID: "id", Kind.EMAIL: "e-mail address", Kind.IP: "IP address"}
RUNNING, DONE, FAILED, STOPPED = "running", "done", "failed", "stopped"


class ErasingAlready(Conflict):
    """Another run is erasing or counting now."""


def begin(
    store: Store, identifier: Identifier, secret: str, actor: str, owner: str, *, is_dry: bool
) -> int:
    """Note a new run and return its id.

    :param owner: from :func:`app.store.leases.new_owner`; it holds the lease until the run ends.
    :raise ErasingAlready: another run has not ended.
    """
    if not claim(store, LEASE, owner, LASTS):
        raise ErasingAlready("another run is looking for a person now: wait until it has ended")
    row = {
        "at": utc_now(),
        "actor": actor[:200],
        "kind": str(identifier.kind),
        "identifier_hash": identifier.digest(secret),
        "is_dry": is_dry,
        "state": RUNNING,
        "owner": owner,
    }
    with store.write() as conn:
        newest = conn.scalar(select(func.max(erasures.c.id))) or 0
        conn.execute(delete(erasures).where(erasures.c.id <= newest - MAX_KEPT))
        return int(
            conn.execute(erasures.insert().values(row).returning(erasures.c.id)).scalar_one()
        )


def note_progress(store: Store, run_id: int, owner: str, done: int, total: int) -> None:
    """Note how far a run is, and keep its lease."""
    claim(store, LEASE, owner, LASTS)
    with store.write(durable=False) as conn:
        its_row = update(erasures).where(erasures.c.id == run_id)
        conn.execute(its_row.values(done=done, total=total))


def end(store: Store, run_id: int, owner: str, state: str, report: Report) -> None:
    """Note how a run ended, in the audit log too if it erased, and release its lease."""
    values = {"state": state, "finished_at": utc_now(), "report": report.as_json()}
    its_row = update(erasures).where(erasures.c.id == run_id).values(values)
    with store.write(60) as conn:
        row = conn.execute(its_row.returning(*erasures.c)).first()
        if row is not None and not row.is_dry:
            target = f"{_CALLED[row.kind]}, hash {row.identifier_hash}"
            audit.note(conn, "erased", target, f"run {run_id}: {state}, {report.found} found")
    release(store, LEASE, owner)


def find_erasure(conn: Connection, run_id: int) -> Row[Any] | None:
    """Return a run, ``None`` if there is none with this id."""
    if not 0 < run_id < 2**63:
        return None
    return conn.execute(select(erasures).where(erasures.c.id == run_id)).first()


def list_erasures(
    conn: Connection, *, before: int | None = None, limit: int = 50
) -> list[Row[Any]]:
    """Return runs, newest first.

    :param before: only runs with a smaller id than this.
    """
    query = select(erasures).order_by(erasures.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(erasures.c.id < before)
    return list(conn.execute(query))


def state_of(conn: Connection, row: Row[Any]) -> str:
    """Return the state of a run: ``stopped`` if its process has ended before it did."""
    if row.state != RUNNING:
        return str(row.state)
    holder = conn.scalar(select(leases.c.owner).where(leases.c.name == LEASE))
    return STOPPED if holder != row.owner or is_dead(row.owner) else RUNNING
