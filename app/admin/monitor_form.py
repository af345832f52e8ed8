"""The form of a monitor."""

from __future__ import annotations

import re
from typing import Any

from wtforms import SelectChoice, SelectField, StringField
from wtforms.validators import Length, Optional

from app.admin.model_form import form_of
from app.monitors.queries import Monitor
from app.monitors.schedule import MAX_CRONTAB
from app.monitors.settings import MonitorSettings, NamedMonitor

_NUMBERS = ("checkin_margin", "max_runtime", "failure_issue_threshold", "recovery_threshold")
_INTERVAL = re.compile(r"every (?:(\d{1,5}) )?(minute|hour|day|week|month|year)s?", re.IGNORECASE)


class MonitorForm(form_of(MonitorSettings, "name", "timezone", *_NUMBERS)):  # type: ignore[misc]
    """What a monitor expects."""

    schedule = StringField(
        "Schedule",
        [Optional(), Length(max=MAX_CRONTAB)],
        description="A crontab, or as: every 15 minutes. Empty: no run is expected.",
        render_kw={"placeholder": "0 2 * * *", "autocomplete": "off"},
    )

    @classmethod
    def filled(cls, monitor: Monitor) -> MonitorForm:
        """Return the form of a monitor."""
        data = {name: getattr(monitor, name) for name in ("name", "timezone", *_NUMBERS)}
        schedule = monitor.schedule
        if schedule is not None:
            is_interval = schedule.type == "interval"
            data["schedule"] = str(schedule) if is_interval else schedule.value
        return cls(data=data)

    def fields(self) -> dict[str, Any]:
        """Return the filled-in values as fields of :class:`MonitorSettings`."""
        given = {name: self[name].data for name in ("name", "timezone", *_NUMBERS)}
        given["name"] = given["name"] or ""
        return given | {"schedule": read_schedule(self.schedule.data or "")}


class NewMonitorForm(MonitorForm, form_of(NamedMonitor, "slug")):  # type: ignore[misc]
    """A new monitor."""

    project = SelectField("Project", coerce=int)

    @classmethod
    def of(cls, projects: dict[int, str], project_id: int | None) -> NewMonitorForm:
        """Return the form of a new monitor.

        :param project_id: the project that is chosen at first.
        """
        defaults = MonitorSettings().model_dump()
        form = cls(data=defaults | {"project": project_id, "schedule": ""})
        form.project.choices = [SelectChoice(id, name) for id, name in projects.items()]
        return form


def read_schedule(text: str) -> dict[str, Any] | None:
    """Return the schedule that a person wrote, ``None`` for none; the monitor checks it."""
    text = text.strip()
    if not text:
        return None
    if found := _INTERVAL.fullmatch(text):
        unit = found[2].lower()
        return {"type": "interval", "value": int(found[1] or 1), "unit": unit}
    return {"type": "crontab", "value": text, "unit": None}
