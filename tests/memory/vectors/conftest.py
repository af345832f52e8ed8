"""Fixtures: the Qdrant contract server, and a real server if ``QDRANT_TEST_URL`` is set."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import pytest

from app.memory.vectors.qdrant import Address, QdrantIndex
from app.memory.vectors.qdrant.collection import Layout
from app.memory.vectors.qdrant.connection import Connection
from tests.fake_qdrant import FakeQdrant

LIVE_URL = os.environ.get("QDRANT_TEST_URL")
LIVE_KEY = os.environ.get("QDRANT_TEST_API_KEY")


@pytest.fixture
def fake_qdrant() -> Iterator[FakeQdrant]:
    with FakeQdrant() as server:
        yield server


MakeIndex = Callable[..., QdrantIndex]


@pytest.fixture
def index_on(fake_qdrant: FakeQdrant) -> Iterator[MakeIndex]:
    """Make indexes on the contract server."""
    made: list[QdrantIndex] = []

    def make(
        *,
        prefix: str = "tests",
        timeout_s: float = 2.0,
        url: str = "",
        **more: str,
    ) -> QdrantIndex:
        address = Address(url or fake_qdrant.url, timeout_s=timeout_s, **more)
        made.append(QdrantIndex(address, Layout(prefix)))
        return made[-1]

    yield make
    for index in made:
        index.close()


@pytest.fixture
def live_index() -> Iterator[QdrantIndex]:
    """Make an index on a real server, in collections that only this test uses."""
    if LIVE_URL is None:
        pytest.skip("NO REAL QDRANT WAS ASKED: QDRANT_TEST_URL is not set")
    prefix = f"tests-{uuid.uuid4().hex[:8]}"
    address = Address(LIVE_URL.rstrip("/"), LIVE_KEY, timeout_s=30.0)
    index = QdrantIndex(address, Layout(prefix))
    yield index
    index.close()
    _remove_collections(address, prefix)


@pytest.fixture(params=["contract", pytest.param("live", marks=pytest.mark.live_qdrant)])
def index(request: pytest.FixtureRequest) -> QdrantIndex:
    """Make an index on the contract server, and run the test again with a real server."""
    if request.param == "contract":
        made: QdrantIndex = request.getfixturevalue("index_on")()
        return made
    live: QdrantIndex = request.getfixturevalue("live_index")
    return live


def _remove_collections(address: Address, prefix: str) -> None:
    connection = Connection(address)
    for found in connection.call(lambda client: client.get_collections()).collections:
        if found.name.startswith(prefix):
            connection.call(lambda client, name=found.name: client.delete_collection(name))
    connection.close()
