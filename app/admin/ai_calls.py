"""AI calls: what models, agents and tools took, how often they failed, and the latest calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from app import access
from app.admin import bp
from app.admin.call_charts import token_chart
from app.admin.charts import charts
from app.admin.events import Choice, row_number
from app.admin.lookups import project_names
from app.db import utc_now
from app.insights.ai_calls import (
    PERIODS,
    Selection,
    Sort,
    has_any,
    latest,
    options_of,
    over_time,
    ranked,
    survey,
    total_of,
)
from app.insights.performance import window_of
from app.projects import OWN_PROJECT_ID
from app.protocol.ai_call import MAX_CALLS
from app.protocol.event import clean_text
from app.services import services

PAGE_SIZE = 50
# How many models and operations stand in their tables.
LINES = 50
SORTS: dict[Sort, str] = {
    "busiest": "Most calls first",
    "tokens": "Most tokens first",
    "slowest": "Slowest first",
    "failing": "Most failing first",
}
DEFAULTS = {"project": str(OWN_PROJECT_ID), "period": "day", "sort": "busiest"}
MAX_LENGTHS = {"model": 120, "operation": 64, "release": 250, "environment": 64}


class CallChoice(Choice):
    """What the address asks for; its values differ from what is shown without any."""

    def of(self, name: str) -> str:
        """Return what is chosen, if only by default; empty where nothing is."""
        return self.values.get(name, DEFAULTS.get(name, ""))

    @property
    def project_id(self) -> int:
        """The project that is looked at."""
        return int(self.of("project"))

    @property
    def sort(self) -> Sort:
        """What comes first."""
        return next((sort for sort in SORTS if sort == self.of("sort")), "busiest")

    @property
    def narrowing(self) -> dict[str, str]:
        """What leaves calls out, besides project and time."""
        return {name: value for name, value in self.values.items() if name in MAX_LENGTHS}

    def selection(self, now: datetime) -> Selection:
        """Return what the choice means to the store."""
        since, until = window_of(self.of("period"), now, PERIODS)
        return Selection(self.project_id, since, until, **self.narrowing)

    def but(self, **changed: str) -> dict[str, str]:
        """Return the parameters of an address that differs in what is given; empty is none."""
        values = {**self.values, **changed}
        return {name: v for name, v in values.items() if v and DEFAULTS.get(name) != v}


@bp.get("/ai-calls")
@access.admin
def list_of_ai_calls() -> ResponseReturnValue:
    """Show a project's AI calls: figures over time, by model and operation, and the latest."""
    choice, before = read_choice(request.args), row_number("before")
    selection, step = choice.selection(utc_now()), PERIODS[choice.of("period")].step
    with services().store.read() as conn:
        found = _found(conn, choice, selection)
        rows = latest(conn, selection, before=before, limit=PAGE_SIZE + 1)
    steps = found.pop("steps")
    return render_template(
        "ai_calls.html",
        choice=choice,
        periods=PERIODS,
        sorts=SORTS,
        charts=charts(steps, selection.since, step, "call"),
        tokens=token_chart(steps, selection.since, step),
        rows=rows[:PAGE_SIZE],
        is_first=before is None,
        older=rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
        is_own=choice.project_id == OWN_PROJECT_ID,
        max_calls=MAX_CALLS,
        **found,
    )


def read_choice(given: Mapping[str, str]) -> CallChoice:
    """Read the choice out of an address; what is wrong is left out and told."""
    choice = CallChoice()
    for name in (*DEFAULTS, *MAX_LENGTHS):
        value = clean_text(given.get(name, "").strip())[: MAX_LENGTHS.get(name, 40)]
        if not value or DEFAULTS.get(name) == value:
            continue
        if _is_known(name, value):
            choice.values[name] = value
        else:
            choice.problems.append(f"There is no {name} “{value}”.")
    return choice


def _is_known(name: str, value: str) -> bool:
    if name == "project":
        return value.isascii() and value.isdigit() and len(value) < 10
    known = {"period": tuple(PERIODS), "sort": tuple(SORTS)}
    return name not in known or value in known[name]


def _found(conn: Connection, choice: CallChoice, selection: Selection) -> dict[str, Any]:
    """Return what was counted; the whole is that of models, or of the chosen operation."""
    found, of = survey(conn, selection), selection.headline
    lines = found["operation" if selection.operation else "model"]
    return {
        "total": total_of(lines),
        "models": ranked(found["model"], choice.sort)[:LINES],
        "operations": ranked(found["operation"], choice.sort)[:LINES],
        "steps": over_time(conn, of, PERIODS[choice.of("period")].step),
        "options": options_of(conn, selection.project_id, selection.since),
        "any_at_all": has_any(conn, selection.project_id),
        "projects": project_names(conn),
    }
