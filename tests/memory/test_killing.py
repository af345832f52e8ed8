"""SIGKILL while memories are written: what was acknowledged is there, and is found."""

from __future__ import annotations

import threading
from pathlib import Path

import urllib3

from tests.server_process import Server, http, serving, wait_for


def test_killed_while_writing_loses_no_acknowledged_memory(
    tmp_path: Path, database_url: str
) -> None:
    kept: list[tuple[str, str]] = []

    def write(writer: int) -> None:
        for number in range(10_000):
            content = f"writer {writer} notes the number {number}"
            body = {"content": content, "user_id": "ada"}
            try:
                answer = http.request("POST", f"{server.url}/memories", json=body, timeout=20)
            except urllib3.exceptions.HTTPError:
                return
            if answer.status == 201:
                kept.append((answer.json()["id"], content))

    server = Server(tmp_path / "data", DATABASE_URL=database_url)
    server.wait_ready()
    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    wait_for(lambda: len(kept) > 60)
    server.kill_all()
    for writer in writers:
        writer.join()
    with serving(tmp_path / "data", DATABASE_URL=database_url) as again:
        there = {one["id"]: one["content"] for one in listed(again)}
        assert [pair for pair in kept if there.get(pair[0]) != pair[1]] == []
        # The model does not know the order of words: others say the same numbers, and the same.
        body = {"query": kept[-1][1], "user_id": "ada", "min_score": 0.999, "limit": 100}
        answer = http.request("POST", f"{again.url}/memories/search", json=body, timeout=20).json()
        assert kept[-1][0] in {result["id"] for result in answer["results"]}
        assert answer["waiting"] == 0


def listed(server: Server) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    cursor = ""
    while True:
        page = server.get(f"/memories?user_id=ada&limit=1000{cursor}")
        found += page["memories"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"
