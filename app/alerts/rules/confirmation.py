"""The rule about what Sentry accepted and does not show."""

from __future__ import annotations

from datetime import timedelta

from app.alerts.rules.kind import KINDS, Preset, Question, Reading, RuleKind, Threshold
from app.alerts.rules.stored import Watch
from app.confirmation.apis import Api, access_of
from app.confirmation.reading import causes_of, counts_since, missing_events
from app.confirmation.schedule import MISSING_AFTER

# The missing events that a notification names.
NAMED = 5


@KINDS.register("unconfirmed", "Confirmed by Sentry", position=52)
class Unconfirmed(RuleKind):
    """Counts the events that Sentry accepted and does not show 15 minutes later."""

    summary = "Sentry accepted events, and does not show them after 15 minutes."
    threshold = Threshold(1, "events", "from {:g} missing events on", highest=10_000, lowest=1)
    window_minutes = 60
    cooldown_minutes = 240
    preset = Preset("unconfirmed", "Sentry accepts but does not show")
    tells_recovery = True

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Return how many events that were asked about are missing."""
        minutes = rule.window_minutes or 0
        since = question.now - MISSING_AFTER - timedelta(minutes=minutes)
        counts = question.once(
            ("confirmations", since), lambda: counts_since(question.conn, since)
        ).get(rule.project_id, {})
        missing, confirmed = counts.get("missing", 0), counts.get("confirmed", 0)
        answered = missing + confirmed
        if not missing and not confirmed:
            return _without_answers(rule, question)
        if missing < (rule.threshold or 1):
            shown = f"Sentry shows {confirmed:,} of {answered:,} events that it was asked about."
            return Reading(missing, False, shown)
        title = f"Sentry accepts but does not show: {missing:,} of {answered:,} events are missing"
        rows = missing_events(question.conn, since, rule.project_id, NAMED)
        names = ", ".join(row.event_id for row in rows)
        more = f" and {missing - len(rows):,} more" if missing > len(rows) else ""
        return Reading(missing, True, f"{title}: {names}{more}.", title)


def _without_answers(rule: Watch, question: Question) -> Reading:
    destinations = question.parts.destinations
    access = access_of(destinations.find(question.conn, rule.project_id), destinations)
    causes = causes_of(question.conn, [rule.project_id], {rule.project_id: access})
    why = access if not isinstance(access, Api) else causes.get(rule.project_id, "")
    detail = f"Sentry cannot be asked: {why}." if why else "Sentry was not asked yet."
    # What was missing stays so until Sentry shows something again.
    if rule.state == "firing":
        return Reading(rule.value, True, detail)
    return Reading(None, False, detail)
