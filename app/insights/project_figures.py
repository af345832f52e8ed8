"""Figures of projects and environments in a range: events, users and new issues.

    with store.read() as conn:
        figures = figures_of_projects(conn, chosen, project_id, environment)
        series = series_of_projects(conn, chosen, project_id, environment)
    figures, series = overview_of_projects(conn, chosen, project_id)

Without a project they are those of all projects but the demo projects. Events that the background
task has not counted yet (:mod:`app.stats.environments`) are added. New issues are those of all
environments. Test errors are not counted.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from app.events.tables import events
from app.inputs import Range
from app.inputs.period import DAY_S
from app.issues.series import Series, make_series, users_by_day, users_by_hour
from app.issues.tables import STATUSES, issues
from app.projects import projects
from app.stats import environments
from app.stats.environments import ALL_PROJECTS, ENVIRONMENT, PROJECT
from app.stats.tables import affected_days, affected_users, project_environments
from app.stats.users import MAX_USERS, Subject, of_subject
from app.stats.windows import FOREVER, HOURS_A_DAY, Window, moment_of_hour, window_of
from app.store.paging import SCAN_ROWS, Count, hidden

DEMO_PROJECTS = select(projects.c.id).where(projects.c.is_demo)


class ProjectFigures(NamedTuple):
    """The figures of a range.

    :param users: up to MAX_USERS.
    :param users_are_exact: whether ``users`` is exact.
    :param before: the figures of the range before, without a ``before`` of their own; ``None`` if
        they are not known.
    """

    events: int
    users: int
    users_are_exact: bool
    new_issues: Count
    before: ProjectFigures | None = None


class Overview(NamedTuple):
    """Figures of a range, and the events of its steps; the users of a step are not known."""

    figures: ProjectFigures
    series: Series


class Scope(NamedTuple):
    """Whose events are counted; ``None`` stands for all projects or environments.

    :param ids: the ids of the environments.
    """

    project_id: int | None
    environment: str | None
    ids: tuple[int, ...]

    @property
    def subjects(self) -> list[Subject]:
        """The subjects whose users are counted."""
        if self.environment is not None:
            return [Subject(ENVIRONMENT, number) for number in self.ids]
        return [ALL_PROJECTS if self.project_id is None else Subject(PROJECT, self.project_id)]


def figures_of_projects(
    conn: Connection, range: Range, project_id: int | None = None, environment: str | None = None
) -> ProjectFigures:
    """Return the figures of a project and environment in a range, and of the range before."""
    scope = _scope_of(conn, project_id, environment)
    window = window_of(range)
    return _both(conn, scope, window, _counts(conn, scope, window))


def overview_of_projects(conn: Connection, range: Range, project_id: int | None = None) -> Overview:
    """Return the figures of a project and its events in each hour or day, counted once."""
    scope = _scope_of(conn, project_id, None)
    window = window_of(range, step_s=range.step_s)
    counts = _counts(conn, scope, window)
    return Overview(_both(conn, scope, window, counts), make_series(window, counts, None))


def _both(conn: Connection, scope: Scope, window: Window, counts: list[int]) -> ProjectFigures:
    found = _figures(conn, scope, window, sum(counts[window.skipped :]))
    if window.begin == window.first:
        return found
    past = window._replace(begin=window.begin, first=window.begin, end=window.first, is_open=False)
    before = _figures(conn, scope, past, sum(counts[: window.skipped]))
    return found._replace(before=before)


def series_of_projects(
    conn: Connection, range: Range, project_id: int | None = None, environment: str | None = None
) -> Series:
    """Return the events and users of a project and environment in each hour or day of a range."""
    scope = _scope_of(conn, project_id, environment)
    window = window_of(range, step_s=range.step_s)
    counts = _counts(conn, scope, window)
    return make_series(window, counts, _users_by_step(conn, scope, window, range.step_s))


def events_of_projects(
    conn: Connection, range: Range, project_id: int | None = None, environment: str | None = None
) -> Series:
    """Return the series of a project and environment; the users of a step are not known."""
    scope = _scope_of(conn, project_id, environment)
    window = window_of(range, step_s=range.step_s)
    return make_series(window, _counts(conn, scope, window), None)


def _scope_of(conn: Connection, project_id: int | None, environment: str | None) -> Scope:
    columns = project_environments.c
    query = select(columns.id)
    if project_id is None:
        query = query.where(columns.project_id.not_in(DEMO_PROJECTS))
    else:
        query = query.where(columns.project_id == project_id)
    if environment is not None:
        query = query.where(columns.name == environment)
    return Scope(project_id, environment, tuple(conn.scalars(query)))


def _counts(conn: Connection, scope: Scope, window: Window) -> list[int]:
    """Return the events of each bucket; those of the range before are first."""
    by_id = environments.COUNTED.counts(conn, scope.ids, window)
    length = window.skipped + window.buckets
    counts = [sum(column) for column in zip(*by_id.values(), strict=True)] or [0] * length
    end = FOREVER if window.is_open else window.end
    for event in environments.uncounted(conn, environments.MAX_UNCOUNTED):
        is_of_project = scope.project_id == event.project_id
        if scope.project_id is None:
            is_of_project = not event.is_demo
        is_of_scope = is_of_project and scope.environment in (None, event.environment)
        if is_of_scope and not event.is_test and window.begin <= event.hour < end:
            window.place(counts, (event.hour - window.origin) // window.width, 1)
    return counts


def _figures(conn: Connection, scope: Scope, window: Window, events_: int) -> ProjectFigures:
    users, is_exact = _users(conn, scope, window)
    return ProjectFigures(events_, users, is_exact, _new_issues(conn, scope, window))


def _users(conn: Connection, scope: Scope, window: Window) -> tuple[int, bool]:
    subjects = scope.subjects
    found = [_users_of(conn, subject, window) for subject in subjects]
    users = min(sum(users for users, _ in found), MAX_USERS)
    # A user of several projects is counted in the environment of each.
    return users, len(subjects) <= 1 and all(is_exact for _, is_exact in found)


def _users_of(conn: Connection, subject: Subject, window: Window) -> tuple[int, bool]:
    """Return the users of a subject in a window, and whether that is exact."""
    columns, days = affected_users.c, affected_days.c
    end_day = -(-(FOREVER if window.is_open else window.end) // HOURS_A_DAY)
    of_this = of_subject(affected_users, subject)
    met = select(func.count()).where(*of_this, columns.last_hour >= window.first)
    met = met.where(columns.first_day < end_day)
    of_days = select(func.coalesce(func.sum(days.users), 0))
    of_days = of_days.where(*of_subject(affected_days, subject))
    of_range = of_days.where(days.day >= window.first // HOURS_A_DAY, days.day < end_day)
    parts = [query.scalar_subquery() for query in (met, of_days, of_range)]
    users, ever, at_most = map(int, conn.execute(select(*parts)).one())
    # Of many users, only those of today are stored.
    if window.is_open and ever < MAX_USERS:
        return users, True
    return (max(users, at_most) if window.is_open else min(users, at_most)), False


def _users_by_step(
    conn: Connection, scope: Scope, window: Window, step_s: int
) -> dict[int, int] | None:
    if step_s != DAY_S:
        conditions = []
        if scope.project_id is not None:
            conditions.append(events.c.project_id == scope.project_id)
        if scope.environment is not None:
            conditions.append(hidden(events.c.environment) == scope.environment)
        return users_by_hour(conn, conditions, window.first)
    found: dict[int, int] = {}
    for subject in scope.subjects:
        for hour, users in users_by_day(conn, subject).items():
            found[hour] = found.get(hour, 0) + users
    return found


def _new_issues(conn: Connection, scope: Scope, window: Window) -> Count:
    columns = issues.c
    within = [columns.first_seen >= moment_of_hour(window.first), columns.is_test.is_(False)]
    if not window.is_open:
        within.append(columns.first_seen < moment_of_hour(window.end))
    counts = []
    for status in STATUSES:
        new = select(columns.project_id).where(columns.status == status, *within)
        some = new.order_by(columns.first_seen).limit(SCAN_ROWS).subquery()
        is_of_project = some.c.project_id == scope.project_id
        if scope.project_id is None:
            is_of_project = some.c.project_id.not_in(DEMO_PROJECTS)
        query = select(func.count()).select_from(some).where(is_of_project)
        counts.append(query.scalar_subquery())
    numbers = [int(number) for number in conn.execute(select(*counts)).one()]
    return Count(sum(numbers), max(numbers) < SCAN_ROWS)
