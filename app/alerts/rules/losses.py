"""Losses of clients: events that SDKs report as lost, and did not leave out on purpose."""

from __future__ import annotations

from datetime import timedelta

from app.alerts.rules.kind import KINDS, Preset, Question, Reading, RuleKind, Threshold
from app.alerts.rules.stored import Watch
from app.insights.losses import lost_events


@KINDS.register("client_losses", "Losses of clients", position=55)
class ClientLosses(RuleKind):
    """The events that clients of a project lost within the window, by their own reports."""

    summary = "Clients report that they lost more events than this, not by their settings."
    threshold = Threshold(10, "events", "more than {:,.0f} events lost", highest=1_000_000_000)
    window_minutes = 15
    cooldown_minutes = 240
    preset = Preset("client_losses", "Clients lose events")
    tells_recovery = True

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Count the events that were lost within the window."""
        minutes = rule.window_minutes or 0
        now = question.now
        lost = question.once(
            ("client losses", minutes),
            lambda: lost_events(question.conn, now - timedelta(minutes=minutes), now),
        ).get(rule.project_id, {})
        count = sum(lost.values())
        if not count:
            return Reading(0, False, f"Clients lost nothing within {minutes} minutes.")
        said = f"Clients lost {count:,} {'event' if count == 1 else 'events'}"
        most = sorted(lost.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in most)
        detail = f"{said} within {minutes} minutes: {reasons}. Insights, Losses has the SDKs."
        return Reading(count, count > (rule.threshold or 0), detail, said)
