"""Check the fields of a project: their form, and where its addresses lead."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from app.confirmation.apis import address_of
from app.inputs import controls_of
from app.project_service.inputs import MAX_DSN_LENGTH, ProjectChange
from app.projects import ProjectError, checked_name
from app.protocol.addresses import AddressError, check_upstream
from app.protocol.dsn import PORTS, Dsn
from config import Config

_ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 -- compared, not bound


def checked_change(config: Config, change: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given fields as they are stored.

    :param change: fields of :class:`ProjectChange`.
    :raise ProjectError: a field is wrong; the error names it.
    """
    try:
        checked = ProjectChange.model_validate(change).changes()
    except ValidationError as error:
        (wrong, *_) = error.errors(include_input=False)
        field, text = str(wrong["loc"][0]), wrong["msg"]
        if wrong["type"] == "string_pattern_mismatch":  # The pattern itself helps nobody.
            text = (controls_of(ProjectChange)[field].wrong or text).rstrip(".")
        raise ProjectError(text, field) from None
    if "name" in checked:
        checked["name"] = checked_name(checked["name"])
    if checked.get("upstream_dsn") is not None:
        checked["upstream_dsn"] = _checked_dsn(config, checked["upstream_dsn"])
    if checked.get("upstream_api_url") is not None:
        checked["upstream_api_url"] = _checked_url(config, checked["upstream_api_url"])
    return checked


def _checked_url(config: Config, text: str) -> str:
    text = text.strip().rstrip("/")
    try:
        if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
            raise ValueError("a character that no URL has")
        check_upstream(address_of(text), allow_private=config.UPSTREAM_ALLOW_PRIVATE)
    except AddressError as error:
        raise ProjectError(f"this address is not asked: {error}", "upstream_api_url") from None
    except ValueError:
        expected = "an address such as https://sentry.example.org is expected"
        raise ProjectError(expected, "upstream_api_url") from None
    return text


def _checked_dsn(config: Config, text: str) -> str:
    text = text.strip()
    try:
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("a character that no DSN has")
        dsn = Dsn.of(text[:MAX_DSN_LENGTH])
    except ValueError:
        # The message does not include the reason: it may repeat a part of the DSN.
        raise ProjectError("a DSN such as https://key@host/1 is expected", "upstream_dsn") from None
    try:
        check_upstream(dsn, allow_private=config.UPSTREAM_ALLOW_PRIVATE)
    except AddressError as error:
        raise ProjectError(f"this DSN is not sent to: {error}", "upstream_dsn") from None
    if leads_here(dsn, config):
        raise ProjectError("this DSN leads back to this service", "upstream_dsn")
    return text


def leads_here(dsn: Dsn, config: Config) -> bool:
    """Return whether the address in a DSN is an address of this service."""
    for host, port, path in _own_addresses(config):
        is_below = dsn.prefix == path or dsn.prefix.startswith(f"{path}/")
        same_host = dsn.host == host or (dsn.is_loopback and _is_local(host))
        if same_host and dsn.port == port and is_below:
            return True
    return False


def _own_addresses(config: Config) -> Iterator[tuple[str | None, int, str]]:
    public = urlsplit(config.public_url)
    yield public.hostname, public.port or PORTS[public.scheme], public.path.rstrip("/")
    yield config.API_HOST, config.API_PORT, ""


def _is_local(host: str | None) -> bool:
    if host in _ANY_ADDRESS:
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"
