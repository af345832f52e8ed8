"""The circuit breaker: it stops sending to a destination that does not accept envelopes.

    closed ──refused, or failures of several envelopes──▶ open ──probe accepted──▶ closed

While the circuit is open, all envelopes wait. Only one envelope at a time is sent as a probe, and
the wait between probes grows. This protects a Sentry that comes back from the whole queue at once.
A single envelope that always fails does not open the circuit: the envelope may be the cause.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from app.delivery.destinations import Destination
from app.delivery.policy import Backoff, Decision
from app.protocol.rate_limits import MAX_LIMIT, merged

# The circuit opens after this many different envelopes failed with no success in between.
FAILING_ENVELOPES = 3

# People read this moment, so it need not be exact. Writing it for every answer would add one more
# row to each transaction.
DELIVERED_AT_EVERY = timedelta(seconds=1)


class Circuit:
    """The circuit of one destination.

    This object remembers which envelopes failed since the last success. All other state is in the
    destination's row.
    """

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._failing: set[int] = set()

    def learn(
        self, destination: Destination, results: Iterable[tuple[int, Decision]], now: datetime
    ) -> Destination:
        """Return the destination with the state that follows from the results of one batch.

        :param results: pairs of an envelope id and the decision about it.
        """
        results = list(results)
        limits = destination.limits
        for _, decision in results:
            limits = merged(limits, decision.limits, now)
        destination = replace(destination, limits=limits)
        answered = [decision for _, decision in results if _is_an_answer(decision)]
        if answered:
            return self._closed(destination, answered, now)
        failed = [(envelope_id, decision) for envelope_id, decision in results]
        return self._failed(destination, failed, now) if failed else destination

    def _closed(
        self, destination: Destination, answered: list[Decision], now: datetime
    ) -> Destination:
        self._failing.clear()
        delivered = any(decision.kind == "delivered" for decision in answered)
        if destination.delivered_at and now - destination.delivered_at < DELIVERED_AT_EVERY:
            delivered = False
        return replace(
            destination,
            open_since=None,
            cause=None,
            failures=0,
            probe_at=None,
            delivered_at=now if delivered else destination.delivered_at,
        )

    def _failed(
        self, destination: Destination, failed: list[tuple[int, Decision]], now: datetime
    ) -> Destination:
        self._failing.update(envelope_id for envelope_id, _ in failed)
        last = failed[-1][1]
        failures = destination.failures + 1
        opens = last.kind == "refused" or len(self._failing) >= FAILING_ENVELOPES
        if not opens and destination.open_since is None:
            return replace(destination, cause=last.cause, failures=failures)
        probe_at = now + self._backoff.wait(failures)
        if last.not_before is not None:
            probe_at = max(probe_at, min(last.not_before, now + MAX_LIMIT))
        return replace(
            destination,
            open_since=destination.open_since or now,
            cause=last.cause,
            failures=failures,
            probe_at=probe_at,
        )


def _is_an_answer(decision: Decision) -> bool:
    """Whether the answer shows that Sentry is reached and accepts our key, even if Sentry did not
    accept this envelope.
    """
    return decision.kind in ("delivered", "parked") or decision.status == 429
