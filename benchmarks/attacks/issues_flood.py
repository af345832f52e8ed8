"""A flood of errors that are all different from one project, while another project has a new error.

Limits: the flooding project makes at most 200 issues and ``<other>`` in each clock hour of the
flood; every envelope is answered 200 and counted; the error of the other project makes its own
issue; the accounting balances.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from pathlib import Path

import urllib3
from sqlalchemy import func, select

from app.delivery.accounting import accounting
from app.issues.tables import issues
from app.projects import create_project
from app.store import Store
from benchmarks.attacks import Attack, Outcome
from tests.server_process import serving

FLOOD, HONEST = 2, 3
KEYS = {FLOOD: "f" * 32, HONEST: "e" * 32}
THREADS, EACH = 4, 500
PER_HOUR = 200


def flood_of_issues(data: Path) -> Outcome:
    """Send the errors, and count the issues afterwards."""
    store = Store(f"sqlite:///{data / 'devenviro.sqlite3'}")
    store.open()
    for project_id, key in KEYS.items():
        create_project(store, f"Project {project_id}", project_id, key)
    statuses: list[int] = []
    began, hour = time.monotonic(), time.gmtime().tm_hour
    with serving(data, WEB_CONCURRENCY="2") as server:
        http = urllib3.PoolManager(maxsize=THREADS + 1)
        senders = [
            threading.Thread(target=_flood, args=(http, server.url, statuses))
            for _ in range(THREADS)
        ]
        for sender in senders:
            sender.start()
        asked = time.monotonic()
        honest = _post(http, server.url, HONEST, "HonestError")
        took_s = time.monotonic() - asked
        for sender in senders:
            sender.join()
    hours = 1 if time.gmtime().tm_hour == hour else 2
    made = {project_id: _issues_of(store, project_id) for project_id in KEYS}
    with store.read() as conn:
        balanced = accounting(conn)["balanced"]
    store.dispose()
    accepted = statuses.count(200)
    held = accepted == THREADS * EACH and made[FLOOD] <= PER_HOUR * hours + 1
    return Outcome(
        f"{accepted} accepted in {time.monotonic() - began:.0f} s: {made[FLOOD]} issues",
        f"answered {honest} after {took_s:.1f} s: {made[HONEST]} issue",
        held and honest == 200 and made[HONEST] == 1 and balanced,
    )


def _flood(http: urllib3.PoolManager, url: str, statuses: list[int]) -> None:
    for _ in range(EACH):
        statuses.append(_post(http, url, FLOOD, f"Error{uuid.uuid4().hex}"))


def _post(http: urllib3.PoolManager, url: str, project_id: int, kind: str) -> int:
    payload = {"exception": {"values": [{"type": kind, "value": "it broke"}]}}
    body = b'{}\n{"type":"event"}\n' + json.dumps(payload).encode() + b"\n"
    where = f"{url}/api/{project_id}/envelope/?sentry_key={KEYS[project_id]}"
    return http.request("POST", where, body=body, timeout=20, retries=False).status


def _issues_of(store: Store, project_id: int) -> int:
    with store.read() as conn:
        query = select(func.count()).where(issues.c.project_id == project_id)
        return int(conn.execute(query).scalar_one())


ATTACKS = [Attack("2,000 errors of which each is new", flood_of_issues)]
