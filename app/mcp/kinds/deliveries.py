"""The tool that reads deliveries: which envelopes Sentry has, and why it lacks others."""

from __future__ import annotations

from app.delivery.filter import DeliveryFilter
from app.delivery.ledger import last_attempts, page_of_deliveries
from app.inputs.queries import Paged
from app.mcp.answers import Answer, Sized, at, number
from app.mcp.kinds.arguments import ListLimit
from app.mcp.reach import Reach
from app.mcp.tools import tool
from app.web.current import current_store


class DeliveriesArguments(Sized, DeliveryFilter, Paged):
    """Which deliveries to list."""

    limit: ListLimit = 20


@tool("list_deliveries", "List deliveries")
def list_deliveries(given: DeliveriesArguments, reach: Reach, answer: Answer) -> None:
    """List envelopes and their delivery to Sentry, the newest first, each with its last attempt.
    `pending` and `retry` wait; `parked` and `expired` are not sent unless they are replayed;
    `local` ones have nowhere to go; `discarded` were not sent on purpose.
    """
    query = given.model_copy(update={"project_id": reach.project(given.project_id)})
    with current_store().read() as conn:
        page = page_of_deliveries(conn, query, before=query.cursor, limit=query.limit)
        last = last_attempts(conn, [row.id for row in page.rows])
    answer.say(number(len(page.rows), "delivery") + ".")
    if page.next:
        answer.say(f"The next page has the cursor {page.next[-1]}")
    for row in page.rows:
        of_event = f", event {row.event_id}" if row.event_id else ""
        answer.say(
            f"Delivery {row.id} in project {row.project_id}: {row.state}, received"
            f" {at(row.received_at)}, {row.size_bytes} bytes{of_event}"
        )
        attempt = last[row.id].attempt if row.id in last else None
        if attempt is not None:
            status = f", status {attempt.status}" if attempt.status else ""
            tried = number(last[row.id].total, "attempt")
            answer.say(f"{tried}, the last one {at(attempt.at)}{status}")
        answer.quote(
            items=row.item_types,
            reason=row.reason,
            title=row.title,
            error=attempt.error if attempt else None,
        )
