"""A lane: everything of one destination that one process does while it holds the lease.

    step      lease → pick what is due → thin → give it to the senders
    settled   results → rows, ledger, books, circuit and limits, in one transaction of the forwarder

The database is the only memory that counts: whatever a person or another process changed holds
from the next step on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection as DbConnection

from app import leases
from app.db import Store, utc_now
from app.delivery import outbox, reports, thinning
from app.delivery.client import DEADLINE_S, Connection
from app.delivery.destinations import Destination, Destinations
from app.delivery.learning import Circuit
from app.delivery.outbox import Due
from app.delivery.policy import Backoff, Judgement, judge
from app.delivery.reports import Report
from app.delivery.sender import Job, Sender, Sent, uptime_s
from app.delivery.settling import Attempt, Settlement
from app.delivery.thinning import Thinning
from app.protocol.dsn import Dsn
from app.protocol.rate_limits import EVERYTHING, MAX_LIMIT, limited_types, longest

# Kept-alive connections to one Sentry, opened when they are needed; also how many envelopes a
# SIGKILL may have sent twice. The SDK has one, so over any distance a drain is at best as many
# times faster; and one transaction settles what all of them have: 4, 8 and 16 drain 660, 800 and
# 950 envelopes a second on a busy machine of two cores.
CONNECTIONS = 16
LEASE = timedelta(seconds=60)
RENEW_S = 15.0
REPORT_EVERY_S = 10.0
# How often a process asks for a lease that another one holds.
ASK_AGAIN_S = 1.0
# How many are looked at at once where some are thinned out.
AT_A_TIME = 100


@dataclass(frozen=True)
class Rules:
    """What the settings say about sending.

    :param backlog_per_s: envelopes a second of what had to wait; 0 for as many as go.
    """

    backoff: Backoff = field(default_factory=Backoff)
    thinning: Thinning = field(default_factory=Thinning)
    backlog_per_s: float = 50.0
    max_age: timedelta = timedelta(days=7)


class Lane:
    """The way to one destination.

    :param done: called, on a sender's thread, with every result.
    """

    def __init__(
        self,
        project_id: int,
        store: Store,
        destinations: Destinations,
        rules: Rules,
        owner: str,
        done: Callable[[Lane, Sender, Sent], None],
    ) -> None:
        self.project_id = project_id
        self._store = store
        self._destinations = destinations
        self._rules = rules
        self._owner = owner
        self._done = done
        self._circuit = Circuit(rules.backoff)
        self._dsn: str | None = None
        self._senders: list[Sender] = []
        self._free: list[Sender] = []
        self._sending: dict[int, Due] = {}
        self._lease_until = 0.0
        self._asked_at = 0.0
        self._pace = Pace(rules.backlog_per_s)
        self._reported_at = 0.0
        # What came in before this moment had to wait, and is backlog.
        self._live_since = utc_now()
        self._waited_until: datetime | None = None

    # ---- giving out -----------------------------------------------------------------------------

    def step(self) -> list[Settlement]:
        """Give the free senders what is due; return what is not to be sent, to be settled."""
        now = utc_now()
        with self._store.read() as conn:
            destination = self._destinations.find(conn, self.project_id)
        if not self._may_send(destination, now) or not self._holds_lease():
            return []
        if not self._is_connected_to(destination) or not self._free:
            return []
        with self._store.read() as conn:
            live, backlog = self._candidates(conn, destination, now)
            thinned = self._thin(conn, [*live, *backlog], now)
            chosen = self._choose(
                *([one for one in some if one.id not in thinned] for some in (live, backlog))
            )
            bodies = outbox.load_bodies(conn, chosen) if chosen else {}
            report = self._report(conn, destination, now)
        for one in chosen:
            if one.id in bodies:
                self._sending[one.id] = one
                self._give(one, bodies[one.id], one.via)
        if report is not None and self._free:
            self._give(report, report.body(now), None)
        return list(thinned.values())

    def _may_send(self, destination: Destination, now: datetime) -> bool:
        """Tell whether anything may go now; note that what waits meanwhile is backlog."""
        if destination.dsn is None or destination.paused_at:
            self._waited_until = now
            return False
        if destination.open_since is None:
            self._live_since = max(self._live_since, self._waited_until or self._live_since)
            self._waited_until = None
            return True
        probes = not self.sending and (destination.probe_at is None or destination.probe_at <= now)
        # What comes after a probe that gets through has not had to wait.
        self._waited_until = now if probes else self._waited_until or now
        return probes

    def _holds_lease(self) -> bool:
        """Hold the lease, and long enough for an exchange that begins now."""
        now = uptime_s()
        if self._lease_until - now < LEASE.total_seconds() - RENEW_S and now >= self._asked_at:
            is_new = self._lease_until < now
            if leases.claim(self._store, self._lease, self._owner, LEASE):
                self._lease_until = now + LEASE.total_seconds()
                self._live_since = utc_now() if is_new else self._live_since
            else:
                self._lease_until, self._asked_at = 0.0, now + ASK_AGAIN_S
        return self._lease_until - uptime_s() > DEADLINE_S

    @property
    def _lease(self) -> str:
        return f"delivery:{self.project_id}"

    def _is_connected_to(self, destination: Destination) -> bool:
        """Have senders for the DSN that holds now, once those of another one have ended."""
        if destination.dsn == self._dsn:
            return True
        if self.sending:
            return False
        self._close_senders()
        dsn, instance_id = Dsn.of(destination.dsn or ""), self._store.instance_id()
        self._senders = [
            Sender(Connection(dsn, instance_id), self._finished) for _ in range(CONNECTIONS)
        ]
        self._free, self._dsn = list(self._senders), destination.dsn
        return True

    def _finished(self, sender: Sender, sent: Sent) -> None:
        self._done(self, sender, sent)

    def _candidates(
        self, conn: DbConnection, destination: Destination, now: datetime
    ) -> tuple[list[Due], list[Due]]:
        """Return what has just come in, and what had to wait."""
        limited, held = limited_types(destination.limits, now), list(self._sending)
        if destination.limits.get(EVERYTHING, now) > now:
            return [], []
        if destination.open_since is not None:
            return [], outbox.pick_probe(conn, self.project_id, limited, held)
        since = max(now - outbox.LIVE, self._live_since)
        count = AT_A_TIME if self._thinning.is_active else len(self._free)
        backlog = outbox.pick_backlog(conn, self.project_id, now, count, limited=limited, held=held)
        live = outbox.pick_live(conn, self.project_id, since, count, limited=limited, held=held)
        young = {one.id for one in live}
        return live, [one for one in backlog if one.id not in young]

    def _thin(self, conn: DbConnection, due: list[Due], now: datetime) -> dict[int, Settlement]:
        reasons = self._thinning.decide(conn, due, self._sending.values(), now)
        return {
            one.id: Settlement(one.id, one.attempts, "discarded", reasons[one.id])
            for one in due
            if one.id in reasons
        }

    @property
    def _thinning(self) -> Thinning:
        return replace(self._rules.thinning, sample_rate=self._destinations.sample_rate)

    def _choose(self, live: list[Due], backlog: list[Due]) -> list[Due]:
        """Share the free senders: live events first, but what had to wait is never starved."""
        free = len(self._free)
        paced = backlog[: self._pace.allowance()]
        share = min(len(paced), max(1, free // 4, free - len(live)))
        self._pace.spend(share)
        return [*live[: free - share], *paced[:share]][:free]

    def _report(self, conn: DbConnection, destination: Destination, now: datetime) -> Report | None:
        limited = limited_types(destination.limits, now)
        if (
            destination.open_since is not None
            or uptime_s() - self._reported_at < REPORT_EVERY_S
            or "client_report" in limited
            or destination.limits.get(EVERYTHING, now) > now
        ):
            return None
        self._reported_at = uptime_s()
        return reports.owed_by(conn, self.project_id)

    def _give(self, token: Due | Report, body: bytes, via: str | None) -> None:
        not_after = self._lease_until - DEADLINE_S
        self._free.pop().give(Job(token, body, via, not_after))

    # ---- taking back ----------------------------------------------------------------------------

    def settlements(
        self, conn: DbConnection, results: list[Sent], now: datetime
    ) -> list[Settlement]:
        """Return what became of envelopes, and write what the answers teach of the destination."""
        judged = [(one.token, one, judge(one.result, now)) for one in results if one.result]
        self._learn(conn, [(token, judgement) for token, _, judgement in judged], now)
        reports.take_off(
            conn,
            (
                token
                for token, _, judgement in judged
                if isinstance(token, Report) and judgement.kind in ("delivered", "parked")
            ),
        )
        if self._rules.thinning.per_issue_and_hour:
            thinning.count_sent(conn, _issues_of([token for token, _, _ in judged]), now)
        damaged = [_damaged(one) for one in results if one.damage]
        return damaged + [
            self._settlement(token, one, judgement, now)
            for token, one, judgement in judged
            if isinstance(token, Due)
        ]

    def take_back(self, sender: Sender, sent: Sent) -> None:
        """Have a sender free again; its result is settled."""
        if isinstance(sent.token, Due):
            self._sending.pop(sent.token.id, None)
        if sender in self._senders:
            self._free.append(sender)

    def _learn(
        self, conn: DbConnection, judged: list[tuple[Due | Report, Judgement]], now: datetime
    ) -> None:
        before = self._destinations.find(conn, self.project_id)
        ids = [(token.id if isinstance(token, Due) else 0, judged_) for token, judged_ in judged]
        after = self._circuit.learn(before, ids, now)
        if after != before:
            self._destinations.save(conn, after)
        if before.open_since is not None and after.open_since is None:
            outbox.bring_forward(conn, self.project_id, now)

    def _settlement(self, due: Due, sent: Sent, judgement: Judgement, now: datetime) -> Settlement:
        state = "retry" if judgement.kind == "refused" else judgement.kind
        error = judgement.cause or None
        return Settlement(
            due.id,
            due.attempts,
            state,
            reason=error,
            next_at=self._next_at(due, judgement, now) if state == "retry" else None,
            upstream_id=judgement.upstream_id,
            attempt=Attempt(sent.at, sent.ms, judgement.status, error, worker_of(self._owner)),
        )

    def _next_at(self, due: Due, judgement: Judgement, now: datetime) -> datetime:
        moment = now + self._rules.backoff.wait(due.attempts + 1)
        named = longest(judgement.limits, due.item_types) or judgement.not_before
        return max(moment, min(named, now + MAX_LIMIT)) if named else moment

    # ---- ending ---------------------------------------------------------------------------------

    @property
    def sending(self) -> int:
        """How many results are still to come or to be settled."""
        return len(self._senders) - len(self._free)

    def abort_late(self) -> None:
        """End exchanges that have gone on for too long."""
        for sender in self._senders:
            sender.abort_if_late()

    def end_exchanges(self) -> None:
        """End what is still being sent; its results come as of any other failure."""
        for sender in self._senders:
            sender.end()

    def close(self) -> None:
        """End the senders, and give the lease back, if it is still ours and nothing is being sent.

        While something is, another process must not begin to send the same.
        """
        is_sending = bool(self.sending)
        self._close_senders()
        self._dsn = None
        if self._lease_until > uptime_s() and not is_sending:
            self._lease_until = 0.0
            leases.release(self._store, self._lease, self._owner)

    def _close_senders(self) -> None:
        for sender in self._senders:
            sender.close()
        self._senders, self._free = [], []


class Pace:
    """How many of the backlog may go now: a bucket that fills with so many a second."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._full = max(1.0, per_s / 2)
        self._tokens, self._at = self._full, uptime_s()

    def allowance(self) -> int:
        """Return how many may go now."""
        if not self._per_s:
            return AT_A_TIME
        now = uptime_s()
        self._tokens = min(self._full, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        return int(self._tokens)

    def spend(self, count: int) -> None:
        """Take out what goes."""
        self._tokens -= count if self._per_s else 0


def worker_of(owner: str) -> str:
    """Return what the ledger calls a process: ``host:pid``."""
    return ":".join(owner.split(":")[:2])


def _issues_of(tokens: Iterable[Due | Report]) -> list[int]:
    """Return the issue of each event that was sent for the first time."""
    events = (one for one in tokens if isinstance(one, Due) and not one.attempts)
    return [one.issue_id for one in events if one.issue_id is not None]


def _damaged(sent: Sent) -> Settlement:
    return Settlement(sent.token.id, sent.token.attempts, "parked", f"damaged here: {sent.damage}")
