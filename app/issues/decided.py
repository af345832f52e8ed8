"""The decisions of a person about an issue. They are kept when its events are removed.

Kept: status, releases, counts, comments, and the history of who did what and when. Removed: title,
culprit, readable grouping key, tags, users, and event ids. The hash of the grouping is kept, so
that a new event finds its issue again.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, or_

from app.issues.parametrize import parametrize
from app.issues.tables import IssueStatus, issues, transitions
from app.protocol.scrub import Scrubber

# The type of an issue without an exception, see :attr:`app.protocol.event.Event.type`.
MESSAGE = "message"
# The kinds of actions of a person on an issue, apart from a change of status.
SAID = ("commented", "assigned", "merged", "unmerged")
_NO_TITLE = "(message)"


def is_decided() -> ColumnElement[bool]:
    """Return the SQL condition for issues with a decision of a person.

    These issues are ignored, resolved in a release, or have a comment, an assignment, a merge or an
    unmerge in their history. A status that a user's rule set is a decision of a person, too.
    """
    is_named = or_(issues.c.resolved_after.is_not(None), issues.c.resolved_in.is_not(None))
    is_commented = transitions.c.issue_id == issues.c.id, transitions.c.kind.in_(SAID)
    return or_(
        issues.c.status == IssueStatus.IGNORED,
        and_(issues.c.status == IssueStatus.RESOLVED, is_named),
        exists().where(*is_commented),
    )


def title_without_data(type: str, grouping_key: str) -> str:
    """Return a title for an issue without the data of its events.

    :return: the type of its exception, or its message without the parts that vary between events.
    """
    if type != MESSAGE:
        return Scrubber().scrub_text(type)[:500]
    first_line = grouping_key.partition("\n")[0]
    for prefix in ("message ", "?: "):
        if first_line.startswith(prefix):
            words = parametrize(first_line.removeprefix(prefix))
            return Scrubber().scrub_text(words)[:500] or _NO_TITLE
    return _NO_TITLE
