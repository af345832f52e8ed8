"""Derived contexts and tags: contexts from the user agent, and tags from other fields of an event.

They are derived each time a payload is read, and never written into it. The payload is forwarded to
Sentry, and Sentry derives its own contexts and tags.

Source: Sentry's documentation of tags and contexts, and the result of Relay's normalization of an
event (``sentry-relay`` 0.10.1), 2026-11-27.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from app.protocol.lenient import read_dict, read_name
from app.protocol.stack import ExceptionValue
from app.protocol.user_agent import read_user_agent

MAX_TAG = 200
# On this platform, the user agent is the one of the program itself. On all others, it is the one of
# the visitor.
_OF_BROWSERS = "javascript"
# These contexts become tags with their name and version. _MEMBERS lists further members that become
# tags.
_NAMED = ("browser", "os", "client_os", "runtime")
_MEMBERS = (
    ("os", "rooted", "os.rooted"),
    ("device", "model", "device"),
    ("device", "family", "device.family"),
    ("gpu", "name", "gpu.name"),
    ("gpu", "vendor_name", "gpu.vendor"),
    ("app", "device_app_hash", "app.device"),
)


def with_user_agent(
    contexts: dict[str, Any], request: dict[str, Any], platform: str | None
) -> dict[str, Any]:
    """Return the contexts with those from the user agent added; contexts of the client win.

    The operating system of a visitor is ``client_os``, beside the ``os`` of the server.
    """
    text = _user_agent_of(request)
    if not text:
        return contexts
    found = dict(read_user_agent(text))
    if platform != _OF_BROWSERS and "os" in found:
        found["client_os"] = found.pop("os")
    return {**{name: dict(members) for name, members in found.items()}, **contexts}


def with_derived_tags(
    tags: dict[str, str],
    contexts: dict[str, Any],
    request: dict[str, Any],
    logger: str | None,
    exception: ExceptionValue | None,
) -> dict[str, str]:
    """Return the tags of the client, unchanged, followed by the derived tags.

    :param exception: the outermost exception; its mechanism says how the error was caught.
    """
    derived = {
        "url": _page(read_name(request.get("url"))),
        "logger": logger,
        "mechanism": exception.mechanism if exception else None,
        "handled": _yes_or_no(exception.handled) if exception else None,
        **_of_contexts(contexts),
    }
    found = {key: value[:MAX_TAG] for key, value in derived.items() if value and key not in tags}
    return {**tags, **found}


def _of_contexts(contexts: dict[str, Any]) -> dict[str, str | None]:
    tags: dict[str, str | None] = {}
    for name in _NAMED:
        context = read_dict(contexts.get(name))
        if own_name := read_name(context.get("name")):
            version = read_name(context.get("version"))
            tags[name] = f"{own_name} {version}" if version else own_name
            tags[f"{name}.name"] = own_name
    for name, member, tag in _MEMBERS:
        if context := read_dict(contexts.get(name)):
            value = context.get(member)
            tags[tag] = _yes_or_no(value) if isinstance(value, bool) else read_name(value)
    return tags


def _user_agent_of(request: dict[str, Any]) -> str | None:
    headers = read_dict(request.get("headers"))
    return next(
        (text for name, text in headers.items() if name.lower() == "user-agent" and text), None
    )


def _page(url: str | None) -> str | None:
    """Return a URL without query and fragment, which often contain personal data."""
    try:
        parts = urlsplit(url or "")
        return urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")) or None
    except ValueError:
        return (url or "").partition("?")[0].partition("#")[0] or None


def _yes_or_no(value: bool | None) -> str | None:
    return None if value is None else ("yes" if value else "no")
