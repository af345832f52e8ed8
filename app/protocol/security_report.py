"""Reads the security reports of browsers as events.

    application/csp-report      {"csp-report": {…}}           the policy's ``report-uri``
    application/reports+json    [{"type": "csp-violation", "body": {…}}, …]     its ``report-to``
    {"expect-ct-report": {…}}   {"expect-staple-report": {…}}   {"known-pins": […], …}

Like in Sentry, violations are grouped by directive and blocked host. The event has the report in
``csp``, where Sentry reads it. Sentry's parser no longer supports reports about certificates, so
the event has them in ``extra``.

Source: https://www.w3.org/TR/CSP3/#deprecated-serialize-violation and #reporting, RFC 9163,
RFC 7469; the members by https://github.com/getsentry/relay (``security_report.rs``), 2026-11-27.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from app.protocol.caller import AUTO_ADDRESS
from app.protocol.lenient import read_dict, read_int, read_list, read_name

# The maximum for one request: as many items as an envelope may have. A browser collects reports for
# about a minute.
MAX_REPORTS = 100
MAX_TEXT = 1000
_SELF = ("", "self", "'self'")
# A browser sends these words for blocked content without a URL.
_KEYWORDS = ("inline", "eval", "wasm-eval", "trusted-types-policy", "trusted-types-sink")
# The names of fields in report-to, mapped to the names in report-uri.
_CSP_MEMBERS = {
    "documenturl": "document_uri",
    "blockedurl": "blocked_uri",
    "sample": "script_sample",
}
_CSP_TEXTS = (
    "effective_directive violated_directive blocked_uri document_uri original_policy referrer"
    " source_file script_sample disposition"
).split()
_CSP_NUMBERS = ("status_code", "line_number", "column_number")
_HOSTS = {
    "expect-ct-report": ("expectct", "Expect-CT failed for {}"),
    "expect-staple-report": ("expectstaple", "Expect-Staple failed for {}"),
}
_CERTIFICATE_TEXTS = (
    "date_time hostname noted_hostname effective_expiration_date failure_mode test_report"
    " response_status cert_status"
).split()


class Sender(NamedTuple):
    """The data of the request that sent a report.

    :param user_agent: used if the report has no user agent.
    :param release: from the query string, like ``environment``.
    """

    user_agent: str | None = None
    release: str | None = None
    environment: str | None = None


def read_reports(body: Any, sender: Sender) -> list[dict[str, Any]]:
    """Return the payload of an event for each violation; other reports are left out.

    :param body: the JSON of the request.
    """
    events = (_event_of(report, sender) for report in _reports_in(body))
    return [event for event in events if event is not None]


def read_network_errors(body: Any) -> list[dict[str, Any]]:
    """Return the reports of network errors, as they are.

    :param body: the JSON of the request.
    Source: https://www.w3.org/TR/network-error-logging/#network-error-reports, 2026-11-28.
    """
    reports = body if isinstance(body, list) else [body]
    return [one for one in reports if read_dict(one).get("type") == "network-error"]


def _reports_in(body: Any) -> Iterator[dict[str, Any]]:
    for report in body if isinstance(body, list) else [body]:
        if not isinstance(report, dict):
            continue
        if "body" not in report or "type" not in report:
            yield report
        elif report["type"] == "csp-violation":
            yield {
                "csp-report": {"document-uri": report.get("url"), **read_dict(report["body"])},
                "user_agent": report.get("user_agent"),
            }


def _event_of(report: dict[str, Any], sender: Sender) -> dict[str, Any] | None:
    if isinstance(report.get("csp-report"), dict):
        event = _csp_event(report["csp-report"])
    elif name := next((name for name in _HOSTS if isinstance(report.get(name), dict)), None):
        event = _certificate_event(report[name], *_HOSTS[name])
    elif "known-pins" in report and "hostname" in report:
        event = _certificate_event(report, "hpkp", "Public key pinning failed for {}")
    else:
        event = None
    return None if event is None else _with_sender(event, report, sender)


def _with_sender(event: dict[str, Any], report: dict[str, Any], sender: Sender) -> dict[str, Any]:
    agent = read_name(report.get("user_agent")) or sender.user_agent
    if agent:
        event["request"].setdefault("headers", []).append(["User-Agent", agent[:MAX_TEXT]])
    event["user"] = {"ip_address": AUTO_ADDRESS}
    for name in ("release", "environment"):
        if value := getattr(sender, name):
            event[name] = value
    # The report comes from a browser, so the platform is always JavaScript.
    return {"platform": "javascript", "level": "error", **event}


def _csp_event(report: dict[str, Any]) -> dict[str, Any] | None:
    named = {_csp_name(key): value for key, value in report.items()}
    csp: dict[str, Any] = {}
    for name in _CSP_TEXTS:
        if text := read_name(named.get(name)):
            csp[name] = text[: MAX_TEXT * 8]
    for name in _CSP_NUMBERS:
        number = read_int(named.get(name))
        if number is not None and number >= 0:
            csp[name] = number
    # Firefox sends the directive only in the other field, together with its sources.
    directive = (csp.get("effective_directive") or csp.get("violated_directive") or "").split()
    if not directive:
        return None
    csp["effective_directive"] = directive[0][:100]
    blocked = _blocked(csp.get("blocked_uri", "self"))
    message = _message(csp["effective_directive"], blocked)
    return {
        "logger": "csp",
        "logentry": {"formatted": message},
        "culprit": csp.get("violated_directive", directive[0])[:200],
        "fingerprint": ["csp", csp["effective_directive"], blocked],
        "tags": {
            "effective-directive": csp["effective_directive"],
            "blocked-uri": _without_query(csp.get("blocked_uri", "self"))[:200],
        },
        "request": _page(csp),
        "csp": csp,
    }


def _csp_name(key: str) -> str:
    spaced = "".join(f"_{c.lower()}" if c.isupper() else c for c in key.replace("-", "_"))
    return _CSP_MEMBERS.get(key.replace("-", "").lower(), spaced)


def _message(directive: str, blocked: str) -> str:
    if blocked in _KEYWORDS:
        return f"Blocked {blocked} {directive}"
    return f"Blocked {directive} from {blocked}"


def _blocked(uri: str) -> str:
    """Return the host and port of a URL, the scheme of a URL without host, or a keyword."""
    if uri in _SELF:
        return "self"
    if uri in _KEYWORDS:
        return uri
    if ":" not in uri:
        return f"{uri}:"
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        return uri[:200]
    if not host:
        return f"{parts.scheme}:"
    named = f"{host}:{port}" if port else host
    return named if parts.scheme in ("http", "https") else f"{parts.scheme}://{named}"


def _without_query(uri: str) -> str:
    return uri.partition("?")[0].partition("#")[0]


def _page(csp: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {}
    if url := csp.get("document_uri"):
        request["url"] = url
    if referrer := csp.get("referrer"):
        request["headers"] = [["Referer", referrer]]
    return request


def _certificate_event(report: dict[str, Any], member: str, message: str) -> dict[str, Any] | None:
    named = {str(key).replace("-", "_"): value for key, value in report.items()}
    host = read_name(named.get("hostname"))
    if host is None:
        return None
    kept: dict[str, Any] = {}
    for name in _CERTIFICATE_TEXTS:
        if text := read_name(named.get(name)):
            kept[name] = text
    if (port := read_int(named.get("port"))) is not None:
        kept["port"] = port
    for name in ("served_certificate_chain", "validated_certificate_chain", "known_pins"):
        if chain := [text for part in read_list(named.get(name)) if (text := read_name(part))]:
            kept[name] = chain[:20]
    return {
        "logger": "csp",
        "logentry": {"formatted": message.format(host[:200])},
        "fingerprint": [member, host[:200]],
        "tags": {"hostname": host[:200]},
        "request": {"url": f"https://{host[:200]}/"},
        "extra": {member: kept},
    }
