"""The last hop of an event: which rule notified about it, and by which channels.

notifications that name the event ── else its transitions, which rules still look at
                                  ── else issues that a rule holds during its cool-down
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    cast,
    false,
    literal,
    null,
    select,
    union_all,
)

from app.alerts.naming import BACK
from app.alerts.rules.kind import KINDS
from app.alerts.tables import (
    alert_rule_states,
    alert_rules,
    held_issues,
    notice_issues,
    notice_sendings,
    notices,
)
from app.events.trail import Hop
from app.issues.tables import transitions

NAME = "notified"
# The most sendings that are read: several rules with several channels each.
MAX_SENDINGS = 500
# Rules for new issues and regressions look at these changes.
_LOOKED_AT = ("first_seen", *BACK)
_SOON = "alert rules look at it within a minute"

Lack = Literal["", "rule", "channel", "working channel"]


@dataclass(frozen=True)
class Notified:
    """The hop, and what a page does with it.

    :param is_settled: whether the hop stays as it is.
    :param words: the hop as the end of a sentence: ``notification sent to #shop``.
    :param lacks: what a person can add, so that a notification is sent.
    :param channel_id: the channel that does not work.
    """

    hop: Hop
    is_settled: bool
    words: str
    lacks: Lack = ""
    channel_id: int | None = None


def notified(conn: Connection, rows: Sequence[Row[Any]]) -> list[Notified | None]:
    """Return the hops of events; ``None`` for an event that no rule was ever to look at.

    Rules for new issues and regressions look at an event that made its issue or brought it back.
    One query reads all of it, because every page of an event asks.

    :param rows: of ``events``.
    """
    names = {"event_id": "event_ids", "issue_id": "issue_ids", "project_id": "project_ids"}
    given = {many: [getattr(row, one) for row in rows] for one, many in names.items()}
    found: dict[str, list[Row[Any]]] = {"named": [], "change": [], "held": []}
    for one in conn.execute(_query(), given) if rows else ():
        found[one.source].append(one)
    return [
        _notified(
            row,
            [one for one in found["named"] if one.event_id == row.event_id],
            [one for one in found["change"] if one.event_id == row.event_id],
            [one for one in found["held"] if one.issue_id == row.issue_id],
        )
        for row in rows
    ]


def _notified(
    row: Row[Any], named: list[Row[Any]], changes: list[Row[Any]], held: list[Row[Any]]
) -> Notified | None:
    if named:
        return _sent(named, row.stored_at)
    if row.ignored_by or not changes:
        return None
    if any(change.is_due for change in changes):
        return Notified(Hop(NAME, detail=_SOON), False, _SOON)
    if held:
        return _held(held[0])
    words = "no rule matches"
    return Notified(Hop(NAME, detail=words), True, words, "rule")


@cache
def _query() -> Any:
    """Return the rows of events: sendings that name one, its changes, rules that hold its issue.

    The condition of each part can use an index.
    """
    parts = [part.subquery() for part in (_named(), _changes(), _holding())]
    return union_all(*(select(part) for part in parts))


def _named() -> Any:
    sending = notice_sendings.c
    return (
        select(
            literal("named").label("source"),
            notice_issues.c.event_id,
            notice_issues.c.issue_id,
            notices.c.kind,
            notices.c.at,
            alert_rules.c.name.label("rule_name"),
            sending.channel_id,
            sending.channel_name,
            sending.state,
            sending.reason,
            sending.settled_at,
            literal(0).label("cooldown_minutes"),
            false().label("is_due"),
        )
        .select_from(notice_issues)
        .join(notices, notices.c.id == notice_issues.c.notice_id)
        .outerjoin(notice_sendings, sending.notice_id == notices.c.id)
        .outerjoin(alert_rules, alert_rules.c.id == notices.c.rule_id)
        .where(notice_issues.c.event_id.in_(bindparam("event_ids", expanding=True)))
        .order_by(notices.c.id, sending.id)
        .limit(MAX_SENDINGS)
    )


def _changes() -> Any:
    of = transitions.c
    is_due = of.alerts_due.is_not(None)
    ids = {"event_id": of.event_id, "issue_id": of.issue_id}
    query = select(*_row("change", **ids, kind=of.kind, at=of.at, is_due=is_due))
    query = query.where(of.issue_id.in_(bindparam("issue_ids", expanding=True)))
    query = query.where(of.event_id.in_(bindparam("event_ids", expanding=True)))
    return query.where(of.kind.in_(_LOOKED_AT))


def _holding() -> Any:
    held, state, rule = held_issues.c, alert_rule_states.c, alert_rules.c
    columns = _row(
        "held",
        issue_id=held.issue_id,
        kind=rule.kind,
        at=state.noticed_at,
        rule_name=rule.name,
        cooldown_minutes=rule.cooldown_minutes,
    )
    of_rule = (state.rule_id == held.rule_id) & (state.project_id == held.project_id)
    return (
        select(*columns)
        .select_from(held_issues)
        .join(alert_rules, rule.id == held.rule_id)
        .join(alert_rule_states, of_rule)
        .where(held.project_id.in_(bindparam("project_ids", expanding=True)))
        .where(held.issue_id.in_(bindparam("issue_ids", expanding=True)))
    )


def _row(source: str, **values: Any) -> list[Any]:
    """Return the columns of :func:`_named` for another part, those that are not given as NULL."""
    sending = notice_sendings.c
    kinds = {
        "event_id": notice_issues.c.event_id.type,
        "issue_id": notice_issues.c.issue_id.type,
        "kind": notices.c.kind.type,
        "at": notices.c.at.type,
        "rule_name": alert_rules.c.name.type,
        "channel_id": sending.channel_id.type,
        "channel_name": sending.channel_name.type,
        "state": sending.state.type,
        "reason": sending.reason.type,
        "settled_at": sending.settled_at.type,
        "cooldown_minutes": alert_rules.c.cooldown_minutes.type,
    }
    values = {"is_due": false(), **values}
    rest = [values.get(name, cast(null(), kind)).label(name) for name, kind in kinds.items()]
    return [literal(source).label("source"), *rest, values["is_due"].label("is_due")]


# ---- a notification names the event -------------------------------------------------------------


def _sent(rows: list[Row[Any]], stored_at: datetime) -> Notified:
    rules = ", ".join(dict.fromkeys(_title(row) for row in rows))
    sendings = [row for row in rows if row.state is not None]
    if not sendings:
        words = f"{rules} matches, but no channel is on"
        hop = Hop(NAME, rows[0].at, None, False, words)
        return Notified(hop, True, words, "channel")
    sent = [row for row in sendings if row.state == "delivered"]
    waiting = [row for row in sendings if row.state in ("pending", "retry")]
    failed = [row for row in sendings if row not in sent and row not in waiting]
    detail = "; ".join(filter(None, (_to(sent), _on_its_way(waiting), _not_to(failed))))
    moment = max((row.settled_at for row in sent if row.settled_at), default=rows[0].at)
    ok = False if failed else None if waiting else True
    hop = Hop(NAME, moment, _ms(moment - stored_at) if sent else None, ok, f"{rules}: {detail}")
    troubled = [*failed, *(row for row in waiting if row.reason)]
    lacks: Lack = "working channel" if troubled else ""
    channel_id = troubled[0].channel_id if troubled else None
    return Notified(hop, not waiting, f"notification {detail}", lacks, channel_id=channel_id)


def _title(row: Row[Any]) -> str:
    kind = KINDS.get(row.kind)
    return row.rule_name or (kind.label if kind else row.kind)


def _to(rows: list[Row[Any]]) -> str:
    return f"sent to {_names(rows)}" if rows else ""


def _on_its_way(rows: list[Row[Any]]) -> str:
    if not rows:
        return ""
    reason = next((row.reason for row in rows if row.reason), None)
    return f"on its way to {_names(rows)}" + (f" ({reason})" if reason else "")


def _not_to(rows: list[Row[Any]]) -> str:
    said = [f"not sent to {row.channel_name}: {row.reason or row.state}" for row in rows]
    return "; ".join(said)


def _names(rows: list[Row[Any]]) -> str:
    return ", ".join(dict.fromkeys(str(row.channel_name) for row in rows))


def _ms(time: timedelta) -> float:
    return round(max(time / timedelta(milliseconds=1), 0.0), 2)


def _held(row: Row[Any]) -> Notified:
    """Return the hop of an event whose issue a rule holds until its cool-down is over."""
    end = ""
    if row.at is not None:
        end = f" until {row.at + timedelta(minutes=row.cooldown_minutes):%H:%M:%S} UTC"
    words = f"{_title(row)} notified a short while ago and holds it{end}"
    return Notified(Hop(NAME, detail=words), False, words)
