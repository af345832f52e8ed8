"""Filters the request headers in this application's own events and traces.

The SDK copies every header of a request. Anyone can send a hundred headers of 8,000 characters
each, and all of them would be scrubbed, stored and forwarded. So only headers that help to
understand an error are kept, and long values are cut.

The events of other programs are not changed: their SDKs decide which headers they send.
"""

from __future__ import annotations

from typing import Any

MAX_HEADER = 1000
# Authorization and Cookie stay, and the scrubber replaces their values by [Filtered]. It is useful
# to know that they were sent, and the scrubber looks for copies of their values in the event.
KNOWN = frozenset(
    "accept accept-encoding accept-language authorization cache-control connection content-encoding"
    " content-length content-type cookie dnt forwarded host if-modified-since if-none-match"
    " origin range referer sec-fetch-dest sec-fetch-mode sec-fetch-site sentry-trace traceparent"
    " transfer-encoding upgrade-insecure-requests user-agent via x-forwarded-for"
    " x-forwarded-host x-forwarded-proto x-real-ip x-request-id x-requested-with".split()
)
_ATTRIBUTE = "http.request.header."


def keep_known_headers(payload: Any) -> Any:
    """Return the payload of an item with only the headers in :data:`KNOWN`.

    :param payload: the payload of an event, a transaction or a batch of spans; it is not changed.
    :return: a copy with filtered ``request.headers`` and span attributes
        ``http.request.header.*``, each value at most :data:`MAX_HEADER` characters.
    """
    if not isinstance(payload, dict):
        return payload
    kept = dict(payload)
    request, contexts = payload.get("request"), payload.get("contexts")
    if isinstance(request, dict) and isinstance(request.get("headers"), dict):
        kept["request"] = {**request, "headers": _known(request["headers"])}
    if isinstance(contexts, dict) and isinstance(contexts.get("trace"), dict):
        kept["contexts"] = {**contexts, "trace": _span(contexts["trace"])}
    for name in ("spans", "items"):
        if isinstance(payload.get(name), list):
            kept[name] = [_span(span) for span in payload[name]]
    return kept


def _known(headers: dict[str, Any]) -> dict[str, Any]:
    return {name: _cut(value) for name, value in headers.items() if str(name).lower() in KNOWN}


def _span(span: Any) -> Any:
    if not isinstance(span, dict):
        return span
    attributes = ("data", "attributes")
    return {name: _own(value) if name in attributes else value for name, value in span.items()}


def _own(attributes: Any) -> Any:
    if not isinstance(attributes, dict):
        return attributes
    return {
        name: _cut(value) if str(name).startswith(_ATTRIBUTE) else value
        for name, value in attributes.items()
        if not str(name).startswith(_ATTRIBUTE)
        or str(name).removeprefix(_ATTRIBUTE).lower() in KNOWN
    }


def _cut(value: Any) -> Any:
    if isinstance(value, dict):  # {"value": "x", "type": "string"} of streamed spans
        return {name: _cut(member) for name, member in value.items()}
    return value[:MAX_HEADER] if isinstance(value, str) else value
