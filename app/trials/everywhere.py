"""A test error for each of several projects, and a table of them: project × hop.

A run is only an id: it gives each project's event its id, so nothing has to be stored about it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection

from app.events.states import EnvelopeState
from app.events.trail import Hop
from app.projects import Project
from app.trials.answer import Answer, answer_of, refusal
from app.trials.kinds import Wish
from app.trials.sending import RECORDED, send_test_error, why_refused
from app.trials.waiting import is_over
from app.web.delivery_status import Progress, follow_all

# The most projects of one run: each one takes a commit, about 10 ms.
MAX_PROJECTS = 50
HOPS = ("recorded", "sent", "accepted", "notified")
_GOOD = (EnvelopeState.DELIVERED, EnvelopeState.LOCAL)


class Row(NamedTuple):
    """A project of the table.

    :param hops: by name of :data:`HOPS`, those that are known.
    :param state: of the event's envelope; empty if it is not in the store.
    :param progress: ``None`` if it is not in the store.
    """

    project: Project
    event_id: str
    answer: Answer
    hops: dict[str, Hop]
    state: str = ""
    progress: Progress | None = None

    @property
    def is_good(self) -> bool:
        """Whether Sentry accepted it, or nothing is to be sent to Sentry."""
        return self.state in _GOOD

    @property
    def is_over(self) -> bool:
        """Whether it is useless to wait any longer."""
        return is_over(self.progress) if self.progress else self.answer.is_settled

    @property
    def trail(self) -> list[Hop]:
        """All hops of the event; of one that was not recorded, that alone."""
        return self.progress.hops if self.progress else list(self.hops.values())


def new_run() -> str:
    """Return the id of a new run, 32 hex digits."""
    return uuid.uuid4().hex


def event_of(run: str, project_id: int) -> str:
    """Return the id of the event of a project in a run."""
    return uuid.uuid5(uuid.UUID(hex=run), str(project_id)).hex


def is_tested(project: Project) -> bool:
    """Return whether a run over all projects includes a project.

    An archived project accepts nothing, and nothing of a demo project is sent on.
    """
    return project.archived_at is None and not project.is_demo


def send_to_each(run: str, projects: Iterable[Project], wish: Wish) -> dict[int, int]:
    """Record a test error for each project. Return by project the status of those not recorded."""
    sent = {one.id: send_test_error(wish, one, event_of(run, one.id)) for one in projects}
    return {id: one.status for id, one in sent.items() if one.status != RECORDED}


def table(
    conn: Connection, run: str, projects: Iterable[Project], refused: Mapping[int, int]
) -> list[Row]:
    """Return the rows of a run.

    :param refused: the result of :func:`send_to_each`.
    """
    ids = [(project, event_of(run, project.id)) for project in projects]
    found = follow_all(conn, [(project.id, event_id) for project, event_id in ids])
    return [
        _row(project, event_id, found.get(event_id), refused.get(project.id))
        for project, event_id in ids
    ]


def _row(project: Project, event_id: str, progress: Progress | None, status: int | None) -> Row:
    if progress is None and status is not None:
        hop = Hop("recorded", ok=False, detail=why_refused(status))
        return Row(project, event_id, refusal(project.id, status), {"recorded": hop})
    answer = answer_of(progress)
    if progress is None:
        return Row(project, event_id, answer, {})
    hops = {hop.hop: hop for hop in progress.hops}
    hops["recorded"] = hops["stored"]
    if answer.stopped_at:
        hops[answer.stopped_at] = Hop(answer.stopped_at, ok=False, detail=answer.cause)
    shown = {name: hops[name] for name in HOPS if name in hops}
    return Row(project, event_id, answer, shown, str(progress.stored.row.state), progress)
