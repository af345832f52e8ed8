"""Where a project may be sent on to: refused when it is set, and at each connection."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from flask import Flask
from sqlalchemy import select, text

from app.cli.verify import setup
from app.events.tables import envelopes
from app.project_service.changing import amend
from app.projects import ProjectError
from app.protocol.addresses import AddressError, check_upstream, check_upstream_address
from app.protocol.dsn import Dsn
from app.store import Store
from app.store.migrations import MIGRATIONS
from config import ROOT
from tests.cli.test_verify import run_of
from tests.conftest import parts_of
from tests.delivery.shop import accept, add_project
from tests.delivery_steps import deliver, deliver_until
from tests.mini_sentry import MiniSentry

FAST = {"DELIVERY_BACKOFF_BASE_S": 0.05, "DELIVERY_BACKOFF_MAX_S": 0.2, "DELIVERY_BACKLOG_PER_S": 0}
NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "0xa9.254.0251.254",
    "169.254.43518",
    "169.254.169.254.",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "127.1",
    "0177.0.0.1",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fd00:ec2::254]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:4136:e378:8000:63bf:5601:5601]",
    "[ff02::1]",
    "[::]",
    "１69.254.169.254",
]
PATHS = [
    "/a/../",
    "/%2e%2e/",
    "/%2E./x/",
    "/%252e%252e/",
    "/a%2f..%2fb/",
    "/..;x/",
    "/a\\b/",
    "/%5c/",
]


@pytest.mark.parametrize("host", NEVER)
def test_dsn_to_a_metadata_or_link_local_address_is_refused_in_every_form(host: str) -> None:
    with pytest.raises(ValueError):
        check_upstream(Dsn.of(f"https://key@{host}/1"), allow_private=True)


@pytest.mark.parametrize("path", PATHS)
def test_dsn_whose_path_leads_up_is_refused_however_it_is_encoded(path: str) -> None:
    with pytest.raises(AddressError):
        check_upstream(Dsn.of(f"https://key@sentry.example{path}1"), allow_private=True)


@pytest.mark.parametrize("port", [1, 22, 25, 81, 442, 444, 1023])
def test_dsn_with_the_port_of_another_protocol_is_refused(port: int) -> None:
    with pytest.raises(AddressError):
        check_upstream(Dsn.of(f"http://key@sentry.example:{port}/1"), allow_private=True)


@pytest.mark.parametrize(
    "place", ["10.1.2.3:9000", "192.168.0.9", "127.0.0.1:8001", "[::1]:9000", "[fd12::1]:9000"]
)
def test_private_upstream_is_allowed_unless_the_setting_says_off(place: str) -> None:
    dsn = Dsn.of(f"http://key@{place}/sentry/1")
    check_upstream(dsn, allow_private=True)
    with pytest.raises(AddressError, match="UPSTREAM_ALLOW_PRIVATE"):
        check_upstream(dsn, allow_private=False)


@pytest.mark.parametrize("place", ["93.184.216.34", "[2606:2800::1]:443", "o1.ingest.sentry.io"])
def test_public_upstream_is_allowed_whatever_the_setting_says(place: str) -> None:
    check_upstream(Dsn.of(f"https://key@{place}/1"), allow_private=False)


def test_public_host_behind_nat64_is_reached_and_a_metadata_address_behind_it_is_not() -> None:
    check_upstream_address("64:ff9b::5db8:d822", allow_private=False)
    with pytest.raises(AddressError):
        check_upstream_address("64:ff9b::a9fe:a9fe", allow_private=True)


def test_refused_dsn_is_set_by_no_way_and_the_stored_one_stays(app: Flask) -> None:
    add_project(app, 7, "https://key@sentry.example/1")
    parts = parts_of(app)
    with pytest.raises(ProjectError, match="never sent to"):
        amend(parts.store, parts.config, 7, {"upstream_dsn": "http://key@169.254.169.254/1"})
    with parts.store.read() as conn:
        assert parts.destinations.find(conn, 7).dsn == "https://key@sentry.example/1"


def test_name_that_resolves_to_a_forbidden_address_is_not_connected_to(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(UPSTREAM_ALLOW_PRIVATE=False, **FAST)
    port = mini_sentry.dsn.rpartition(":")[2].partition("/")[0]
    # Set behind the check, as a name is whose answer changes afterwards.
    add_project(app, 7, f"http://key@localhost:{port}/1")
    event_id = accept(app, project_id=7)
    deliver_until(app, lambda: _reason_of(app, event_id) is not None)
    assert _reason_of(app, event_id) == (
        "not sent: the host has a private address, which UPSTREAM_ALLOW_PRIVATE would allow"
    )
    assert mini_sentry.envelopes == []


def _reason_of(app: Flask, event_id: str) -> str | None:
    with parts_of(app).store.read() as conn:
        query = select(envelopes.c.reason).where(envelopes.c.event_id == event_id)
        return conn.scalar(query)


def test_store_that_forwards_to_10_x_goes_on_after_the_upgrade_and_verify_names_it(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry, database_url: str
) -> None:
    """As a store of before has it: destinations without a check, one of them where Sentry is."""
    store = Store(database_url)
    with store.write(foreign_keys=False) as conn:
        if not store.is_sqlite:  # The database is a copy of a migrated one.
            conn.execute(text("DROP SCHEMA public CASCADE"))
            conn.execute(text("CREATE SCHEMA public"))
        config = AlembicConfig(attributes={"connection": conn})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0015")
    with store.write() as conn:
        for id, dsn in (7, "http://key@10.0.0.9:9000/1"), (8, mini_sentry.dsn):
            statement = "INSERT INTO projects (id, name, created_at) VALUES (:id, 'shop', :at)"
            conn.execute(text(statement), {"id": id, "at": "2026-01-01 00:00:00+00:00"})
            statement = (
                "INSERT INTO destinations (project_id, dsn, limits) VALUES (:id, :dsn, '{}')"
            )
            conn.execute(text(statement), {"id": id, "dsn": dsn})
    store.dispose()

    app = make_app(UPSTREAM_ALLOW_PRIVATE=False, **FAST)
    event_id = accept(app, project_id=8)
    deliver(app)
    assert mini_sentry.event_ids() == [event_id]
    with parts_of(app).store.read() as conn:
        assert parts_of(app).destinations.find(conn, 7).host == "http://10.0.0.9:9000"
    verdict = setup.store(run_of(app))
    assert verdict.result == "warn" and "the DSN of project 7 would be refused" in verdict.detail


@pytest.mark.parametrize(
    "dsn",
    [
        "http://key@169.254.169.254/1",
        "http://key@[fe80::1]/1",
        "http://key@metadata.google.internal/1",
        "http://key@10.0.0.1/1",
        "http://key@localhost:9000/1",
        "http://key@sentry.example.com:22/1",
        "http://key@sentry.example.com/a/%2e%2e/1",
        "http://key@2130706433/1",
        "http://key@-x-/1",
    ],
)
def test_each_refusal_of_an_upstream_is_in_the_docs(dsn: str) -> None:
    with pytest.raises(AddressError) as refused:
        check_upstream(Dsn.of(dsn), allow_private=False)
    assert f"*{refused.value}*" in (ROOT / "docs" / "troubleshooting.md").read_text()
