"""Small pieces of HTML that a page has a hundred times: filters of the templates.

They are functions and not macros, because a call of a macro costs as much as twenty of these. Every
text goes through ``escaped``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from markupsafe import Markup

from app.admin import filters
from app.admin.comment_text import markdown
from app.admin.filters import (
    absolute,
    age,
    ago,
    came_late,
    clock,
    ignored_until,
    plural,
    users,
)
from app.admin.sparkline import Sparkline
from app.events.values import Shown
from app.issues.ignore_until import read_stored
from app.store import utc_now
from app.web.templating import escaped


def time(moment: datetime) -> Markup:
    """Return how long ago a time was; the time itself is its title."""
    return _time(moment, ago(moment))


def old(moment: datetime) -> Markup:
    """Return how old something is."""
    return _time(moment, age(moment))


def soon(moment: datetime) -> Markup:
    """Return in how long a time will be."""
    return _time(moment, ago(moment).replace("just now", "in a moment"))


def happened(row: Any) -> Markup:
    """Return when an event happened, and when it was received if that was much later."""
    if not came_late(row):
        return time(row.timestamp)
    late = f', <span class="came-late">received {time(row.received_at)}</span>'
    return Markup(f"{time(row.timestamp)}{late}")  # noqa: S704 -- see time()


def level(name: str) -> Markup:
    """Return a level as a badge."""
    safe = escaped(name)
    return Markup(f'<span class="level" data-level="{safe}">{safe}</span>')  # noqa: S704 -- escaped


def state(name: str, more: str = "") -> Markup:
    """Return a state as a badge.

    :param more: what the badge says after the name of the state.
    """
    safe = escaped(name)
    words = f"{safe} {escaped(more)}" if more else safe
    return Markup(f'<span class="state" data-state="{safe}">{words}</span>')  # noqa: S704 -- escaped


def bars(line: Sparkline) -> Markup:
    """Return a sparkline."""
    return Markup(  # noqa: S704 -- escaped
        f'<svg class="sparkline" viewBox="0 0 {line.width} 18" preserveAspectRatio="none"'
        ' width="72" height="18" role="img">'
        f'<title>{escaped(line.label)}</title><path d="{escaped(line.path)}"/></svg>'
    )


def chart(line: Sparkline) -> Markup:
    """Return a sparkline as a chart that takes the width and height of its place."""
    return Markup(  # noqa: S704 -- escaped
        '<svg viewBox="0 0 72 18" preserveAspectRatio="none" role="img">'
        f'<title>{escaped(line.label)}</title><path d="{escaped(line.path)}"/></svg>'
    )


def short(count: int) -> Markup:
    """Return a count as ``1.2k``; the exact one is its title."""
    return _short(count, f"{count:,}")


def short_users(count: int) -> Markup:
    """Return a count of users as ``1.2k``, ``10k+`` at its limit; the exact one is its title."""
    return _short(count, users(count))


def local_time(moment: datetime) -> Markup:
    """Return a time in UTC, which scripts show in the time zone of the browser."""
    return Markup(  # noqa: S704 -- digits, and words of ours
        f'<time datetime="{moment.isoformat()}" title="{absolute(moment)}" data-local="moment">'
        f"{absolute(moment)}</time>"
    )


def log_time(moment: datetime) -> Markup:
    """Return when a line was written: the time of day, and the day if it is not today.

    Scripts show it in the time zone of the browser.
    """
    day = "" if moment.date() == utc_now().date() else f"{moment.day} {moment:%b} "
    return _time(moment, day + clock(moment), ' class="log-time" data-local="line"')


def until_when(issue: Any) -> Markup:
    """Return until when an issue is ignored; scripts show a time in the browser's time zone."""
    words = escaped(ignored_until(issue))
    until = read_stored(issue.ignore_until) if words else None
    at = until.at if until else None
    if at is None:
        return Markup(words)  # noqa: S704 -- escaped
    shown = words.removeprefix("until ")
    return Markup(  # noqa: S704 -- escaped
        f'until <time datetime="{at.isoformat()}" title="{absolute(at)}" data-local="until">'
        f"{shown}</time>"
    )


def text_of(value: Shown) -> Markup:
    """Return a value, folded if it is long."""
    text = escaped(value.text)
    if not value.is_long:
        return Markup(f'<span class="value">{text}</span>')  # noqa: S704 -- escaped
    more = ""
    if value.left_out:
        words = plural(value.left_out, "character")
        more = f'<p class="quiet">{words} more in the raw JSON.</p>'
    return Markup(  # noqa: S704 -- escaped
        f'<details class="fold"><summary>{escaped(value.beginning)}</summary>'
        f'<pre class="whole" tabindex="0" aria-label="The whole value">{text}</pre>{more}</details>'
    )


def values(members: Iterable[Shown], label: str) -> Markup:
    """Return a table of named values."""
    rows = [
        f'<tr><th scope="row">{escaped(member.name)}</th><td>{text_of(member)}</td></tr>\n'
        for member in members
    ]
    return Markup(  # noqa: S704 -- escaped
        f'<table class="values" aria-label="{escaped(label)}">\n<tbody>\n{"".join(rows)}'
        "</tbody>\n</table>"
    )


def _short(count: int, exact: str) -> Markup:
    # Nothing to escape: digits and signs.
    if count < 1000:
        return Markup(exact)  # noqa: S704 -- see above
    words = filters.short(count) + ("+" if exact.endswith("+") else "")
    return Markup(f'<span title="{exact}">{words}</span>')  # noqa: S704 -- see above


def _time(moment: datetime, words: str, more: str = "") -> Markup:
    # Nothing to escape: digits, and words of ours.
    return Markup(  # noqa: S704 -- see above
        f'<time datetime="{moment.isoformat()}" title="{absolute(moment)}"{more}>{words}</time>'
    )


FRAGMENTS: dict[str, Callable[..., Markup]] = {
    "time": time,
    "old": old,
    "soon": soon,
    "happened": happened,
    "level": level,
    "state": state,
    "bars": bars,
    "chart": chart,
    "short": short,
    "short_users": short_users,
    "local_time": local_time,
    "log_time": log_time,
    "until_when": until_when,
    "markdown": markdown,
    "text_of": text_of,
    "values": values,
}
