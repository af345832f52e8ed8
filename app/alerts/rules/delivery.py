"""Rules about delivery to Sentry: envelopes that wait, and a destination with an open circuit."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, text

from app.alerts.rules.kind import KINDS, Preset, Question, Reading, RuleKind, Threshold
from app.alerts.rules.stored import Watch
from app.events.tables import OUTBOX, envelopes

# First events and other live envelopes. Replayed envelopes do not count, because they may be old.
_PRIORITIES = (0, 1)


@KINDS.register("outbox_age", "Outbox", position=50)
class OutboxAge(RuleKind):
    """Measures how long the oldest envelope has waited."""

    summary = "An envelope has waited so long for Sentry."
    threshold = Threshold(15, "minutes", "for {:g} minutes", highest=100_000, lowest=1)
    cooldown_minutes = 240
    preset = Preset("outbox_age", "Envelopes wait for Sentry")

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Return the age of the oldest envelope in the outbox, in minutes."""
        oldest = [
            question.conn.scalar(
                select(envelopes.c.received_at)
                .where(text(OUTBOX), envelopes.c.project_id == rule.project_id)
                .where(envelopes.c.priority == priority)
                .order_by(envelopes.c.id)
                .limit(1)
            )
            for priority in _PRIORITIES
        ]
        since = min((moment for moment in oldest if moment is not None), default=None)
        if since is None:
            return Reading(0, False, "Nothing waits for Sentry.")
        minutes = _minutes(question.now - since)
        said = f"An envelope has waited for Sentry for {minutes:,.0f} minutes"
        return Reading(minutes, minutes >= (rule.threshold or 0), f"{said}.", said)


@KINDS.register("circuit_open", "Circuit", position=51)
class CircuitOpen(RuleKind):
    """Measures how long the circuit of the destination has been open."""

    summary = "Sentry has taken nothing for so long."
    threshold = Threshold(5, "minutes", "for {:g} minutes", highest=100_000)
    cooldown_minutes = 240
    preset = Preset("circuit_open", "Sentry takes nothing")

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Return for how many minutes the circuit has been open."""
        destination = question.parts.destinations.find(question.conn, rule.project_id)
        if destination.state(question.now) != "open" or destination.open_since is None:
            return Reading(0, False, "The circuit is closed.")
        minutes = _minutes(question.now - destination.open_since)
        said = f"Sentry has taken nothing for {minutes:,.0f} minutes"
        detail = f"{said}: {destination.cause or 'no cause is known'}."
        return Reading(minutes, minutes >= (rule.threshold or 0), detail, said)


def _minutes(time: timedelta) -> float:
    return max(0.0, time / timedelta(minutes=1))
