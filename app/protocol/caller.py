"""What the request of an envelope says of its sender: address and user agent, where asked for.

A client that does not know its own address asks the server to put it in: ``{{auto}}``, the setting
``infer_ip`` of newer SDKs, and on three platforms, for clients without that setting, no address at
all. One that sets ``infer_ip`` to ``never``, or the address to ``null``, forbids it.

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

# What a client writes where the server should put the address that the request came from.
AUTO_ADDRESS = "{{auto}}"
# Longer ones are cut, as they are where browsers are read out of them.
MAX_USER_AGENT = 500
MAX_CLIENT = 100
_EVENTS = frozenset({"event", "transaction", "feedback"})
_SESSIONS = frozenset({"session", "sessions"})
# Clients of these platforms mean "my own" by no address, unless they have the setting.
_LEGACY_PLATFORMS = frozenset({"javascript", "cocoa", "objc"})
# Proxies of some clouds write the port behind the address.
_WITH_PORT = re.compile(r"\[(?P<six>[^\]]{2,45})\](?::\d{1,5})?|(?P<four>[\d.]{7,15}):\d{1,5}")
_PRODUCT = re.compile(r"([A-Za-z][\w.@-]{0,60})/([\w.+-]{1,40})")
_NO_CLIENT = frozenset({"mozilla", "opera"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent an envelope.

    :param address: of :func:`read_address`.
    :param client: what the client calls itself beside its key, ``name/version``.
    """

    address: str | None = None
    user_agent: str | None = None
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Inferred:
    """What an envelope asked for, and Sentry has to be told with it."""

    address: str | None = None
    user_agent: str | None = None


def read_address(value: str | None) -> str | None:
    """Return an address in its usual form, ``None`` for what is none."""
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
    """Put the caller's address and user agent where an envelope asks for them.

    The name of the client goes into the envelope's own header ``sdk``, where nothing else tells it.

    :param envelope: changed in place, before it is scrubbed.
    :param may_keep_address: what the settings say; where they forbid it, Sentry is told so, too, or
        it would take ours.
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
    # It is sent on as a header, which is ASCII.
    return "".join(c if " " <= c <= "~" else "?" for c in (text or "")[:MAX_USER_AGENT]) or None


def _into_event(payload: dict[str, Any], address: str | None, may_keep: bool) -> bool:
    """Put the address in; return whether it is there."""
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
    # By what it says of its own caller Sentry goes, too.
    return setting == "auto" or (
        payload.get("platform") in _LEGACY_PLATFORMS and not env.get("REMOTE_ADDR")
    )


def _setting(payload: dict[str, Any], name: str) -> str:
    settings = read_dict(read_dict(payload.get("sdk")).get("settings"))
    given = settings.get(name)
    if given is None:
        return "legacy"
    # What is none of these means "never", so that a later word is not taken for consent.
    return given if given in ("auto", "legacy") else "never"


def _forbid(payload: dict[str, Any]) -> None:
    sdk = read_dict(payload.get("sdk"))
    settings = {**read_dict(sdk.get("settings")), "infer_ip": "never"}
    # Sentry wants both names of an SDK that has settings.
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
    if sdk := _client_of(caller):
        envelope.headers["sdk"] = sdk


def _client_of(caller: Caller) -> dict[str, str] | None:
    """Return name and version of the client: as it says itself, else the first of its user agent.

    A browser is no client; its name stands in the contexts.
    """
    if caller.client and (named := read_name(caller.client[:MAX_CLIENT])):
        name, _, version = named.partition("/")
        return {"name": name.strip(), "version": version.strip()} if version else {"name": named}
    match = _PRODUCT.match(caller.user_agent or "")
    if match is None or match[1].lower() in _NO_CLIENT:
        return None
    return {"name": match[1], "version": match[2]}
