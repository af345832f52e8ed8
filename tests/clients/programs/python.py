"""A program that reports with sentry-sdk; it prints what its transport sent as one JSON object.

python python.py DSN br|gzip
"""

from __future__ import annotations

import json
import logging
import sys

import sentry_sdk
from sentry_sdk import logger
from sentry_sdk.transport import HttpTransport

DSN, ALGORITHM = sys.argv[1:]
SEEN: dict[str, list[object]] = {"statuses": [], "encodings": [], "lost": []}


class Watched(HttpTransport):
    """The transport of the SDK; it also notes the status of each request and each lost event."""

    def _request(self, method, endpoint_type, body, headers):
        response = super()._request(method, endpoint_type, body, headers)
        SEEN["statuses"].append(response.status)
        SEEN["encodings"].append(headers.get("Content-Encoding"))
        return response

    def record_lost_event(self, reason, *args, **kwargs):
        SEEN["lost"].append(reason)
        super().record_lost_event(reason, *args, **kwargs)


def price(order: int) -> None:
    """Raise an error for any order."""
    currency = "EUR"
    raise ValueError(f"order {order} has no price in {currency}")


def checkout(order: int) -> str | None:
    """Report the error of an order."""
    try:
        price(order)
    except ValueError as error:
        return sentry_sdk.capture_exception(error)
    return None


def main() -> None:
    sentry_sdk.init(
        DSN,
        transport=Watched,
        release="shop@1.2.3",
        environment="staging",
        traces_sample_rate=1.0,
        enable_logs=True,
        _experiments={"transport_compression_algo": ALGORITHM},
    )
    sentry_sdk.set_tag("shelf", "a7")
    sentry_sdk.set_user({"id": "u-1", "email": "ann@shop.example"})
    sentry_sdk.add_breadcrumb(message="cart opened", category="ui")
    ids = [checkout(17), checkout(18)]
    with sentry_sdk.start_transaction(name="nightly", op="task"):
        with sentry_sdk.start_span(op="db", name="SELECT 1"):
            pass
    with sentry_sdk.new_scope() as scope:
        scope.add_attachment(b"\x00\xffreceipt", filename="receipt.bin")
        message_id = sentry_sdk.capture_message("the till is open", level="warning")
    with sentry_sdk.monitor(monitor_slug="nightly"):
        pass
    logger.info("counted {n} tills", n=3)
    sentry_sdk.metrics.count("tills", 3)
    logging.getLogger("shop").error("the drawer is stuck")
    sentry_sdk.get_isolation_scope().start_session()
    sentry_sdk.get_isolation_scope().end_session()
    sentry_sdk.flush(timeout=10)
    print(json.dumps({**SEEN, "ids": ids, "message_id": message_id}))


main()
