"""The parts of the current application, as views, commands and the worker ask for them.

``create_app`` puts each part in by :func:`install`; the first who asks for one opens the store.
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
from app.memory.service import Memories
from app.projects import KeyRing
from app.projects.quotas import QuotaGate
from app.store import Store
from config import Config

_PREFIX = "devenviro."
_OPENS_LATER = "devenviro.opens_later"


def install(app: Flask, **parts: object) -> None:
    """Put parts into an application, under the names that the functions below ask for."""
    app.extensions.update({_PREFIX + name: part for name, part in parts.items()})


def open_later(app: Flask, open_store: Callable[[], None]) -> None:
    """Have the store opened when a part is asked for the first time."""
    app.extensions[_OPENS_LATER] = open_store


def current_config() -> Config:
    """Return the settings."""
    config: Config = _part("config")
    return config


def current_store() -> Store:
    """Return the store, open."""
    store: Store = _part("store")
    return store


def current_intake() -> Intake:
    """Return the way of envelopes into the store."""
    intake: Intake = _part("intake")
    return intake


def current_destinations() -> Destinations:
    """Return what is known of where projects' envelopes go."""
    destinations: Destinations = _part("destinations")
    return destinations


def current_accounts() -> Accounts:
    """Return the people and tokens."""
    accounts: Accounts = _part("accounts")
    return accounts


def current_logins() -> Logins:
    """Return what checks a login."""
    logins: Logins = _part("logins")
    return logins


def current_keys() -> KeyRing:
    """Return the public keys of projects."""
    keys: KeyRing = _part("keys")
    return keys


def current_quotas() -> QuotaGate:
    """Return what this process knows of quotas that are used up."""
    quotas: QuotaGate = _part("quotas")
    return quotas


def current_dispatcher() -> Dispatcher:
    """Return what sends notifications."""
    dispatcher: Dispatcher = _part("dispatcher")
    return dispatcher


def current_memories() -> Memories:
    """Return the memory service."""
    memories: Memories = _part("memories")
    return memories


def current_release() -> str:
    """Return the release of this application."""
    release: str = _part("release")
    return release


def current_started_at() -> datetime:
    """Return when this process built the application."""
    started_at: datetime = _part("started_at")
    return started_at


def _part(name: str) -> Any:
    open_store: Callable[[], None] | None = current_app.extensions.pop(_OPENS_LATER, None)
    if open_store is not None:
        open_store()
    return current_app.extensions[_PREFIX + name]
