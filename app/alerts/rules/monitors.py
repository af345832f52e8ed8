"""The rule about monitors. :mod:`app.alerts.monitor_alerts` raises its notifications."""

from __future__ import annotations

from app.alerts.rules.kind import KINDS, Preset, Question, Reading, RuleKind
from app.alerts.rules.stored import Watch
from app.monitors.queries import failing_states


@KINDS.register("monitor", "Monitors", position=54)
class Monitors(RuleKind):
    """Counts the monitors that are failing; each of them has a notification of its own."""

    summary = "A job was missed, took too long or failed. A second notification says that it is ok."
    filters = ("environment",)
    # Of each monitor in each environment.
    cooldown_minutes = 60
    next_notice = "The same again"
    preset = Preset("monitors", "Monitors")

    def measure(self, rule: Watch, question: Question) -> Reading:
        """Return how many monitors are failing. It names none: that happened at once."""
        found = question.once("failing monitors", lambda: failing_states(question.conn))
        failing = [
            state
            for state in found
            if state.project_id == rule.project_id
            and rule.matches("environment", state.environment)
        ]
        if not failing:
            return Reading(0, False, "No monitor is failing.")
        many = f"{len(failing):,} monitors are" if len(failing) > 1 else "A monitor is"
        names = ", ".join(state.name or state.slug for state in failing[:5])
        return Reading(len(failing), True, f"{many} failing: {names}.")
