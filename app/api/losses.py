"""Losses: what clients lost and what was refused, by SDK and reason, or over time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import Connection

from app.api.routes import Routes
from app.api.schemas import ApiModel
from app.insights.inputs import InsightQuery, Name
from app.insights.loss_reasons import meaning_of
from app.insights.losses import Selection, lines_of, over_time
from app.stats.losses import Source
from app.web import access
from app.web.current import current_store

route = Routes("insights")


class Loss(ApiModel):
    """How much an SDK lost of a category of data for a reason, or how much a step of time lost.

    By time, what clients left out on purpose is not counted.
    """

    source: Source | None = Field(
        description="`client`: reported by the client; `refused`: refused here. Null by time if"
        " none is chosen."
    )
    sdk: str | None = Field(description="Empty if the client did not say. Null by time.")
    version: str | None
    reason: str | None
    category: str | None = Field(description="`unread` if the envelope was refused unread.")
    quantity: int = Field(description="Items, or envelopes if they were refused.")
    intended: bool | None = Field(description="Whether the client leaves these out on purpose.")
    words: str | None = Field(description="The reason as a sentence.")
    remedy: str | None = Field(description="What to do about it.")
    at: datetime | None = Field(description="Where the step begins; null unless by time.")


class LossPage(ApiModel):
    """A page of losses and their time window, from `since` (included) to `until` (excluded)."""

    losses: list[Loss]
    next: str | None
    total: int
    since: datetime
    until: datetime


class LossQuery(InsightQuery):
    """The losses to return."""

    period: Annotated[
        Literal["hour", "day", "week", "month", "quarter"],
        Field(description="The last hour, 24 hours, 7, 30 or 90 days, and the step by time."),
    ] = "day"
    by: Literal["sdk", "time"] = "sdk"
    source: Source | None = None
    sdk: Name | None = None
    version: Name | None = None
    reason: Name | None = None
    category: Name | None = None


@route("GET /api/losses", access.reads)
def get_losses(query: LossQuery) -> LossPage:
    """Return what clients of a project lost, and what was refused.

    What was not intended comes first, then the largest. A client counts most of what is refused
    here as its own loss, too: do not add up the two sources.
    """
    selection = query.select(Selection)
    with current_store().read() as conn:
        found = list(_shapes(conn, query, selection))
    return LossPage(losses=query.page(found), **query.place(len(found), selection))


def _shapes(conn: Connection, query: LossQuery, selection: Selection) -> Iterator[Loss]:
    if query.by == "time":
        nothing = dict.fromkeys(("sdk", "version", "reason", "category", "words", "remedy"))
        for number, quantity in enumerate(over_time(conn, selection, query.step)):
            at = selection.since + number * query.step
            yield Loss(source=query.source, quantity=quantity, intended=False, at=at, **nothing)
        return
    for line in lines_of(conn, selection):
        meaning = meaning_of(line.source, line.reason)
        yield Loss(
            source=line.source,
            sdk=line.sdk.name,
            version=line.sdk.version,
            reason=line.reason,
            category=line.category,
            quantity=line.quantity,
            intended=meaning.is_intended,
            words=meaning.words,
            remedy=meaning.remedy,
            at=None,
        )
