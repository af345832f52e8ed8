"""Fixtures of the alert tests: an application that may send to loopback, and a receiver."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from tests.receivers import Receiver


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(ALERTS_ALLOW_PRIVATE_TARGETS=True)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server
