"""Envelopes that are only logs go once their lines are rows and Sentry has them, or needs not.

The lines have a retention of their own, so their envelopes would only take the room of errors. An
envelope that waits for Sentry, that Sentry refused or whose lines could not be read stays as any
other. If its lines are not all that was sent, it goes only when Sentry has it.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, exists, select, text

from app.events.states import EnvelopeState
from app.events.tables import ONLY_LOGS, envelopes
from app.intake.pruning import BATCH_SIZE, remove_ids
from app.signals.state import read_up_to
from app.signals.tables import unread_envelopes
from app.store import Store

# States in which nobody needs the body any more.
_DONE = (EnvelopeState.LOCAL, EnvelopeState.DELIVERED, EnvelopeState.DISCARDED)


def remove_read_logs(store: Store, at_most: int = 10_000) -> int:
    """Remove envelopes of logs whose lines were read, and return how many.

    :param at_most: how many one call removes, or slightly more.
    """
    gone = 0
    while gone < at_most:
        with store.read() as conn:
            columns = envelopes.c
            is_read = columns.id <= read_up_to(conn)
            query = select(columns.id).where(
                text(ONLY_LOGS), columns.state.in_(_DONE), is_read, _has_all_of_it()
            )
            ids = list(conn.scalars(query.limit(BATCH_SIZE)))
        gone += remove_ids(store, ids) if ids else 0
        if len(ids) < BATCH_SIZE:
            break
    return gone


def _has_all_of_it() -> ColumnElement[bool]:
    """Return the condition that the rows, or Sentry, have all that an envelope has."""
    unread = unread_envelopes.c
    more = select(unread.envelope_id).where(unread.envelope_id == envelopes.c.id)
    is_at_sentry = envelopes.c.state == EnvelopeState.DELIVERED
    return ~exists(more.where(~unread.is_partly_read | ~is_at_sentry))
