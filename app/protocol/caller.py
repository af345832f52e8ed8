"""The caller: the address and the user agent of the client, added where its envelope asks for them.

A client that does not know its own address asks the server to add it. It sends ``{{auto}}``, or it
has the setting ``infer_ip`` of newer SDKs. On three platforms, a client without that setting asks
for it by sending no address at all. A client that sets ``infer_ip`` to ``never``, or the address to
``null``, forbids it.

Source: https://develop.sentry.dev/sdk/foundations/envelopes/event-payloads/sdk/ and the comments of
Relay's ``AutoInferSetting`` (https://github.com/getsentry/relay), 2026-11-27.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

from app.protocol.envelope import Envelope
from app.protocol.lenient import read_dict, read_list, read_name

# A client writes this where the server must put the address of the request.
AUTO_ADDRESS = "{{auto}}"
# Longer user agents are cut, as app.protocol.user_agent also does.
MAX_USER_AGENT = 500
MAX_CLIENT = 100
_EVENTS = frozenset({"event", "transaction", "feedback"})
_SESSIONS = frozenset({"session", "sessions"})
# For clients of these platforms without the setting, no address means "add my own address".
_LEGACY_PLATFORMS = frozenset({"javascript", "cocoa", "objc"})
# The proxies of some clouds write the port after the address.
_WITH_PORT = re.compile(r"\[(?P<six>[^\]]{2,45})\](?::\d{1,5})?|(?P<four>[\d.]{7,15}):\d{1,5}")
_PRODUCT = re.compile(r"([A-Za-z][\w.@-]{0,60})/([\w.+-]{1,40})")
_NO_CLIENT = frozenset({"mozilla", "opera"})


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of an envelope.

    :param address: a result of :func:`read_address`.
    :param client: the name that the client sends with its key, as ``name/version``.
    """

    address: str | None = None
    user_agent: str | None = None
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Inferred:
    """The values that an envelope asked for; they must be sent to Sentry with the envelope."""

    address: str | None = None
    user_agent: str | None = None


def read_address(value: str | None) -> str | None:
    """Return an address in its usual form, or ``None`` if it is not an address."""
    text = (value or "").strip()
    if match := _WITH_PORT.fullmatch(text):
        text = match["six"] or match["four"]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)


def infer(envelope: Envelope, caller: Caller, *, may_keep_address: bool) -> Inferred:
    """Add the caller's address and user agent to an envelope where it asks for them.

    If the envelope does not name its client, the name goes into its header ``sdk``.

    :param envelope: changed in place, before it is scrubbed.
    :param may_keep_address: whether the settings allow addresses. If not, the envelope forbids them
        to Sentry, too; otherwise Sentry would add the address of this service.
    :return: the values that the envelope asked for.
    """
    address = caller.address if may_keep_address else None
    user_agent = _as_header(caller.user_agent)
    uses_address = uses_agent = False
    for item in envelope.items:
        payload = item.payload
        if not isinstance(payload, dict):
            continue
        if item.type in _EVENTS:
            uses_address |= _into_event(payload, address, may_keep_address)
            uses_agent |= _agent_into_event(payload, user_agent)
        elif item.type in _SESSIONS:
            uses_address |= read_dict(payload.get("attrs")).get("ip_address") == AUTO_ADDRESS
        settings = read_dict(payload.get("ingest_settings"))
        uses_address |= settings.get("infer_ip") == "auto"
        uses_agent |= settings.get("infer_user_agent") == "auto"
    _name_client(envelope, caller)
    return Inferred(address if uses_address else None, user_agent if uses_agent else None)


def _as_header(text: str | None) -> str | None:
    # The user agent is forwarded as an HTTP header, and headers are ASCII.
    return "".join(c if " " <= c <= "~" else "?" for c in (text or "")[:MAX_USER_AGENT]) or None


def _into_event(payload: dict[str, Any], address: str | None, may_keep: bool) -> bool:
    """Add the address to an event and return whether it was added."""
    setting = _setting(payload, "infer_ip")
    user = payload.get("user")
    user = user if isinstance(user, dict) else {}
    is_auto = user.get("ip_address") == AUTO_ADDRESS
    if setting == "never" or not may_keep or "ip_address" in user and user["ip_address"] is None:
        if is_auto:
            del user["ip_address"]
        if setting != "never" and _wants_address(payload, setting, user, is_auto):
            _forbid(payload)
        return False
    if address is None or not _wants_address(payload, setting, user, is_auto):
        return False
    payload["user"] = {**user, "ip_address": address}
    env = read_dict(read_dict(payload.get("request")).get("env"))
    if env.get("REMOTE_ADDR") == AUTO_ADDRESS:
        env["REMOTE_ADDR"] = address
    return True


def _wants_address(
    payload: dict[str, Any], setting: str, user: dict[str, Any], is_auto: bool
) -> bool:
    env = read_dict(read_dict(payload.get("request")).get("env"))
    if is_auto or env.get("REMOTE_ADDR") == AUTO_ADDRESS:
        return True
    if user.get("ip_address"):
        return False
    # Like Sentry, use the REMOTE_ADDR that the client sends.
    return setting == "auto" or (
        payload.get("platform") in _LEGACY_PLATFORMS and not env.get("REMOTE_ADDR")
    )


def _setting(payload: dict[str, Any], name: str) -> str:
    settings = read_dict(read_dict(payload.get("sdk")).get("settings"))
    given = settings.get(name)
    if given is None:
        return "legacy"
    # Any other value means "never", so that an unknown new value does not count as consent.
    return given if given in ("auto", "legacy") else "never"


def _forbid(payload: dict[str, Any]) -> None:
    sdk = read_dict(payload.get("sdk"))
    settings = {**read_dict(sdk.get("settings")), "infer_ip": "never"}
    # For an SDK with settings, Sentry requires a name and a version.
    payload["sdk"] = {"name": "unknown", "version": "unknown", **sdk, "settings": settings}


def _agent_into_event(payload: dict[str, Any], user_agent: str | None) -> bool:
    if not user_agent or _setting(payload, "infer_user_agent") != "auto":
        return False
    request = read_dict(payload.get("request"))
    headers = request.get("headers")
    pairs = list(headers.items()) if isinstance(headers, dict) else read_list(headers)
    names = [pair[0] for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2]
    if any(str(name).lower() == "user-agent" for name in names):
        return False
    with_agent = [*pairs, ["User-Agent", user_agent]]
    payload["request"] = {
        **request,
        "headers": dict(with_agent) if isinstance(headers, dict) or not pairs else with_agent,
    }
    return True


def _name_client(envelope: Envelope, caller: Caller) -> None:
    item = envelope.event()
    if item is None or read_dict(item.payload.get("sdk")).get("name"):
        return
    if read_dict(envelope.headers.get("sdk")).get("name"):
        return
    if sdk := client_of(caller):
        envelope.headers["sdk"] = sdk


def client_of(caller: Caller) -> dict[str, str] | None:
    """Return the name and version that the client sends, or the first product of its user agent.

    ``None`` if neither is given. A browser is not a client; the contexts have its name.
    """
    if caller.client and (named := read_name(caller.client[:MAX_CLIENT])):
        name, _, version = named.partition("/")
        return {"name": name.strip(), "version": version.strip()} if version else {"name": named}
    match = _PRODUCT.match(caller.user_agent or "")
    if match is None or match[1].lower() in _NO_CLIENT:
        return None
    return {"name": match[1], "version": match[2]}
