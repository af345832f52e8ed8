"""What a person decided about an issue, which outlives its events, and what is kept of it then.

Kept: status, the releases and counts, who did what and when, comments. Not kept: title, culprit,
readable grouping key, tags, users, ids of events. The hash of the grouping stays, so that an event
finds its issue again.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, or_

from app.issues.parametrize import parametrize
from app.issues.tables import IssueStatus, issues, transitions
from app.protocol.scrub import Scrubber

# A type of an issue without an exception, see :attr:`app.protocol.event.Event.type`.
MESSAGE = "message"
# What a person did with an issue beside giving it a status.
SAID = ("commented", "merged", "unmerged")
_NO_TITLE = "(message)"


def is_decided() -> ColumnElement[bool]:
    """Return the condition that a person ignored an issue, resolved it in a release, or commented.

    A status that a rule of a person gave is a person's decision, too.
    """
    is_named = or_(issues.c.resolved_after.is_not(None), issues.c.resolved_in.is_not(None))
    is_commented = transitions.c.issue_id == issues.c.id, transitions.c.kind.in_(SAID)
    return or_(
        issues.c.status == IssueStatus.IGNORED,
        and_(issues.c.status == IssueStatus.RESOLVED, is_named),
        exists().where(*is_commented),
    )


def title_without_data(type: str, grouping_key: str) -> str:
    """Return what an issue is called without what its events said.

    :return: the type of its exception, or its message without what changes from event to event.
    """
    if type != MESSAGE:
        return Scrubber().scrub_text(type)[:500]
    first_line = grouping_key.partition("\n")[0]
    for prefix in ("message ", "?: "):
        if first_line.startswith(prefix):
            words = parametrize(first_line.removeprefix(prefix))
            return Scrubber().scrub_text(words)[:500] or _NO_TITLE
    return _NO_TITLE
