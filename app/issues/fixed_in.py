"""Whether a release is one that an issue was resolved for, so that its event brings the issue back.

Where both are versions of one package the versions decide: a hotfix of an old branch, or an old
client that is first heard of late, is older whenever it became known. Else the order decides in
which releases became known, which is that of their numbers.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, select

from app.protocol.version import compare, parse_version
from app.stats.tables import releases


class Resolution(NamedTuple):
    """How an issue was resolved in a release.

    :param after: the number of the last release that was known before.
    :param version: of the release without it; ``None`` while the next one is waited for.
    """

    project_id: int
    after: int
    version: str | None


def is_reached(conn: Connection, fix: Resolution, number: int, version: str) -> bool:
    """Whether a release should no longer have what was resolved.

    :param number: of the release. :param version: its name.
    """
    if fix.version is None:
        return number > fix.after and is_next(conn, fix, version)
    order = order_of(version, fix.version)
    return number > fix.after if order is None else order >= 0


def is_next(conn: Connection, fix: Resolution, version: str) -> bool:
    """Whether a release that became known later is newer than all that were known before."""
    columns = releases.c
    query = select(columns.version)
    known = query.where(columns.project_id == fix.project_id, columns.id <= fix.after)
    if parse_version(version) is None:
        return True
    return all(order_of(version, release) in (1, None) for release in conn.scalars(known))


def order_of(release: str, other: str) -> int | None:
    """Return -1, 0 or 1 as a release is older, the same or newer by its name.

    :return: ``None`` where the names do not tell.
    """
    first, second = parse_version(release), parse_version(other)
    return compare(first, second) if first and second else None


def is_of_same_package(release: str | None, other: str | None) -> bool:
    """Whether two releases are of one package, or do not say of which."""
    first, second = parse_version(release or ""), parse_version(other or "")
    return not (first and second) or first.package == second.package
