"""Logging: one JSON object per line, scrubbed like all data that leaves the process."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

from app.protocol.scrub import Scrubber
from config import Config

FIELDS = "%(asctime)s %(levelname)s %(name)s %(message)s"


class ScrubbingFormatter(JsonFormatter):
    """Formats a record, including its traceback, and scrubs secrets from the result."""

    def __init__(self, scrubber: Scrubber) -> None:
        super().__init__(FIELDS, rename_fields={"asctime": "time", "levelname": "level"})
        self._scrubber = scrubber

    def process_log_record(self, log_data: dict[str, object]) -> dict[str, object]:
        """Scrub each field separately, so that the line stays valid JSON."""
        scrubbed, _ = self._scrubber.scrub(super().process_log_record(log_data))
        return dict(scrubbed)


def set_up_logging(config: Config, scrubber: Scrubber) -> None:
    """Send this application's log to stderr. A second call replaces the handler of the first."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ScrubbingFormatter(scrubber))
    handler.set_name("devenviro")
    root = logging.getLogger()
    root.handlers = [old for old in root.handlers if old.get_name() != "devenviro"]
    root.addHandler(handler)
    root.setLevel(config.LOG_LEVEL)
    # With SENTRY_DEBUG the SDK prints its lines itself. Do not print them twice.
    of_the_sdk = logging.getLogger("sentry_sdk.errors")
    of_the_sdk.propagate = False
    of_the_sdk.addFilter(_is_of_use)
    # These log each request of the memory service's client, and each migration step at start.
    for noisy in ("httpx", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _is_of_use(record: logging.LogRecord) -> bool:
    # At each start, the SDK tries every framework it knows and logs a line for each missing one.
    return not record.getMessage().startswith("Did not import")
