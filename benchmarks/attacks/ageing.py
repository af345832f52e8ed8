"""A store in which all data is 400 days old, and `flask prune`.

There are 120 issues. Each has three events with an attachment, feedback and a session. Every fourth
issue is ignored, commented on or resolved in the next release. Limits: no row of clients' data is
left; only issues that a person decided about keep a row; no table contains the name or the address
that was in every envelope; the accounting balances.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import time_machine
from sqlalchemy import Connection, func, select

from app import create_app
from app.delivery.accounting import accounting
from app.delivery.tables import attempts, issue_deliveries
from app.events.tables import envelopes, events
from app.intake import Intake
from app.issues import triage
from app.issues.similarity_index import read_unread
from app.issues.tables import (
    feedback,
    issue_hours,
    issue_similarity,
    issue_tags,
    issue_terms,
    issues,
)
from app.protocol.envelope import Envelope, Item
from app.stats.tables import affected_users, ai_calls, session_users
from app.store import Store, metadata, utc_now
from benchmarks.attacks import Attack, Outcome
from config import ROOT, load_config
from tests.conftest import parts_of
from tests.server_process import settings

DAYS, ISSUES = 400, 120
WHO, ADDRESS = "ada@example.org", "203.0.113.77"
# ``affected_days`` is not listed: it has only numbers, and a release keeps its count of users.
OF_CLIENTS = (
    envelopes, events, attempts, issue_deliveries, affected_users, ai_calls,
    feedback, issue_hours, issue_similarity, issue_tags, issue_terms, session_users,
)  # fmt: skip


def old_store(data: Path) -> Outcome:
    """Fill a store with the clock set back, run the command, and count what is left."""
    app = create_app(load_config({}, ENVIRONMENT="testing", DATA_DIR=data))
    parts = parts_of(app)
    with time_machine.travel(utc_now() - timedelta(days=DAYS)):
        _fill(parts.intake)
        decided = _decide(parts.store)
    parts.intake.close()
    before = _rows(parts.store)
    began = time.monotonic()
    prune = [sys.executable, "-m", "flask", "--app", "wsgi", "prune"]
    subprocess.run(prune, cwd=ROOT, env=settings(data), check=True, capture_output=True)
    took_s = time.monotonic() - began
    left = _rows(parts.store)
    with parts.store.read() as conn:
        kept = conn.execute(select(func.count()).select_from(issues)).scalar_one()
        named, balanced = _tables_that_name(conn), accounting(conn)["balanced"]
    parts.store.dispose()
    return Outcome(
        f"{sum(before.values()):,} rows of clients, {left or 'none'} after {took_s:.1f} s",
        f"{kept} of {decided} decided kept, {len(named)} name a person",
        sum(before.values()) > ISSUES * 10
        and not left
        and kept == decided
        and not named
        and balanced,
    )


def _fill(intake: Intake) -> None:
    for number in range(ISSUES):
        for _ in range(3):
            error = {"type": f"Order{number:03}Error", "value": f"{WHO} at {ADDRESS} has none"}
            payload = {
                "exception": {"values": [error]},
                "user": {"email": WHO, "ip_address": ADDRESS},
                "tags": {"customer": WHO},
                "transaction": f"/customers/{WHO}",
                "release": "shop@1",
            }
            file = Item({"type": "attachment", "filename": "a.txt"}, f"of {WHO}".encode())
            _accept(intake, Item({"type": "event"}, payload), file)
        said = {"contexts": {"feedback": {"message": "it broke", "contact_email": WHO}}}
        _accept(intake, Item({"type": "feedback"}, said))
        session = {"sid": f"{number:032x}", "did": WHO, "init": True}
        session["attrs"] = {"release": "shop@1"}
        _accept(intake, Item({"type": "session"}, session))


def _accept(intake: Intake, *items: Item) -> None:
    intake.accept(Envelope({}, list(items)), project_id=1, timeout_s=10)


def _decide(store: Store) -> int:
    """Decide about a quarter of the issues of errors, and return how many these are."""
    read_unread(store, 10_000)
    with store.write() as conn:
        of_errors = select(issues.c.id).where(issues.c.type.like("Order%")).order_by(issues.c.id)
        ids = list(conn.scalars(of_errors))[::4]
        triage.ignore(conn, ids[::3], "ada")
        triage.set_status(conn, ids[1::3], "resolved", "ada", fix=triage.Fix(in_next=True))
        for issue_id in ids[2::3]:
            triage.comment(conn, issue_id, "known", "ada")
    return len(ids)


def _rows(store: Store) -> dict[str, int]:
    """Return the number of rows of clients' data by table, without empty tables."""
    with store.read() as conn:
        counts = {
            table.name: int(conn.execute(select(func.count()).select_from(table)).scalar_one())
            for table in OF_CLIENTS
        }
    return {name: count for name, count in counts.items() if count}


def _tables_that_name(conn: Connection) -> list[str]:
    """Return the tables that contain the person's name or address in any column."""
    return [
        table.name
        for table in metadata.sorted_tables
        if any(
            WHO in text or ADDRESS in text for text in map(str, conn.execute(select(table)).all())
        )
    ]


ATTACKS = [Attack("everything 400 days old, and a prune", old_store)]
