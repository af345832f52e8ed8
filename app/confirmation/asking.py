"""Which question is next, and what its answer changes.

An organization gets one request a second from all processes: a process takes the right to the next
request by a row, in the transaction before the request. A 404 counts as "the event is not there"
only if the API has shown the project within the last minute. Else the project is asked about first,
because a wrong organization is answered with the same 404.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, case, delete, select, update

from app.confirmation.answers import Verdict, judge_event, judge_project
from app.confirmation.apis import Api
from app.confirmation.client import Reply
from app.confirmation.schedule import MISSING_AFTER, is_missing, next_at
from app.confirmation.sources import Source, change
from app.confirmation.tables import Kind, State, confirmation_apis, confirmations
from app.delivery import accounting
from app.delivery.policy import Backoff, Failure
from app.store import replaced, upsert

EVERY = timedelta(seconds=1)
# How long it counts that the API has shown the project.
CHECK_LASTS = timedelta(minutes=1)
# How long a project is left alone whose token or organization is wrong.
DENIED_FOR = timedelta(minutes=5)
BACKOFF = Backoff(5.0, 300.0)
# How long an event waits that the API could not be asked about, so that others are asked first.
PUT_BACK = timedelta(minutes=1)
# Cumulative counters of the store, by what was found.
COUNTED = "confirmations:"


@dataclass(frozen=True)
class Question:
    """A question that is due.

    :param row: of ``confirmations``; ``None`` for the question whether the API shows the project.
    """

    project_id: int
    api: Api
    row: Row[Any] | None

    @property
    def path(self) -> str:
        """The path in the API."""
        return self.api.event_path(self.row.event_id) if self.row else self.api.project_path


def next_questions(
    conn: Connection, apis: Mapping[int, Api], sources: Mapping[int, Source], now: datetime
) -> list[Question]:
    """Return the next question for each organization that may be asked now."""
    by_key: dict[str, list[int]] = {}
    for project_id, api in apis.items():
        if project_id in sources and sources[project_id].may_be_asked(now):
            by_key.setdefault(api.key, []).append(project_id)
    resting = _resting(conn, by_key, now)
    found = []
    for key, project_ids in by_key.items():
        row = None if key in resting else _first_due(conn, project_ids, now)
        if row is not None:
            is_check = sources[row.project_id].needs_check
            api = apis[row.project_id]
            found.append(Question(row.project_id, api, None if is_check else row))
    return found


def _resting(conn: Connection, keys: Collection[str], now: datetime) -> set[str]:
    columns = confirmation_apis.c
    query = select(columns.key).where(columns.key.in_(list(keys)), columns.next_at > now)
    return set(conn.scalars(query)) if keys else set()


def _first_due(conn: Connection, project_ids: list[int], now: datetime) -> Row[Any] | None:
    """Return the event to ask about: one that may be missing by now, then what was not yet found,
    samples after the others, and missing ones last.
    """
    columns = confirmations.c
    is_open = columns.state == State.OPEN
    rank = case(
        (is_open & (columns.accepted_at <= now - MISSING_AFTER), 0),
        (is_open & (columns.kind != Kind.SAMPLE), 1),
        (is_open, 2),
        else_=3,
    )
    due = select(confirmations).where(
        columns.project_id.in_(project_ids), columns.next_at.is_not(None), columns.next_at <= now
    )
    return conn.execute(due.order_by(rank, columns.next_at).limit(1)).first()


def take_right(conn: Connection, key: str, now: datetime) -> bool:
    """Take the right to the next request to an organization. Return whether it was free."""
    row = {"key": key, "next_at": now + EVERY, "failures": 0, "cause": None}
    taken = upsert(conn, confirmation_apis, row, where=_is_free(now), next_at=replaced)
    return conn.execute(taken.returning(confirmation_apis.c.key)).first() is not None


def _is_free(now: datetime) -> Any:
    return lambda old, new: old.next_at <= now


# ---- answers ------------------------------------------------------------------------------------


def record(
    conn: Connection,
    question: Question,
    reply: Reply | Failure,
    source: Source,
    now: datetime,
) -> Verdict:
    """Write what an answer means, and return it."""
    row = question.row
    if row is None:
        verdict = judge_project(reply, question.api.project, now)
    else:
        verdict = judge_event(reply, row.event_id, now)
    _record_of_api(conn, question.api.key, verdict, now)
    if verdict.meaning in ("failed", "limited"):
        _put_back(conn, row, now)
    elif verdict.meaning == "denied":
        change(conn, question.project_id, _denied(verdict, now))
    elif row is None:
        values = {"checked_at": now, "needs_check": False, "cause": None, "rests_until": None}
        change(conn, question.project_id, values)
    else:
        _record_of_event(conn, row, verdict, source, now)
    return verdict


def _denied(verdict: Verdict, now: datetime) -> dict[str, Any]:
    # The first request after the pause asks about the project again.
    return {"cause": verdict.cause, "rests_until": now + DENIED_FOR, "needs_check": True}


def _record_of_api(conn: Connection, key: str, verdict: Verdict, now: datetime) -> None:
    columns = confirmation_apis.c
    row = conn.execute(select(confirmation_apis).where(columns.key == key)).first()
    failures = row.failures + 1 if row and verdict.meaning == "failed" else 0
    values: dict[str, Any] = {"failures": failures, "cause": None}
    if failures:
        values |= {
            "cause": verdict.cause[:300],
            "next_at": now + max(EVERY, BACKOFF.wait(failures)),
        }
    elif verdict.meaning == "limited":
        values["cause"] = verdict.cause
    if verdict.until:
        values["next_at"] = max(verdict.until, now + EVERY)
    conn.execute(update(confirmation_apis).where(columns.key == key).values(values))


def _record_of_event(
    conn: Connection, row: Row[Any], verdict: Verdict, source: Source, now: datetime
) -> None:
    if verdict.meaning == "found":
        values = _found(row, verdict, now)
    elif verdict.meaning == "odd":
        values = {"next_at": next_at(row.accepted_at, now), "reason": row.reason or verdict.cause}
    elif source.checked_at is None or source.checked_at < now - CHECK_LASTS:
        change(conn, row.project_id, {"needs_check": True})
        return
    else:
        values = _absent(row, now)
    if verdict.meaning != "odd":
        change(conn, row.project_id, {"cause": None, "rests_until": None})
    if "state" in values:
        accounting.add(conn, {f"{COUNTED}{values['state']}": 1})
    _update(conn, row, {"asked": row.asked + 1, "asked_at": now, **values})


def _found(row: Row[Any], verdict: Verdict, now: datetime) -> dict[str, Any]:
    return {
        "state": State.CONFIRMED,
        "settled_at": now,
        "next_at": None,
        "reason": None,
        "group_id": verdict.group_id,
    }


def _absent(row: Row[Any], now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {"next_at": next_at(row.accepted_at, now)}
    if row.state == State.OPEN and is_missing(row.accepted_at, now):
        is_excused = row.reason is not None and row.reason.startswith("accepted, ")
        state = State.UNKNOWN if is_excused else State.MISSING
        values |= {"state": state, "settled_at": now}
        values |= {"next_at": None} if is_excused else {"reason": None}
    return values


def _put_back(conn: Connection, row: Row[Any] | None, now: datetime) -> None:
    if row is not None:
        _update(conn, row, {"next_at": now + PUT_BACK})


def _update(conn: Connection, row: Row[Any], values: dict[str, Any]) -> None:
    # A person may have sent the event again meanwhile: then the answer is about the one before.
    columns = confirmations.c
    is_it = (
        columns.project_id == row.project_id,
        columns.event_id == row.event_id,
        columns.accepted_at == row.accepted_at,
    )
    conn.execute(update(confirmations).where(*is_it).values(values))


def forget_apis(conn: Connection, now: datetime) -> None:
    """Remove the rows of organizations that were not asked for a day."""
    old = confirmation_apis.c.next_at < now - timedelta(days=1)
    conn.execute(delete(confirmation_apis).where(old))
