"""What `create_app` builds once and views reach through the application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import current_app

from app.accounts import Accounts, Logins
from app.alerts.courier import Courier
from app.alerts.figures import Figures
from app.db import Store
from app.delivery.destinations import Destinations
from app.intake import Intake
from app.memory.service import Memories
from app.projects import KeyRing
from app.quotas import QuotaGate
from config import Config


@dataclass(frozen=True)
class Services:
    """The parts of one application."""

    config: Config
    store: Store
    intake: Intake
    destinations: Destinations
    accounts: Accounts
    logins: Logins
    keys: KeyRing
    quotas: QuotaGate
    courier: Courier
    figures: Figures
    memories: Memories
    release: str
    started_at: datetime


# In an application's extensions: opens its store when its parts are asked for the first time.
OPENS_LATER = "devenviro.opens_later"


def services() -> Services:
    """Return the current application's parts, with an open store."""
    open_store: Callable[[], None] | None = current_app.extensions.pop(OPENS_LATER, None)
    if open_store is not None:
        open_store()
    found: Services = current_app.extensions["devenviro"]
    return found
