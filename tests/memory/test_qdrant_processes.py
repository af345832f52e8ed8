"""Processes of a server and a Qdrant that comes and goes: nobody restarts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.fake_qdrant import FakeQdrant
from tests.fake_qdrant.moods import silent
from tests.server_process import Server, http, serving, wait_for


def send(server: Server, path: str, **body: str) -> tuple[int, Any]:
    answer = http.request("POST", f"{server.url}{path}", json=body | {"user_id": "ada"}, timeout=20)
    return answer.status, answer.json()


def vectors(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = server.get("/system/status")["vectors"]
    return found


def test_processes_start_without_qdrant_and_use_it_as_soon_as_it_is_there(tmp_path: Path) -> None:
    with FakeQdrant() as qdrant:
        url = qdrant.url
        qdrant.stop()
        with serving(tmp_path / "data", QDRANT_URL=url, QDRANT_TIMEOUT_S="1") as server:
            status, kept = send(server, "/memories", content="tea at five")
            assert (status, kept["indexed"]) == (201, False)
            assert send(server, "/memories/search", query="tea", mode="vector")[0] == 503
            wait_for(lambda: "nobody listens" in (vectors(server)["problem"] or ""))
            qdrant.start()
            wait_for(lambda: len(qdrant.points()) == 1, 30)
            wait_for(
                lambda: send(server, "/memories/search", query="tea", mode="vector")[0] == 200, 30
            )
            wait_for(lambda: vectors(server)["ok"] and not vectors(server)["waiting"], 30)
            qdrant.mood = silent
            assert send(server, "/memories", content="coffee at six")[1]["indexed"] is False
            assert server.get("/health")["status"] in ("pass", "warn")
            assert server.test_error("while Qdrant is silent").status == 500
            qdrant.mood = None
            wait_for(lambda: len(qdrant.points()) == 2, 30)
            assert len(server.workers()) == 2
