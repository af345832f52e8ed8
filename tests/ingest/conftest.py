"""Fixtures: an application with the projects and keys of the recorded clients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.events.tables import envelopes, events
from app.projects import create_project, rotate_key
from app.store import Store
from tests.conftest import parts_of
from tests.ingest.corpus import PROJECTS
from tests.ingest.direct_client import DirectClient


def add_projects(store: Store) -> None:
    for project_id, keys in PROJECTS.items():
        create_project(store, f"Client {project_id}", project_id, keys[0])
        for key in keys[1:]:
            rotate_key(store, project_id, key)


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app()
    add_projects(parts_of(app).store)
    return app


@pytest.fixture
def client(app: Flask, request: pytest.FixtureRequest) -> FlaskClient:
    """Send requests to the routes; to the direct door first where a test asks for it."""
    return DirectClient(app) if getattr(request, "param", "") == "direct" else app.test_client()


@pytest.fixture
def stored(app: Flask) -> Callable[[], tuple[int, int]]:
    """Count the stored envelopes and events."""

    def count() -> tuple[int, int]:
        with parts_of(app).store.read() as conn:
            return (
                len(conn.execute(select(envelopes.c.id)).all()),
                len(conn.execute(select(events.c.id)).all()),
            )

    return count


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a module with ``BOTH_WAYS`` through the routes, and directly.

    Most requests over a socket go directly, in batches without Flask.
    """
    if getattr(metafunc.module, "BOTH_WAYS", False) and "client" in metafunc.fixturenames:
        metafunc.parametrize("client", ["routes", "direct"], indirect=True)
