"""The range of a page: chosen by a link or a form, and remembered for the browser session.

    given = with_period(request.args, "day")     # in a view, before the filter is read
    bar = range_bar(path, choice.values, chosen)  # for templates/_range.html

Every link of the page carries the range, as ``period``, or ``start`` and ``end``. A page without
one shows the range that was chosen last, on whichever page. The last hour is never remembered: who
comes back later does not expect it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

from flask import session

from app.inputs.period import PERIODS, Range

KEY = "period"
FORGOTTEN = ("hour",)
NAMES = {
    "hour": "Hour",
    "day": "Day",
    "week": "Week",
    "month": "Month",
    "quarter": "90 days",
    "all": "All",
}
# Parameters that say which page of a list is shown; another range begins with the first one.
_PLACES = ("before", "after")


class RangeLink(NamedTuple):
    """A link to a period."""

    label: str
    address: str
    is_here: bool


class RangeBar(NamedTuple):
    """The links and the form as the template draws them.

    :param hidden: the parameters that the form keeps.
    :param start: the start as text for a form field, in UTC; empty without a start.
    :param is_open: whether a start or an end is given.
    """

    path: str
    links: list[RangeLink]
    hidden: dict[str, str]
    start: str
    end: str
    is_open: bool


def with_period(
    given: Mapping[str, str], default: str, names: Collection[str] = tuple(PERIODS)
) -> dict[str, str]:
    """Return the parameters of an address with a period, and remember the one that was chosen.

    :param default: the period of a page if none was chosen.
    :param names: the periods that the page offers.
    """
    values = dict(given)
    if values.get("start") or values.get("end"):
        return values
    named = values.get("period", "")
    if named in PERIODS:
        if named not in FORGOTTEN and session.get(KEY) != named:
            session[KEY] = named
    elif not named:
        remembered = str(session.get(KEY, default))
        values["period"] = remembered if remembered in names else default
    return values


def range_bar(
    path: str,
    values: Mapping[str, str],
    range: Range,
    names: Collection[str] = tuple(PERIODS),
) -> RangeBar:
    """Return the range selector of a page.

    :param path: the address of the page, without parameters.
    :param values: its parameters.
    :param range: the range that it shows.
    :param names: the periods that it offers.
    """
    left_out = (KEY, "start", "end", *_PLACES)
    kept = {name: value for name, value in values.items() if name not in left_out}
    links = [
        RangeLink(label, f"{path}?{urlencode(kept | {KEY: name})}", name == range.name)
        for name, label in NAMES.items()
        if name in names
    ]
    start, end = ("" if moment is None else _field(moment) for moment in (range.start, range.end))
    return RangeBar(path, links, kept, start, end, not range.name)


def _field(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M}"
