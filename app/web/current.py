"""Access to the parts of the current application, for views, commands and the worker.

``create_app`` adds each part with :func:`install`. The first access to a part opens the store.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Flask, current_app

from app.accounts import Accounts, Logins
from app.alerts.dispatcher import Dispatcher
from app.delivery.destinations import Destinations
from app.intake import Intake
from app.projects import KeyRing
from app.projects.quotas import QuotaGate
from app.store import Store
from config import Config

_PREFIX = "devenviro."
_OPENS_LATER = "devenviro.opens_later"


def install(app: Flask, **parts: object) -> None:
    """Add parts to an application, under the names that the functions below use."""
    app.extensions.update({_PREFIX + name: part for name, part in parts.items()})


def register(app: Flask, place: str, **functions: Callable[..., Any]) -> None:
    """Register functions that a package adds to the application, by name.

    :param place: ``checks`` (each returns a verdict), ``status`` (each returns a section), or
        ``tasks`` (each returns a task of the worker, given the owner of its leases).
    """
    app.extensions.setdefault(_PREFIX + place, {}).update(functions)


def registered(place: str) -> dict[str, Callable[..., Any]]:
    """Return the functions that packages registered in a place, by name."""
    found: dict[str, Callable[..., Any]] = current_app.extensions.get(_PREFIX + place, {})
    return found


def open_later(app: Flask, open_store: Callable[[], None]) -> None:
    """Open the store when a part is accessed for the first time."""
    app.extensions[_OPENS_LATER] = open_store


def current_config() -> Config:
    """Return the settings."""
    config: Config = part("config")
    return config


def current_store() -> Store:
    """Return the open store."""
    store: Store = part("store")
    return store


def current_intake() -> Intake:
    """Return the intake, which stores envelopes."""
    intake: Intake = part("intake")
    return intake


def current_destinations() -> Destinations:
    """Return the destinations, which decide where envelopes of projects are forwarded."""
    destinations: Destinations = part("destinations")
    return destinations


def current_accounts() -> Accounts:
    """Return the accounts: users and API tokens."""
    accounts: Accounts = part("accounts")
    return accounts


def current_logins() -> Logins:
    """Return the logins, which check passwords."""
    logins: Logins = part("logins")
    return logins


def current_keys() -> KeyRing:
    """Return the public keys of projects."""
    keys: KeyRing = part("keys")
    return keys


def current_quotas() -> QuotaGate:
    """Return the quotas that this process knows to be used up."""
    quotas: QuotaGate = part("quotas")
    return quotas


def current_dispatcher() -> Dispatcher:
    """Return the dispatcher, which sends notifications."""
    dispatcher: Dispatcher = part("dispatcher")
    return dispatcher


def current_release() -> str:
    """Return the release of this application."""
    release: str = part("release")
    return release


def current_started_at() -> datetime:
    """Return when this process built the application."""
    started_at: datetime = part("started_at")
    return started_at


def part(name: str) -> Any:
    """Return a part by its name, for the package that installed it."""
    open_store: Callable[[], None] | None = current_app.extensions.pop(_OPENS_LATER, None)
    if open_store is not None:
        open_store()
    return current_app.extensions[_PREFIX + name]


def before_opening(name: str) -> Any:
    """Return a part without opening the store, for commands that must not create or migrate one."""
    return current_app.extensions[_PREFIX + name]
