"""A flood of unique errors with attachments from one project, while another sends few events.

    python -m benchmarks.attacks.flood [URL]      of an empty PostgreSQL database

Limits: MAX_STORE_BYTES is 64 MiB. The pages in use and the write-ahead log, or the relations of
PostgreSQL, stay within 1.1 of it until three times as much is sent or a minute is over. Every event
of the other (honest) project that was answered 200 is stored, and each is answered within 2 s. The
accounting balances, and the counted bytes are the bytes of the rows.

`make chaos` also floods PostgreSQL if CHAOS_DATABASE_URL names an empty database.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import urllib3
from sqlalchemy import select, text

from app.events.tables import envelopes
from app.intake import project_bytes
from app.intake.store_bound import used_bytes
from app.projects import create_project
from app.store import Store
from app.store.size import wal_bytes
from benchmarks.attacks import Attack, Outcome
from tests.server_process import Server, serving

BOUND = 64 * 1024**2
LASTS_S = 60.0
FLOODERS = 4
ATTACHED_BYTES = 40_000
FLOOD, HONEST = 2, 3
KEYS = {FLOOD: "f" * 32, HONEST: "e" * 32}


class Senders:
    """The senders of both projects, one thread each; they send until they are stopped."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = urllib3.PoolManager(maxsize=FLOODERS + 1, retries=False)
        self.stop = threading.Event()
        self.sent_bytes = 0
        self.refused = self.failed = 0
        self.honest: list[str] = []
        self.unanswered = 0
        self.slowest_s = 0.0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._flood) for _ in range(FLOODERS)]
        self._threads.append(threading.Thread(target=self._send_honestly))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def _flood(self) -> None:
        while not self.stop.is_set():
            status = self._post(FLOOD, os.urandom(ATTACHED_BYTES))[0]
            with self._lock:
                self.sent_bytes += ATTACHED_BYTES
                self.refused += status == 429
                self.failed += status not in (200, 429)

    def _send_honestly(self) -> None:
        while not self.stop.wait(1.0):
            began = time.monotonic()
            status, event_id = self._post(HONEST)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            if status == 200:
                self.honest.append(event_id)
            else:
                self.unanswered += 1

    def _post(self, project_id: int, attached: bytes = b"") -> tuple[int, str]:
        event_id = uuid.uuid4().hex
        error = {"type": f"Error{secrets.token_hex(8)}", "value": "it broke"}
        payload = json.dumps({"event_id": event_id, "exception": {"values": [error]}}).encode()
        body = json.dumps({"event_id": event_id}).encode()
        body += b'\n{"type":"event"}\n' + payload + b"\n"
        if attached:
            head = {"type": "attachment", "filename": "core", "length": len(attached)}
            body += json.dumps(head).encode() + b"\n" + attached + b"\n"
        url = f"{self._url}/api/{project_id}/envelope/?sentry_key={KEYS[project_id]}"
        try:
            return self._http.request("POST", url, body=body, timeout=20).status, event_id
        except urllib3.exceptions.HTTPError:
            return 0, event_id


def flood(data: Path, url: str = "") -> Outcome:
    """Send, measure the size of the store meanwhile, and count the stored events afterwards.

    :param url: of an empty database; by default a file in ``data``.
    """
    url = url or f"sqlite:///{data / 'devenviro.sqlite3'}"
    store = Store(url)
    store.open()
    for project_id, key in KEYS.items():
        create_project(store, f"Project {project_id}", project_id, key)
    production = {"ENVIRONMENT": "production", "SECRET_KEY": "s" * 40, "WEB_CONCURRENCY": "2"}
    production["DATABASE_URL"] = url
    with serving(data, MAX_STORE_BYTES=str(BOUND), **production) as server:
        senders = Senders(server.url)
        senders.start()
        most, ends_at = 0, time.monotonic() + LASTS_S
        while time.monotonic() < ends_at and senders.sent_bytes < 3 * BOUND:
            most = max(most, _taken(store))
            time.sleep(0.2)
        senders.finish()
        balanced = _status(server)["accounting"]["balanced"]
    lost, agrees = _lost(store, senders.honest), _counters_agree(store)
    store.dispose()
    is_served = not lost and not senders.unanswered and senders.slowest_s <= 2.0
    return Outcome(
        f"{most / BOUND:.2f} of the bound, sent {senders.sent_bytes / BOUND:.1f}"
        f", {senders.refused} x 429, {senders.failed} others",
        f"{len(senders.honest)} sent, {lost} lost, slowest {senders.slowest_s:.1f} s",
        most <= 1.1 * BOUND and is_served and balanced and agrees,
    )


def _taken(store: Store) -> int:
    """Return the bytes on the disk, measured without the service."""
    if store.is_sqlite:
        return used_bytes(store) + wal_bytes(store)
    with store.read() as conn:
        return int(conn.execute(_RELATIONS).scalar_one())


_RELATIONS = text(
    "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
    " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
)


def _status(server: Server) -> dict[str, dict[str, bool]]:
    headers = {"Authorization": f"Bearer {'t' * 20}"}
    url = f"{server.url}/system/status"
    found: dict[str, dict[str, bool]] = urllib3.request("GET", url, headers=headers).json()
    return found


def _lost(store: Store, event_ids: list[str]) -> int:
    with store.read() as conn:
        query = select(envelopes.c.event_id).where(envelopes.c.project_id == HONEST)
        return len(set(event_ids) - set(conn.scalars(query)))


def _counters_agree(store: Store) -> bool:
    with store.read() as conn:
        counted, known = project_bytes.counted(conn), project_bytes.read(conn)
    taken = {key: one.bytes for key, one in known.items() if one.bytes}
    return taken == {key: one.bytes for key, one in counted.items()}


ATTACKS = [Attack("a flood of unique errors with attachments", flood)]
if DATABASE_URL := os.environ.get("CHAOS_DATABASE_URL"):
    ATTACKS.append(
        Attack("the same on PostgreSQL", lambda data: flood(data, DATABASE_URL)),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks.flood")
    parser.add_argument("url", nargs="?", default="", help="of an empty PostgreSQL database")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = flood(Path(folder) / "data", given.url)
    print(f"{outcome.cost}; honest: {outcome.served}; held: {outcome.held}")
    sys.exit(not outcome.held)
