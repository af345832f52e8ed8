"""ErrorTracker: the class that other code calls to record an error.

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
    """Records errors in the local store. The forwarder then sends them to Sentry."""

    def log_error(
        self, exception: BaseException, context: Mapping[str, Any] | None = None
    ) -> str | None:
        """Record an exception. The event is on the disk when this method returns.

        The method raises no errors of its own, except in tests.

        :param context: facts to show on the event as the context ``custom``.
        :return: the event id, 32 hex digits. For an exception that is already recorded, the id of
            its first event. ``None`` if a filter dropped the event, or if recording failed.
        """
        try:
            return capture_exception(exception, context)
        except Exception:
            log.exception("an error could not be recorded")
            if reraises():
                raise
            return None
