"""The common part of the pages of insights: project, period, filters, order."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from flask import render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from app.admin import bp
from app.admin.choices import ProjectChoice
from app.admin.last_project import last_project, look_at
from app.admin.lookups import project_names
from app.admin.range_bar import range_bar, with_period
from app.inputs import Range, period_range
from app.insights.reading import PERIODS, Period, Selection, has_any, options_of, window_of
from app.projects import OWN_PROJECT_ID
from app.store import utc_now
from app.web import access
from app.web.current import current_store

S = TypeVar("S", bound=Selection)
DEFAULT_PERIOD = "day"


class InsightChoice(ProjectChoice):
    """The choice of a page of insights; ``narrows_by`` has names of fields of the selection."""

    periods: ClassVar[Mapping[str, Period]] = PERIODS
    sorts: ClassVar[Mapping[Any, str]] = {}

    @property
    def period(self) -> Period:
        """The period that the page shows."""
        return self.periods[self.of("period")]

    @property
    def range(self) -> Range:
        """The range that the page shows."""
        return period_range(self.of("period"), utc_now())

    @property
    def step(self) -> timedelta:
        """The length of a step of the charts."""
        return self.period.step

    @property
    def sort(self) -> Any:
        """The order of the rows, a key of ``sorts``."""
        return self.of("sort")

    def select(self, kind: type[S], now: datetime) -> S:
        """Return the choice as a selection for queries of the store."""
        since, until = self.window(now)
        return kind(self.project_id, since, until, **self.narrowing)

    def window(self, now: datetime) -> tuple[datetime, datetime]:
        """Return ``since`` and ``until`` of the range."""
        return window_of(self.of("period"), now, self.periods)

    def _is_known(self, name: str, value: str) -> bool:
        of_few = {"period": self.periods, "sort": self.sorts}
        return value in of_few[name] if name in of_few else super()._is_known(name, value)


C = TypeVar("C", bound=InsightChoice)
Read = Callable[[Connection, C, S], dict[str, Any]]


def insight_page(
    path: str, template: str, choice_of: type[C], selection_of: type[S]
) -> Callable[[Read[C, S]], Callable[[], ResponseReturnValue]]:
    """Return a decorator that makes a page out of a function that reads its data.

    The template gets the function's result and ``choice``, ``options``, ``projects``, ``sorts``,
    ``range_bar``, ``is_own`` (whether the project is this application) and ``any_at_all`` (whether
    the project has any such data).
    """

    def page_of(read: Read[C, S]) -> Callable[[], ResponseReturnValue]:
        @bp.get(path)
        @access.views
        @functools.wraps(read)
        def view() -> ResponseReturnValue:
            names = choice_of.periods
            given = with_period(request.args, DEFAULT_PERIOD, names)
            with current_store().read() as conn:
                projects = project_names(conn)
                choice = choice_of(last_project(conn, projects)).read(given)
                look_at(choice.project_id)
                selection = choice.select(selection_of, utc_now())
                found = read(conn, choice, selection)
                of = selection.declared, conn, selection.project_id
                options, any_at_all = options_of(*of, selection.since), has_any(*of)
            return render_template(
                template,
                choice=choice,
                options=options,
                any_at_all=any_at_all,
                projects=projects,
                is_own=choice.project_id == OWN_PROJECT_ID,
                range_bar=range_bar(request.path, choice.values, choice.range, names),
                sorts=choice.sorts,
                **found,
            )

        return view

    return page_of


def first_line() -> int:
    """Return the number of the first row of the page, from 0."""
    text = request.args.get("after", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
