"""The text of a notification about issues: its title, and a line for each of the worst issues.

one     New issue: PaymentError: card declined
        shop.checkout in charge · charge, shop/checkout.py:22
        Environment production · release shop@2.4.0 · 45 events, 16 users
        Caused by Declined: insufficient funds
        Seen before: PaymentError: card expired (issue 17), fixed in 2.3.1: their key had expired
        Rule New issues. Next message not before 22:11 UTC.

many    Shop backend · production: 14 new issues in shop@2.4.0
        1. PaymentError: card declined · charge, shop/checkout.py:22 · 45 events, 16 users
        …
        and 4 more: Open all 14
        Rule New issues. Next message not before 22:11 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from app.alerts.messages import MAX_LINES, cut, more_of
from app.alerts.naming import NamedIssue
from app.alerts.rules.stored import AlertRule
from app.stats.users import MAX_USERS

MAX_TITLE, MAX_PLACE, MAX_BACK = 160, 120, 160


def title_of(rule: AlertRule, project: str, named: Sequence[NamedIssue], total: int) -> str:
    """Return the title of a notification.

    :param named: the issues that it names, at least one.
    :param total: the number of issues that it is about.
    """
    if total == 1:
        return rule.about.title_of(rule, named[0])
    environment, release = _common(named, "environment"), _common(named, "release")
    where = f"{project} · {environment}" if environment else project
    issues = f"{total:,} {rule.about.many_issues.format(rule=rule)}"
    return f"{where}: {issues}{f' in {release}' if release else ''}"


def text_of(
    rule: AlertRule,
    named: Sequence[NamedIssue],
    total: int,
    now: datetime,
    seen: Mapping[int, str] = MappingProxyType({}),
) -> str:
    """Return the text of a notification, as lines.

    :param seen: a line about a similar issue that was fixed, by the id of an issue.
    """
    if total == 1:
        lines = [*_lines_of_one(named[0]), seen.get(named[0].issue_id, "")]
    else:
        shown = named[:MAX_LINES]
        lines = []
        for number, issue in enumerate(shown, 1):
            lines += [f"{number}. {_line(issue)}", seen.get(issue.issue_id, "")]
        lines += [more_of(total)] if total > MAX_LINES else []
    return "\n".join(filter(None, [*lines, _rule_line(rule, now)]))


def counts_of(events: int, users: int) -> str:
    """Return a text like ``45 events, 16 users``. Users are left out if none are known."""
    words = f"{events:,} event{'' if events == 1 else 's'}"
    if not users:
        return words
    more = "+" if users >= MAX_USERS else ""
    return f"{words}, {users:,}{more} user{'' if users == 1 else 's'}"


def _common(named: Sequence[NamedIssue], name: str) -> str | None:
    """Return the value that all issues share, ``None`` if they differ."""
    values = {getattr(issue, name) for issue in named}
    return values.pop() if len(values) == 1 else None


def _lines_of_one(named_issue: NamedIssue) -> list[str]:
    where = " · ".join(
        dict.fromkeys(part for part in (named_issue.culprit, named_issue.place) if part)
    )
    facts = [
        f"Environment {named_issue.environment}" if named_issue.environment else "",
        f"release {named_issue.release}" if named_issue.release else "",
        counts_of(named_issue.events, named_issue.users),
    ]
    facts_line = " · ".join(filter(None, facts))
    cause = f"Caused by {named_issue.cause}" if named_issue.cause else ""
    found = (where, f"{facts_line[0].upper()}{facts_line[1:]}", cause)
    return [cut(line, 500) for line in found if line]


def _line(named_issue: NamedIssue) -> str:
    back = f" ({cut(named_issue.back, MAX_BACK)})" if named_issue.back else ""
    parts = (
        f"{cut(named_issue.title, MAX_TITLE)}{back}",
        cut(named_issue.place, MAX_PLACE),
        counts_of(named_issue.events, named_issue.users),
    )
    return " · ".join(filter(None, parts))


def _rule_line(rule: AlertRule, now: datetime) -> str:
    until = now + rule.cooldown
    day = f"{until.day} {until:%b} " if until - now >= timedelta(days=1) else ""
    what = rule.about.next_notice
    return f"Rule {cut(rule.title, 200)}. {what} not before {day}{until:%H:%M} UTC."
