"""The sender: what one process does for one destination while it holds the destination's lease.

    step      lease → pick due envelopes → sample → begin to send them
    results   rows, attempts, counters, circuit and limits, in one transaction of the forwarder

Every step reads the database again. So a change by a person or another process takes effect from
the next step on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection as DbConnection

from app.delivery import client_reports, outbox, sampling
from app.delivery.circuit_breaker import Circuit
from app.delivery.client import DEADLINE_S, Origin
from app.delivery.client_reports import Report
from app.delivery.destinations import Destination, Destinations
from app.delivery.exchanges import Exchanges, Route, Sent
from app.delivery.outbox import Due
from app.delivery.outcomes import Attempt, DeliveryOutcome
from app.delivery.pace import AT_A_TIME, Pace, uptime_s
from app.delivery.policy import Backoff, Decision, clock, judge
from app.delivery.sampling import Sampling
from app.events.states import EnvelopeState
from app.protocol.addresses import check_upstream_address
from app.protocol.dsn import Dsn
from app.protocol.rate_limits import EVERYTHING, MAX_LIMIT, limited_types, longest
from app.store import Store, leases, utc_now

# Kept-alive connections to one Sentry, opened when they are needed. This is also the number of
# envelopes that are sent twice at most after a SIGKILL. The SDK has one connection, so a backlog
# drains at best this many times faster, over any distance. One transaction records the results of
# all connections.
CONNECTIONS = 16
LEASE = timedelta(seconds=60)
RENEW_S = 15.0
REPORT_EVERY_S = 10.0
# How often a process asks for a lease that another process holds.
ASK_AGAIN_S = 1.0
# How often a sender looks for envelopes while all due envelopes wait for a category's rate limit.
LIMITED_REST_S = 1.0


@dataclass(frozen=True)
class Rules:
    """The settings for sending.

    :param backlog_per_s: envelopes of the backlog that are sent a second; 0 for no limit.
    """

    backoff: Backoff = field(default_factory=Backoff)
    sampling: Sampling = field(default_factory=Sampling)
    backlog_per_s: float = 50.0
    max_age: timedelta = timedelta(days=7)


class DestinationSender:
    """Sends the envelopes of one project to its destination."""

    def __init__(
        self,
        project_id: int,
        store: Store,
        destinations: Destinations,
        rules: Rules,
        owner: str,
        exchanges: Exchanges,
    ) -> None:
        self.project_id = project_id
        self._store = store
        self._destinations = destinations
        self._rules = rules
        self._owner = owner
        self._exchanges = exchanges
        self._circuit = Circuit(rules.backoff)
        self._dsn: str | None = None
        self._is_checked = False
        self._route: Route | None = None
        self._sending: list[Due | Report] = []
        # Sent, but their results could not be written yet. They are not sent again, and they do
        # not count as a connection in use.
        self._apart: list[Due | Report] = []
        self._lease_until = 0.0
        self._asked_at = 0.0
        self._pace = Pace(rules.backlog_per_s)
        self._reported_at = 0.0
        self._rests_until = 0.0
        # An envelope received before this moment had to wait and is part of the backlog.
        self._live_since = utc_now()
        self._waited_until: datetime | None = None

    # ---- sending --------------------------------------------------------------------------------

    def step(self, destination: Destination) -> list[DeliveryOutcome]:
        """Begin to send due envelopes. Return the outcomes of envelopes that were sampled out, for
        the caller to record.

        :param destination: as it is in the store now.
        """
        now = utc_now()
        if not self._may_send(destination, now) or uptime_s() < self._rests_until:
            return []
        if destination.limits.get(EVERYTHING, now) > now or not self._holds_lease():
            return []
        if not self._is_connected_to(destination) or not self._free:
            return []
        with self._store.read() as conn:
            live, backlog = self._candidates(conn, destination, now)
            thinned = self._sample(conn, [*live, *backlog], now)
            chosen = self._choose(
                *(
                    [envelope for envelope in some if envelope.id not in thinned]
                    for some in (live, backlog)
                )
            )
            bodies = outbox.load_bodies(conn, chosen) if chosen else {}
            report = self._report(conn, destination, now)
        if destination.limits and not live and not backlog:
            # All due envelopes wait for a limit of their category. Look for them less often.
            self._rests_until = uptime_s() + LIMITED_REST_S
        for envelope in chosen:
            if envelope.id in bodies:
                self._send(envelope, bodies[envelope.id], envelope.origin)
        if report is not None and self._free:
            self._send(report, report.body(now), Origin())
        return list(thinned.values())

    def _may_send(self, destination: Destination, now: datetime) -> bool:
        """Return whether envelopes may be sent now. If not, note that envelopes received from now
        on belong to the backlog.
        """
        if destination.dsn is None or destination.paused_at:
            self._waited_until = now
            return False
        if destination.open_since is None:
            self._live_since = max(self._live_since, self._waited_until or self._live_since)
            self._waited_until = None
            return True
        probes = not self._sending and (destination.probe_at is None or destination.probe_at <= now)
        # An envelope that is received after a successful probe did not have to wait.
        self._waited_until = now if probes else self._waited_until or now
        return probes

    def _holds_lease(self) -> bool:
        """Claim or renew the lease. Return whether it lasts for an exchange that begins now."""
        now = uptime_s()
        if self._lease_until - now < LEASE.total_seconds() - RENEW_S and now >= self._asked_at:
            is_new = self._lease_until < now
            if leases.claim(self._store, self._lease, self._owner, LEASE):
                self._lease_until = now + LEASE.total_seconds()
                self._live_since = utc_now() if is_new else self._live_since
            else:
                self._lease_until, self._asked_at = 0.0, now + ASK_AGAIN_S
        return self._lease_lasts(DEADLINE_S)

    def _lease_lasts(self, seconds: float) -> bool:
        return self._lease_until - uptime_s() > seconds

    @property
    def _lease(self) -> str:
        return f"delivery:{self.project_id}"

    def _is_connected_to(self, destination: Destination) -> bool:
        """Open a route to the destination's current DSN. Return ``False`` while exchanges with its
        previous DSN are still running.
        """
        if (destination.dsn, destination.checked) == (self._dsn, self._is_checked):
            return True
        if self._sending:
            return False
        self._close_route()
        check = self._check_address if destination.checked else None
        self._route = Route(Dsn.of(destination.dsn or ""), self._store.instance_id(), check)
        self._dsn, self._is_checked = destination.dsn, destination.checked
        return True

    def _check_address(self, address: str) -> None:
        check_upstream_address(address, allow_private=self._destinations.allow_private)

    def _candidates(
        self, conn: DbConnection, destination: Destination, now: datetime
    ) -> tuple[list[Due], list[Due]]:
        """Return new envelopes and envelopes of the backlog."""
        limited = limited_types(destination.limits, now)
        held = [
            envelope.id for envelope in (*self._sending, *self._apart) if isinstance(envelope, Due)
        ]
        if destination.limits.get(EVERYTHING, now) > now:
            return [], []
        if destination.open_since is not None:
            return [], outbox.pick_probe(conn, self.project_id, limited, held)
        since = max(now - outbox.LIVE, self._live_since)
        count = AT_A_TIME if self._sampling.is_active else self._free
        backlog = outbox.pick_backlog(conn, self.project_id, now, count, limited=limited, held=held)
        live = outbox.pick_live(conn, self.project_id, since, count, limited=limited, held=held)
        young = {envelope.id for envelope in live}
        return live, [envelope for envelope in backlog if envelope.id not in young]

    def _sample(
        self, conn: DbConnection, due: list[Due], now: datetime
    ) -> dict[int, DeliveryOutcome]:
        sending = [envelope for envelope in self._sending if isinstance(envelope, Due)]
        reasons = self._sampling.decide(conn, due, sending, now)
        return {
            envelope.id: DeliveryOutcome(
                envelope.id, envelope.attempts, EnvelopeState.DISCARDED, reasons[envelope.id]
            )
            for envelope in due
            if envelope.id in reasons
        }

    @property
    def _sampling(self) -> Sampling:
        return replace(self._rules.sampling, sample_rate=self._destinations.sample_rate)

    def _choose(self, live: list[Due], backlog: list[Due]) -> list[Due]:
        """Choose envelopes for the free connections: new ones first, but always some backlog."""
        free = self._free
        paced = backlog[: self._pace.allowance()]
        share = min(len(paced), max(1, free // 4, free - len(live)))
        self._pace.spend(share)
        return [*live[: free - share], *paced[:share]][:free]

    def _report(self, conn: DbConnection, destination: Destination, now: datetime) -> Report | None:
        if destination.open_since is not None or not self.may_report():
            return None
        self._reported_at = uptime_s()
        if "client_report" in limited_types(destination.limits, now):
            return None
        return client_reports.owed_by(conn, self.project_id)

    def _send(self, token: Due | Report, body: bytes, origin: Origin) -> None:
        # This process may have been stopped meanwhile, and another process may hold the lease.
        if self._route is not None and self._lease_lasts(DEADLINE_S):
            self._sending.append(token)
            self._exchanges.begin(self, token, self._route, body, origin)

    @property
    def _free(self) -> int:
        """How many more exchanges may be started."""
        return CONNECTIONS - len(self._sending)

    # ---- results --------------------------------------------------------------------------------

    def outcomes(
        self, conn: DbConnection, results: list[Sent], now: datetime
    ) -> list[DeliveryOutcome]:
        """Return the outcomes of envelopes, and write what the answers show about the destination:
        its circuit and its rate limits.
        """
        judged = [
            (result.token, result, judge(result.result, now)) for result in results if result.result
        ]
        self._learn(conn, [(token, decision) for token, _, decision in judged], now)
        client_reports.take_off(
            conn,
            (
                token
                for token, _, decision in judged
                if isinstance(token, Report) and decision.kind in ("delivered", "parked")
            ),
        )
        if self._rules.sampling.per_issue_and_hour:
            sampling.count_sent(conn, _issues_of([token for token, _, _ in judged]), now)
        damaged = [_damaged(result) for result in results if result.damage is not None]
        return damaged + [
            self.outcome(token, envelope, decision, now)
            for token, envelope, decision in judged
            if isinstance(token, Due)
        ]

    def take_back(self, sent: Sent) -> None:
        """Free the connection of an envelope whose result was recorded."""
        tokens = self._sending if sent.token in self._sending else self._apart
        tokens.remove(sent.token)

    def set_apart(self, sent: Sent) -> None:
        """Free the connection of an envelope whose result could not be recorded yet."""
        if sent.token in self._sending:
            self._sending.remove(sent.token)
            self._apart.append(sent.token)

    def _learn(
        self, conn: DbConnection, judged: list[tuple[Due | Report, Decision]], now: datetime
    ) -> None:
        before = self._destinations.find(conn, self.project_id)
        ids = [(token.id if isinstance(token, Due) else 0, judged_) for token, judged_ in judged]
        after = self._circuit.learn(before, ids, now)
        if after != before:
            self._destinations.save(conn, after)
        if before.open_since is not None and after.open_since is None:
            outbox.bring_forward(conn, self.project_id, now)

    def outcome(self, due: Due, sent: Sent, decision: Decision, now: datetime) -> DeliveryOutcome:
        """Return the outcome of one attempt for its envelope."""
        state = "retry" if decision.kind == "refused" else decision.kind
        error = decision.cause or None
        # The envelope was accepted, but Sentry may have left out what it limits.
        remark = limits_of(decision, due.item_types) if state == "delivered" else None
        return DeliveryOutcome(
            due.id,
            due.attempts,
            state,
            reason=error,
            next_at=self._next_at(due, decision, now) if state == "retry" else None,
            upstream_id=decision.upstream_id,
            attempt=Attempt(
                sent.at, sent.ms, decision.status, error or remark, worker_of(self._owner)
            ),
        )

    def _next_at(self, due: Due, decision: Decision, now: datetime) -> datetime:
        moment = now + self._rules.backoff.wait(due.attempts + 1)
        named = longest(decision.limits, due.item_types) or decision.not_before
        return max(moment, min(named, now + MAX_LIMIT)) if named else moment

    # ---- ending ---------------------------------------------------------------------------------

    @property
    def is_sending(self) -> bool:
        """Whether exchanges are running, or results wait to be recorded."""
        return bool(self._sending)

    @property
    def is_idle(self) -> bool:
        """Whether no exchange is running and no result waits to be recorded."""
        return not self._sending and not self._apart

    def may_report(self) -> bool:
        """Return whether it is time to look for a client report."""
        return uptime_s() - self._reported_at >= REPORT_EVERY_S

    def close(self) -> None:
        """Release the lease, if it is still ours and no exchange is running.

        While an exchange is running, another process must not begin to send the same envelope.
        """
        self._close_route()
        if self._lease_until > uptime_s() and not self._sending:
            self._lease_until = 0.0
            leases.release(self._store, self._lease, self._owner)

    def _close_route(self) -> None:
        if self._route is not None:
            self._route.close()
        self._route = self._dsn = None


def worker_of(owner: str) -> str:
    """Return the name of a process in the ledger: ``host:pid``."""
    return ":".join(owner.split(":")[:2])


def limits_of(decision: Decision, item_types: Iterable[str]) -> str | None:
    """Return in words that Sentry limits what it has just accepted, ``None`` if it does not.

    With some items over their limit, Sentry leaves these out and answers 200 for the others.

    Source: https://develop.sentry.dev/sdk/expected-features/rate-limiting/, 2026-11-24.
    """
    until = longest(decision.limits, item_types)
    return (
        f"accepted, with a rate limit until {clock(until)}: it may be left out" if until else None
    )


def _issues_of(tokens: Iterable[Due | Report]) -> list[int]:
    """Return the issue of each event that was sent for the first time."""
    events = (token for token in tokens if isinstance(token, Due) and not token.attempts)
    return [event.issue_id for event in events if event.issue_id is not None]


def _damaged(sent: Sent) -> DeliveryOutcome:
    return DeliveryOutcome(
        sent.token.id, sent.token.attempts, EnvelopeState.PARKED, f"damaged here: {sent.damage}"
    )
