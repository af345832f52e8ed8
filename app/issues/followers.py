"""What other packages keep of an issue follows it when it is merged, or taken out of another one.

They are above this one, which does not know their tables, so they register here.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

# Called within the transaction, with the issue that it comes from and the one that it goes to.
Follow = Callable[[Connection, int, int], None]

_merged: list[Follow] = []
_taken_out: list[Follow] = []


def when_merged(follow: Follow) -> Follow:
    """Have a function called for each issue that becomes part of another one."""
    _merged.append(follow)
    return follow


def when_taken_out(follow: Follow) -> Follow:
    """Have a function called for each issue that is made of a grouping of another one."""
    _taken_out.append(follow)
    return follow


def follow_merge(conn: Connection, source_id: int, target_id: int) -> None:
    """Bring what others keep of an issue to the one that it is merged into."""
    for follow in _merged:
        follow(conn, source_id, target_id)


def follow_unmerge(conn: Connection, source_id: int, made_id: int) -> None:
    """Give a new issue what others keep of the one that it was taken out of."""
    for follow in _taken_out:
        follow(conn, source_id, made_id)
