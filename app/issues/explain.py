"""Why an event is in its issue, worked out again when somebody asks: nothing of it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from app.issues.grouping import group
from app.issues.rules import Rule
from app.protocol.event import Event


def reason_of(event: Event, issue: Row[Any], rules: Sequence[Rule]) -> str | None:
    """Return what decided, for "Grouped by: …"; ``None`` when what did is no longer there.

    :param issue: the issue that the event is in; rules may have changed since it came there.
    """
    for grouping in (group(event, rules), group(event)):
        if (grouping.version, grouping.hash) == (issue.grouping_version, issue.grouping_hash):
            return grouping.reason
    return None
