"""Fixtures: the contract server, and a clock that can be moved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from tests.confirmation.steps import NOON
from tests.contract_sentry import ContractSentry


@pytest.fixture
def contract() -> Iterator[ContractSentry]:
    with ContractSentry() as server:
        yield server


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=True) as moved:
        yield moved
