"""States and their open runs as rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from app.monitors.machine import Expectation, Run, State, due_at
from app.monitors.rate import find_remembered
from app.monitors.tables import check_ins, monitor_changes, monitor_states

# The columns of a run and of a state.
_RUN = tuple(Run.__dataclass_fields__)
_STATE = (
    *("status", "failures", "successes", "since"),
    *("expected_at", "last_check_in_at", "begins_anew"),
)


def read_state(conn: Connection, row: Row[Any]) -> State:
    """Return a state with its open runs.

    :param row: of ``monitor_states``.
    """
    columns = check_ins.c
    is_open = columns.state_id == row.id, columns.status == "in_progress"
    found = conn.execute(select(check_ins).where(*is_open).order_by(columns.at, columns.id))
    values = {name: getattr(row, name) for name in _STATE}
    return State(**values, open=[run_of(run) for run in found])


def find_run(conn: Connection, row: Row[Any], state: State, check_in_id: str | None) -> Run | None:
    """Return the run with the id of a check-in; an open one is that of the state.

    :param row: of ``monitor_states``.
    """
    if check_in_id is None:
        return None
    for run in state.open:
        if run.check_in_id == check_in_id:
            return run
    columns = check_ins.c
    named = columns.state_id == row.id, columns.check_in_id == check_in_id
    found = conn.execute(select(check_ins).where(*named)).first()
    return run_of(found) if found else find_remembered(conn, row, check_in_id)


def write_state(
    conn: Connection,
    state_id: int,
    state: State,
    wanted: Expectation,
    changed: Iterable[Run],
    **others: Any,
) -> None:
    """Write a state with its changes, and the runs that changed.

    :param others: further columns of the state.
    """
    values = {name: getattr(state, name) for name in _STATE} | others
    values["due_at"] = due_at(state, wanted)
    conn.execute(update(monitor_states).where(monitor_states.c.id == state_id).values(values))
    rows = [{"state_id": state_id, **change._asdict()} for change in state.changes]
    if rows:
        conn.execute(insert(monitor_changes), rows)
    state.changes.clear()
    for run in changed:
        columns = {name: getattr(run, name) for name in _RUN if name != "id"}
        if run.id is None:
            statement = insert(check_ins).values(state_id=state_id, **columns)
            run.id = conn.execute(statement.returning(check_ins.c.id)).scalar_one()
        else:
            conn.execute(update(check_ins).where(check_ins.c.id == run.id).values(columns))


def run_of(row: Row[Any]) -> Run:
    """Return a row of ``check_ins`` as a run."""
    return Run(**{name: getattr(row, name) for name in _RUN})
