"""DevEnviro: error monitoring you can trust. This module builds the Flask application."""

from __future__ import annotations

import logging
import sys
from functools import partial
from importlib import import_module

# The SDK would load an HTTP/2 client for a transport that is not used here: 30 ms of CPU, 4 MiB.
# Qdrant's client still finds it.
if "sentry_sdk" not in sys.modules and "httpcore" not in sys.modules:
    sys.modules["httpcore"] = None  # type: ignore[assignment]
    import_module("sentry_sdk")
    del sys.modules["httpcore"]

from flask import Flask
from flask_bootstrap import Bootstrap5
from flask_login import LoginManager
from werkzeug.middleware.proxy_fix import ProxyFix

from app import cli, memory, sentry
from app.accounts import Accounts, Logins
from app.accounts.first_start import print_first_credentials
from app.alerts.dispatcher import Dispatcher
from app.alerts.rules.changes import ensure_presets
from app.delivery.destinations import ApiSettings, Destinations
from app.intake import Intake
from app.intake.emergency import EmergencyFolder
from app.intake.store_bound import StoreBound
from app.projects import KeyRing
from app.projects.quotas import QuotaGate
from app.protocol.scrub import Scrubber
from app.store import Store, StoreError, utc_now
from app.web import access, application, errors, feedback_form
from app.web.csrf import Csrf
from app.web.current import install, open_later
from app.web.logs import set_up_logging
from app.web.observer import Observer
from config import ROOT, Config, load_config


def create_app(
    config: Config | None = None, *, opens_store: bool = True, has_pages: bool = True
) -> Flask:
    """Build the application. Call this in the process that serves requests, after any fork.

    :param config: the settings. By default they are read from the environment.
    :param opens_store: whether to open the store now. Otherwise it is opened later, see
        :func:`app.web.current.open_later`.
    :param has_pages: whether to add pages, API and ingest routes. Most commands need none of them.
    :raise config.ConfigError: a setting is wrong.
    """
    config = config or load_config()
    scrubber = Scrubber(config.SCRUB_KEYS, config.SCRUB_PATTERNS)
    set_up_logging(config, scrubber)

    app = application.App(
        "app", root_path=str(ROOT), static_folder="static", template_folder="templates"
    )
    app.config.from_mapping(application.flask_settings(config))

    store = Store(config.database_url)
    destinations = Destinations(
        allow_private=config.UPSTREAM_ALLOW_PRIVATE,
        own_api=ApiSettings(config.SENTRY_API_TOKEN, config.SENTRY_API_URL, config.SENTRY_ORG),
    )
    intake = Intake(
        store,
        EmergencyFolder(config.emergency_dir),
        scrubber,
        destinations=destinations,
        max_new_issues=config.MAX_NEW_ISSUES_PER_HOUR,
        bound=StoreBound(store, config.MAX_STORE_BYTES),
        attachments=config.ATTACHMENTS,
        reraise=config.testing,
    )
    release = sentry.find_release(config)
    accounts = Accounts(store, config)
    install(
        app,
        config=config,
        store=store,
        intake=intake,
        destinations=destinations,
        accounts=accounts,
        logins=Logins(store, accounts),
        keys=KeyRing(store, config.DEFAULT_EVENTS_PER_MINUTE),
        quotas=QuotaGate(),
        dispatcher=Dispatcher.of(store, config),
        release=release,
        started_at=utc_now(),
    )
    sentry.connect(config, intake)
    sentry.init_sentry()

    Bootstrap5(app)
    csrf = Csrf(app)
    # The context processor of Flask-Login would read the user from the store, on error pages too.
    login = LoginManager(app, add_context_processor=False)
    app.before_request(access.enforce)
    errors.init_app(app)
    application.init_app(app)
    Observer(intake, release, config.ENVIRONMENT).init_app(app)
    feedback_form.init_app(app, csrf)
    cli.init_app(app)
    memory.init_app(app, store, config, scrubber)
    if has_pages:
        _add_pages(app, login, csrf)
    if config.TRUSTED_PROXIES:
        hops = config.TRUSTED_PROXIES
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]

    open_store = partial(_open_store, app, config, store, accounts, intake)
    if opens_store:
        open_store()
    else:
        open_later(app, open_store)
    return app


def _add_pages(app: Flask, login: LoginManager, csrf: Csrf) -> None:
    """Load and register pages, API, ingest routes and MCP: a third of the CPU of a start."""
    from app import admin, api, ingest, mcp

    admin.init_app(app, login)
    api.init_app(app, csrf)
    ingest.init_app(app, csrf)
    mcp.init_app(app, csrf)


def _open_store(
    app: Flask, config: Config, store: Store, accounts: Accounts, intake: Intake
) -> None:
    """Migrate the store, create the default rows and recover the emergency folder.

    An error of the store is logged. It does not stop the start of the application.
    """
    app.secret_key = app.secret_key or application.kept_secret(config.DATA_DIR / "secret_key")
    try:
        store.open()
        if config.ENVIRONMENT == "development":
            print_first_credentials(config, accounts.first_credentials())
        ensure_presets(store)
        intake.recover()
    except (StoreError, OSError) as error:
        logging.getLogger("app.tracker").error("the store cannot be opened: %s", error)
