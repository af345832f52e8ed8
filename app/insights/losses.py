"""Losses: what clients lost and what was refused here, by reason and SDK, and over time.

Moments are as in :mod:`.reading`. A client counts most of what is refused here as a loss of its
own, too, so the two are never added up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar, NamedTuple

from sqlalchemy import BigInteger, Connection, and_, cast, func, select

from app.insights import reading
from app.insights.loss_reasons import INTENDED, Meaning, meaning_of
from app.protocol.sdk_name import Sdk
from app.stats.additive import minute_of
from app.stats.losses import CLIENT, EVENTS, LOSSES, LOST, loss_counts, loss_series

# How far the overview of all projects looks back.
LATELY = timedelta(days=7)


@dataclass(frozen=True)
class Selection(reading.Selection):
    """The losses to read; ``None`` means any."""

    declared: ClassVar = LOSSES
    source: str | None = None
    sdk: str | None = None
    version: str | None = None
    reason: str | None = None
    category: str | None = None


class LossLine(NamedTuple):
    """How much of a category an SDK lost for a reason."""

    source: str
    reason: str
    sdk: Sdk
    category: str
    quantity: int


@dataclass(frozen=True)
class ReasonGroup:
    """The lines of one reason, the largest first; at least one."""

    source: str
    reason: str
    lines: Sequence[LossLine]

    @property
    def meaning(self) -> Meaning:
        """The reason in words."""
        return meaning_of(self.source, self.reason)

    @property
    def quantity(self) -> int:
        """The sum of all lines."""
        return sum(line.quantity for line in self.lines)


class ClientLoss(NamedTuple):
    """How many items a client lost for one reason lately. ``last_day`` is the day of its last
    report.
    """

    project_id: int
    client: str
    reason: str
    category: str
    quantity: int
    last_day: date

    @property
    def is_by_choice(self) -> bool:
        """Whether the client left the items out on purpose."""
        return self.reason in INTENDED


def lines_of(conn: Connection, selection: Selection) -> list[LossLine]:
    """Return the selected losses: what was not intended first, then the largest."""
    found: dict[tuple[str, ...], int] = defaultdict(int)
    names = "source", "reason", "sdk", "version", "category"
    for name, quantity in reading.by_series(conn, selection, LOST, *names):
        found[name] += int(quantity)
    lines = [
        LossLine(source, reason, Sdk(sdk, version), category, quantity)
        for (source, reason, sdk, version, category), quantity in found.items()
    ]
    return sorted(lines, key=_place)


def _place(line: LossLine) -> tuple[object, ...]:
    is_intended = line.source == CLIENT and line.reason in INTENDED
    return is_intended, line.source != CLIENT, -line.quantity, line.reason, line.sdk, line.category


def by_reason(lines: Iterable[LossLine], source: str) -> list[ReasonGroup]:
    """Return the lines of a source by reason: what was not intended first, then the largest."""
    found: dict[str, list[LossLine]] = {}
    for line in lines:
        if line.source == source:
            found.setdefault(line.reason, []).append(line)
    groups = [ReasonGroup(source, reason, some) for reason, some in found.items()]
    return sorted(groups, key=lambda one: (one.meaning.is_intended, -one.quantity, one.reason))


def over_time(conn: Connection, selection: Selection, step: timedelta) -> list[int]:
    """Return how much was lost unintentionally in each step, oldest first."""
    of = loss_series.c
    intended = and_(of.source == CLIENT, of.reason.in_(sorted(INTENDED)))
    ids = selection.series(of.id).where(~intended)
    found = [0] * selection.steps(step)
    sums = selection.sums(LOST, selection.step_of(LOST, step), ids=ids)
    for number, quantity in conn.execute(sums):
        found[number] += int(quantity)
    return found


def lost_events(conn: Connection, since: datetime, until: datetime) -> dict[int, dict[str, int]]:
    """Return how many events clients lost unintentionally, by project and reason.

    :param until: included, to the minute.
    """
    of, counts = loss_series.c, loss_counts.c
    days = of.day.between(since.astimezone(UTC).date(), until.astimezone(UTC).date())
    total = cast(func.sum(counts.quantity), BigInteger)  # PostgreSQL sums to a Decimal.
    query = select(of.project_id, of.reason, total).group_by(of.project_id, of.reason)
    query = query.join_from(loss_series, loss_counts, counts.series_id == of.id)
    query = query.where(days, of.source == CLIENT, of.category.in_(EVENTS))
    query = query.where(of.reason.not_in(sorted(INTENDED)))
    minutes = counts.minute.between(minute_of(since), minute_of(until))
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for project_id, reason, quantity in conn.execute(query.where(minutes)):
        found[project_id][reason] = int(quantity)
    return found


def lost_lately(
    conn: Connection, now: datetime, project_id: int | None = None, limit: int = 100
) -> list[ClientLoss]:
    """Return what clients reported lately: losses first, then what was intended, each by quantity.

    :param project_id: only losses of this project's clients.
    :param limit: the most rows.
    """
    of = loss_series.c
    names = of.project_id, of.sdk, of.version, of.reason, of.category
    total = cast(func.sum(loss_counts.c.quantity), BigInteger)  # PostgreSQL sums to a Decimal.
    query = select(*names, total, func.max(of.day)).group_by(*names)
    query = query.join_from(loss_series, loss_counts, loss_counts.c.series_id == of.id)
    query = query.where(of.day > (now.astimezone(UTC) - LATELY).date(), of.source == CLIENT)
    if project_id is not None:
        query = query.where(of.project_id == project_id)
    intended = of.reason.in_(sorted(INTENDED))
    rows = conn.execute(query.order_by(intended, total.desc(), *names).limit(limit))
    return [
        ClientLoss(project, Sdk(sdk, version).words, reason, category, int(quantity), day)
        for project, sdk, version, reason, category, quantity, day in rows
    ]


def sdks_of(lines: Iterable[LossLine]) -> list[str]:
    """Return the names of SDKs, sorted."""
    return sorted({line.sdk.name for line in lines if line.sdk.name})
