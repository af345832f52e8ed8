"""Figures of projects and environments in a range: events, users and new issues.

    with store.read() as conn:
        figures = figures_of_projects(conn, chosen, project_id, environment)
        series = series_of_projects(conn, chosen, project_id, environment)
    figures, series = overview_of_projects(conn, chosen, project_id)

Without a project they are those of all projects but the demo projects, except for the chart of the
list of issues, which shows those of demo projects, too. Events that the background
task has not counted yet (:mod:`app.stats.environments`) are added. New issues are those of all
environments. Test errors are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    func,
    literal_column,
    select,
    union_all,
)

from app.events.tables import events
from app.inputs import Range
from app.inputs.period import DAY_S
from app.insights.performance import Rate, sums_of_requests
from app.issues.series import Series, make_series, users_by_day, users_by_hour
from app.issues.tables import STATUSES, issues
from app.projects import projects
from app.stats import environments
from app.stats.environments import ALL_PROJECTS, ENVIRONMENT, PROJECT
from app.stats.tables import (
    affected_days,
    affected_users,
    environment_days,
    environment_hours,
    project_environments,
)
from app.stats.timings import timing_series
from app.stats.users import MAX_USERS, Subject, of_subject
from app.stats.windows import FOREVER, HOURS_A_DAY, Window, moment_of_hour, window_of
from app.store.paging import SCAN_ROWS, Count, hidden

DEMO_PROJECTS = select(projects.c.id).where(projects.c.is_demo)
REAL_PROJECTS = select(projects.c.id).where(~projects.c.is_demo)
# The numbers that one question asks for: SQLite has rows of at most 2,000 columns.
NUMBERS_A_QUESTION = 1000


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
    """Figures of a range, and the events of its steps; the users of a step are not known.

    :param rate_before: the requests of the range before; ``None`` if they are not known.
    """

    figures: ProjectFigures
    series: Series
    rate: Rate
    rate_before: Rate | None


class Scope(NamedTuple):
    """Whose events are counted; ``None`` stands for all projects or environments.

    :param ids: the ids of the environments, or a query for them.
    :param has_demo: whether all projects include the demo projects.
    """

    project_id: int | None
    environment: str | None
    ids: Sequence[int] | Select[Any]
    has_demo: bool = False

    @property
    def subjects(self) -> list[Subject]:
        """The subjects whose users are counted."""
        if self.environment is not None:
            ids = cast("Sequence[int]", self.ids)
            return [Subject(ENVIRONMENT, number) for number in ids]
        return [ALL_PROJECTS if self.project_id is None else Subject(PROJECT, self.project_id)]


def figures_of_projects(
    conn: Connection, range: Range, project_id: int | None = None, environment: str | None = None
) -> ProjectFigures:
    """Return the figures of a project and environment in a range, and of the range before."""
    scope = _scope_of(conn, project_id, environment)
    window = window_of(range)
    counts, windows = _counts(conn, scope, window), _windows(window)
    return _both(scope, windows, counts, _numbers(conn, list(_parts(scope, windows))))


def overview_of_projects(conn: Connection, range: Range, project_id: int | None = None) -> Overview:
    """Return the figures of a project and its events in each hour or day, counted once."""
    scope = _scope_of(conn, project_id, None)
    window = window_of(range, step_s=range.step_s)
    counts, windows = _counts(conn, scope, window), _windows(window)
    requests = _requests(scope, windows).subquery().c
    numbers = _numbers(conn, [*_parts(scope, windows), *requests])
    figures = _both(scope, windows, counts, numbers)
    rates = [Rate(next(numbers), next(numbers)) for _ in windows]
    before = rates[1] if len(rates) > 1 else None
    return Overview(figures, make_series(window, counts, None), rates[0], before)


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
    """Return the series of a project and environment; the users of a step are not known.

    Without a project it is that of all projects with the demo projects.
    """
    scope = _scope_of(conn, project_id, environment, has_demo=True)
    window = window_of(range, step_s=range.step_s)
    return make_series(window, _counts(conn, scope, window), None)


def _scope_of(
    conn: Connection, project_id: int | None, environment: str | None, *, has_demo: bool = False
) -> Scope:
    columns = project_environments.c
    query = select(columns.id)
    if project_id is None and not has_demo:
        query = query.where(columns.project_id.not_in(DEMO_PROJECTS))
    elif project_id is not None:
        query = query.where(columns.project_id == project_id)
    if environment is None:
        return Scope(project_id, None, query, has_demo)
    named = query.where(columns.name == environment)
    return Scope(project_id, environment, tuple(conn.scalars(named)), has_demo)


# ---- events -------------------------------------------------------------------------------------


def _counts(conn: Connection, scope: Scope, window: Window) -> list[int]:
    """Return the events of each bucket; those of the range before are first."""
    counts = [0] * (window.skipped + window.buckets)
    some = union_all(*_events(conn.dialect.name, scope, window)).subquery().c
    by_hour = select(some.hour, func.sum(some.events)).group_by(some.hour)
    for hour, number in conn.execute(by_hour):
        window.place(counts, (hour - window.origin) // window.width, int(number))
    return counts


def _events(dialect: str, scope: Scope, window: Window) -> Iterator[Select[Any]]:
    """Yield queries for hours with their events: counted by the hour, by the day, and not yet."""
    end = FOREVER if window.is_open else window.end
    hours, days = environment_hours.c, environment_days.c
    of_hours = select(hours.hour, hours.events).where(hours.environment_id.in_(scope.ids))
    yield of_hours.where(hours.hour >= window.begin, hours.hour < end)
    if window.begin < window.kept_from:
        of_days = select((days.day * HOURS_A_DAY).label("hour"), days.events)
        first, last = (-(-hour // HOURS_A_DAY) for hour in (window.begin, end))
        of_scope = days.environment_id.in_(scope.ids)
        yield of_days.where(of_scope, days.day >= first, days.day < last)
    new = environments.not_counted(dialect, environments.MAX_UNCOUNTED).subquery().c
    is_within = new.hour >= window.begin, new.hour < end, new.is_test.is_not(True)
    of_new = select(new.hour, literal_column("1").label("events")).where(*is_within)
    if scope.project_id is not None:
        of_new = of_new.where(new.project_id == scope.project_id)
    elif not scope.has_demo:
        of_new = of_new.where(new.is_demo.is_not(True))
    if scope.environment is not None:
        of_new = of_new.where(new.environment == scope.environment)
    yield of_new


# ---- users, new issues and requests -------------------------------------------------------------


def _windows(window: Window) -> list[Window]:
    """Return a window without the range before, and the one of the range before if it is known."""
    if window.begin == window.first:
        return [window]
    return [window, window._replace(first=window.begin, end=window.first, is_open=False)]


def _numbers(conn: Connection, parts: Sequence[ColumnElement[int]]) -> Iterator[int]:
    """Yield the number of each expression. One question asks for all of them, unless the
    environments of very many projects are counted.
    """
    for first in range(0, len(parts), NUMBERS_A_QUESTION):
        some = parts[first : first + NUMBERS_A_QUESTION]
        yield from map(int, conn.execute(select(*some)).one())


def _parts(scope: Scope, windows: Sequence[Window]) -> Iterator[ColumnElement[int]]:
    """Yield what :func:`_figures` takes, for each window."""
    for window in windows:
        for subject in scope.subjects:
            yield from (one.scalar_subquery() for one in _users_of(subject, window))
        yield from (one.scalar_subquery() for one in _new_issues(scope, window))


def _requests(scope: Scope, windows: Sequence[Window]) -> Select[Any]:
    of_project: ColumnElement[bool] = timing_series.c.project_id.in_(REAL_PROJECTS)
    if scope.project_id is not None:
        of_project = timing_series.c.project_id == scope.project_id
    return sums_of_requests(
        of_project, [(moment_of_hour(one.first), moment_of_hour(one.end)) for one in windows]
    )


def _both(
    scope: Scope, windows: Sequence[Window], counts: list[int], numbers: Iterator[int]
) -> ProjectFigures:
    """Return the figures of a range and of the range before."""
    skipped = windows[0].skipped
    found = _figures(scope, windows[0], sum(counts[skipped:]), numbers)
    if len(windows) == 1:
        return found
    return found._replace(before=_figures(scope, windows[1], sum(counts[:skipped]), numbers))


def _figures(scope: Scope, window: Window, events_: int, numbers: Iterator[int]) -> ProjectFigures:
    subjects = scope.subjects
    found = [_users(window, next(numbers), next(numbers), next(numbers)) for _ in subjects]
    users = min(sum(users for users, _ in found), MAX_USERS)
    # A user of several projects is counted in the environment of each.
    is_exact = len(subjects) <= 1 and all(is_exact for _, is_exact in found)
    new = [next(numbers) for _ in STATUSES]
    return ProjectFigures(events_, users, is_exact, Count(sum(new), max(new) < SCAN_ROWS))


def _users_of(subject: Subject, window: Window) -> tuple[Select[Any], ...]:
    """Return the queries for a subject's stored users in a window, and for those of its days: in
    all, and in the window.
    """
    columns, days = affected_users.c, affected_days.c
    end_day = -(-(FOREVER if window.is_open else window.end) // HOURS_A_DAY)
    of_this = of_subject(affected_users, subject)
    met = select(func.count()).where(*of_this, columns.last_hour >= window.first)
    met = met.where(columns.first_day < end_day)
    of_days = select(func.coalesce(func.sum(days.users), 0))
    of_days = of_days.where(*of_subject(affected_days, subject))
    of_range = of_days.where(days.day >= window.first // HOURS_A_DAY, days.day < end_day)
    return met, of_days, of_range


def _users(window: Window, users: int, ever: int, at_most: int) -> tuple[int, bool]:
    """Return the users of a subject in a window, and whether that is exact."""
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


def _new_issues(scope: Scope, window: Window) -> Iterator[Select[Any]]:
    """Yield queries for the number of issues of each status that are new in a window."""
    columns = issues.c
    within = [columns.first_seen >= moment_of_hour(window.first), columns.is_test.is_(False)]
    if not window.is_open:
        within.append(columns.first_seen < moment_of_hour(window.end))
    for status in STATUSES:
        new = select(columns.project_id).where(columns.status == status, *within)
        some = new.order_by(columns.first_seen).limit(SCAN_ROWS).subquery()
        is_of_project: ColumnElement[bool] = some.c.project_id == scope.project_id
        if scope.project_id is None:
            is_of_project = some.c.project_id.not_in(DEMO_PROJECTS)
        yield select(func.count()).select_from(some).where(is_of_project)
