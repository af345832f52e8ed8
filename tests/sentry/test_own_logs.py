"""The lines that this service logs are among its logs, if they are to be."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import sentry_sdk
from flask import Flask

from app.signals.kinds import SIGNALS
from app.signals.walk import catch_up
from app.store.recording import recording
from tests.conftest import parts_of
from tests.signals.logs.steps import found

pytestmark = pytest.mark.one_database


@pytest.mark.parametrize(("is_on", "expected"), [(True, ["order 7 paid"]), (False, [])])
def test_own_lines_are_shown_without_those_of_the_tracker(
    make_app: Callable[..., Flask], is_on: bool, expected: list[str]
) -> None:
    parts = parts_of(make_app(SENTRY_LOGS=is_on))
    shop = logging.getLogger("shop.own")
    shop.setLevel(logging.INFO)
    shop.info("order %s paid", 7)
    shop.debug("too detailed")
    logging.getLogger("app.tracker").error("of the tracker")
    with recording():
        shop.info("while it stores")
    sentry_sdk.flush(timeout=2)
    parts.intake.flush()
    catch_up(parts.store, SIGNALS)
    assert found(parts) == expected
