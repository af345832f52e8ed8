"""The range of an issue's page: its selector, the figures of the issue in it, and their chart.

Without a range in the address the page has the one that was chosen last in the browser session, on
whichever page; the whole issue if none was.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import current_app, request, url_for
from markupsafe import Markup
from sqlalchemy import Connection, Row

from app.admin.range_bar import RangeBar, range_bar, with_period
from app.admin.range_chart import range_chart
from app.admin.remembered import Remembered
from app.inputs.period import LABELS, Range, RangeFilter
from app.issues.series import InRange, issue_in_range
from app.store import utc_now

DEFAULT_PERIOD = "all"
# Parameters that another range keeps: those that say what of the issue is shown.
_KEPT = ("event", "query", "tab")
# About a hundred charts; that of a week is the largest, with 168 hours.
_charts = Remembered(2_000_000)


class Met(NamedTuple):
    """What the head of the page shows of the range.

    :param is_part: whether it is a part of all time, so that the figures of the whole issue stand
        beside those of the range.
    :param words: the range in words, after the figures.
    :param carried: the parameters that links to other views of the issue carry.
    """

    events: int
    users: int
    users_are_exact: bool
    is_part: bool
    words: str
    chart: Markup
    bar: RangeBar
    carried: dict[str, str]


def read_range() -> tuple[Range, dict[str, str]]:
    """Return the range of the page, and the parameters of the address that say it."""
    given = with_period(request.args, DEFAULT_PERIOD)
    named = {name: given[name] for name in RangeFilter.model_fields if given.get(name)}
    form, wrong = RangeFilter.read_leniently(named)
    right = {name: value for name, value in named.items() if name not in wrong}
    return form.range_of(utc_now(), DEFAULT_PERIOD), right


def read_met(conn: Connection, issue: Row[Any]) -> Met:
    """Read the figures of an issue in the range of the page."""
    chosen, named = read_range()
    found = issue_in_range(conn, issue, chosen)
    kept = {name: request.args[name] for name in _KEPT if request.args.get(name)}
    path = url_for("admin.show_issue", issue_id=issue.id)
    return Met(
        *found[:3],
        is_part=not chosen.is_all,
        words=words_of(chosen),
        chart=_chart(found),
        bar=range_bar(path, kept, chosen),
        carried={} if chosen.is_all else named,
    )


def words_of(range: Range) -> str:
    """Return a range as the end of a sentence: ``in the last 7 days``."""
    if range.is_all:
        return "in all"
    if range.name:
        return f"in the {LABELS[range.name].lower()}"
    start, end = (f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (range.start, range.end))
    since = f"from {start} " if start else ""
    return f"{since}{'until' if end else 'until now'} {end}".strip() + (" UTC" if end else "")


def _chart(found: InRange) -> Markup:
    key = (*found.window, *found.counts)
    html = _charts.get(key)
    if html is None:
        macros: Any = current_app.jinja_env.get_template("_charts.html").module
        html = str(macros.issue_chart(range_chart(found.series)))
        _charts.put(key, html)
    return Markup(html)  # noqa: S704 -- a template of ours, which escapes
