"""ErrorTracker: what other code calls to have an error recorded.

>>> try:
...     charge(order)
... except PaymentError as error:
...     event_id = ErrorTracker().log_error(error, {"order": order.id})
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from app.sentry.sdk import capture_exception, reraises

log = logging.getLogger("app.tracker")


class ErrorTracker:
    """Records errors in the local store, from where they go to Sentry."""

    def log_error(
        self, exception: BaseException, context: Mapping[str, Any] | None = None
    ) -> str | None:
        """Record an exception; it is on the disk when this returns.

        :param context: facts shown on the event as the context ``custom``.
        :return: the event id, 32 hex digits; the first one's if the exception is recorded already;
            ``None`` only where a filter dropped it. Never raises into the caller, but under test.
        """
        try:
            return capture_exception(exception, context)
        except Exception:
            log.exception("an error could not be recorded")
            if reraises():
                raise
            return None
