"""Fixtures of the tests of test errors: projects with a destination, and a person at the page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.project_service.changing import register_project
from tests.conftest import parts_of


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(ALERTS_ALLOW_PRIVATE_TARGETS=True)


@pytest.fixture
def person(app: Flask, login: Callable[[FlaskClient], FlaskClient]) -> FlaskClient:
    return login(app.test_client())


@pytest.fixture
def add_project(app: Flask) -> Callable[..., int]:
    """Register a project; ``upstream_dsn`` and the quota are optional."""

    def add(name: str, **fields: object) -> int:
        parts = parts_of(app)
        return register_project(parts.store, parts.config, {"name": name, **fields})

    return add
