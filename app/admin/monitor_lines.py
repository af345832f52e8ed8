"""The lines of a program that sends check-ins, with what is expected of its monitor."""

from __future__ import annotations

import json
from typing import Any

from app.monitors.queries import Monitor
from app.monitors.schedule import Schedule

NIGHTLY = Schedule("crontab", "0 2 * * *", None, "Europe/Berlin")
# An example, for a project without monitors.
EXAMPLE = {"schedule": NIGHTLY, "checkin_margin": 10, "max_runtime": 60}
_THRESHOLDS = ("failure_issue_threshold", "recovery_threshold")


def lines_of(monitor: Monitor) -> str:
    """Return the lines for Python of a monitor, as it is now."""
    given = {name: getattr(monitor, name) for name in ("schedule", "checkin_margin", "max_runtime")}
    given |= {name: getattr(monitor, name) for name in _THRESHOLDS if getattr(monitor, name) != 1}
    return python_lines(monitor.slug, given)


def python_lines(slug: str, given: dict[str, Any] = EXAMPLE) -> str:
    """Return lines for Python.

    :param given: fields of ``monitor_config``. It is left out if there is no schedule, as a program
        that sends it has to send a schedule, too.
    """
    lines = [f"    monitor_slug={json.dumps(slug)},"]
    if schedule := given["schedule"]:
        fields = {"schedule": _of_program(schedule)}
        if schedule.type == "crontab":
            fields["timezone"] = schedule.timezone
        fields |= {name: value for name, value in given.items() if name != "schedule"}
        named = [f'        "{name}": {json.dumps(value)},' for name, value in fields.items()]
        lines += ["    monitor_config={", *named, "    },"]
    return "\n".join(["@sentry_sdk.monitor(", *lines, ")", "def job(): ..."])


def _of_program(schedule: Schedule) -> dict[str, Any]:
    if schedule.type == "crontab":
        return {"type": "crontab", "value": schedule.value}
    return {"type": "interval", "value": int(schedule.value), "unit": schedule.unit}
