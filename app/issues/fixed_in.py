"""Decide whether a release has the fix of an issue, so that its event reopens the issue.

If both releases are versions of one package, the versions decide. A hotfix of an old branch, or an
old client whose first event comes late, is older, whenever the release became known. Otherwise the
order in which the releases became known decides, which is the order of their numbers.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, select

from app.protocol.version import compare, parse_version
from app.stats.tables import releases


class Resolution(NamedTuple):
    """How an issue was resolved in a release.

    :param after: the number of the last release that was known before the fix.
    :param version: the release with the fix; ``None`` while the next release has not appeared.
    """

    project_id: int
    after: int
    version: str | None


def is_reached(conn: Connection, fix: Resolution, number: int, version: str) -> bool:
    """Return whether a release should have the fix.

    :param number: the number of the release.
    :param version: the name of the release.
    """
    if fix.version is None:
        return number > fix.after and is_next(conn, fix, version)
    order = order_of(version, fix.version)
    return number > fix.after if order is None else order >= 0


def is_next(conn: Connection, fix: Resolution, version: str) -> bool:
    """Return whether a release that became known later is newer than all that were known before."""
    columns = releases.c
    query = select(columns.version)
    known = query.where(columns.project_id == fix.project_id, columns.id <= fix.after)
    if parse_version(version) is None:
        return True
    return all(order_of(version, release) in (1, None) for release in conn.scalars(known))


def order_of(release: str, other: str) -> int | None:
    """Return -1, 0 or 1 if a release is older, the same or newer by its name.

    :return: ``None`` if the names cannot be compared.
    """
    first, second = parse_version(release), parse_version(other)
    return compare(first, second) if first and second else None


def is_of_same_package(release: str | None, other: str | None) -> bool:
    """Return whether two releases are of one package, or one of them is not a known version."""
    first, second = parse_version(release or ""), parse_version(other or "")
    return not (first and second) or first.package == second.package
