"""The task that asks Sentry, in the process that holds the lease.

    choose   delivered events, from the ledger
    canary   at most one, for a project without events
    ask      the next question of each organization, all at the same time
    record   their answers, in one transaction

A run lasts at most as long as a canary and a question may take, far less than the lease. No error
of asking is an event: it is stored with the project or the organization, and pages show it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select

from app.confirmation import asking, canary, choosing, client
from app.confirmation.apis import Api, accesses
from app.confirmation.sources import Source, begin, change, read_sources
from app.confirmation.tables import Kind
from app.delivery.client import CheckAddress
from app.delivery.destinations import Destination, Destinations
from app.projects import projects
from app.protocol.addresses import check_upstream_address
from app.store import Store, utc_now
from app.store.leased_task import LeasedTask


class ConfirmationTask(LeasedTask):
    """Asks Sentry's API whether it shows what it accepted.

    :param sends_canaries: the setting SENTRY_CANARY.
    """

    name = "confirmation"
    # An organization gets one request a second.
    poll_s = 1.0

    def __init__(
        self,
        store: Store,
        owner: str,
        destinations: Destinations,
        *,
        sends_canaries: bool = True,
    ) -> None:
        super().__init__(store, owner)
        self._destinations = destinations
        self.sends_canaries = sends_canaries
        self._started_at = utc_now()

    def work(self) -> None:
        """Choose events, send a canary if one is due, and ask the next questions."""
        now = utc_now()
        with self.store.read() as conn:
            archived = _present(conn)
            found = [
                one
                for one in self._destinations.list(conn)
                if one.dsn is not None and one.project_id in archived
            ]
            apis = accesses(found, self._destinations)
            sources = read_sources(conn, list(apis)) if apis else {}
        if not apis:
            return
        sources = self._watched(apis, found, sources, now)
        choosing.choose(self.store, sources, now)
        if self.sends_canaries:
            active = [one for one in found if not archived[one.project_id]]
            self._send_canary(sources, active, now)
        self._ask(apis, now)

    def _watched(
        self,
        apis: dict[int, Api],
        found: Iterable[Destination],
        sources: dict[int, Source],
        now: datetime,
    ) -> dict[int, Source]:
        """Return the sources of all projects; those of another DSN than the present begin anew."""
        new = [
            one
            for one in found
            if one.project_id in apis
            and (
                one.project_id not in sources
                or sources[one.project_id].dsn_hash != apis[one.project_id].dsn_hash
            )
        ]
        if not new:
            return sources
        with self.store.write(durable=False) as conn:
            for one in new:
                begin(conn, apis[one.project_id], one, self._started_at, now)
            return read_sources(conn, list(apis))

    def _send_canary(
        self, sources: dict[int, Source], found: Iterable[Destination], now: datetime
    ) -> None:
        with self.store.read() as conn:  # What was chosen in this run counts.
            sources = read_sources(conn, list(sources))
        idle = canary.project_without_events(sources, found, now)
        if idle is None:
            return
        # Noted before it is sent: if this process is killed meanwhile, no second one is sent.
        with self.store.write(durable=False) as conn:
            change(conn, idle.project_id, {"chosen_at": now})
        check = self._check if idle.checked else None
        sent = canary.send(idle, self.store.instance_id(), check, now)
        if sent is None:
            return
        event_id, remark = sent
        row = choosing.new_row(idle.project_id, event_id, Kind.CANARY, utc_now(), remark)
        with self.store.write(durable=False) as conn:
            choosing.add_rows(conn, [row], now)

    def _ask(self, apis: dict[int, Api], now: datetime) -> None:
        with self.store.read() as conn:
            sources = read_sources(conn, list(apis))
            questions = asking.next_questions(conn, apis, sources, now)
        if not questions:
            return
        with self.store.write(durable=False) as conn:
            questions = [one for one in questions if asking.take_right(conn, one.api.key, now)]
        requests = [client.Request(one.api, one.path, self._check_of(one.api)) for one in questions]
        replies = client.ask(requests, self.stopping.is_set)
        now = utc_now()
        with self.store.write(durable=False) as conn:
            for question, reply in zip(questions, replies, strict=True):
                if reply is not None:
                    asking.record(conn, question, reply, sources[question.project_id], now)

    def _check_of(self, api: Api) -> CheckAddress | None:
        return self._check if api.is_checked else None

    def _check(self, address: str) -> None:
        check_upstream_address(address, allow_private=self._destinations.allow_private)


def _present(conn: Connection) -> dict[int, bool]:
    """Return the projects that are not deleted, each with whether it is archived."""
    there = select(projects.c.id, projects.c.archived_at).where(projects.c.deleted_at.is_(None))
    return {row.id: row.archived_at is not None for row in conn.execute(there)}
