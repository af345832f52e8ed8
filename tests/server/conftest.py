from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store import Store
from tests.conftest import API_TOKEN
from tests.ingest.conftest import add_projects
from tests.server_process import Server, serving


def with_projects(data_dir: Path) -> Path:
    data_dir.mkdir()
    store = Store(f"sqlite:///{data_dir / 'devenviro.sqlite3'}")
    store.open()
    add_projects(store)
    store.dispose()
    return data_dir


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start the service with one process, so that the limits of a process are the service's."""
    data_dir = with_projects(tmp_path_factory.mktemp("server") / "data")
    with serving(data_dir, API_TOKEN=API_TOKEN, WEB_CONCURRENCY="1") as running:
        yield running
