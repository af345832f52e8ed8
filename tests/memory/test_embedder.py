"""Who makes the vectors: loaded when needed, waited for within bounds, changed by a setting."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.memory.upkeep import Upkeep
from app.memory.vectors import embedder
from app.memory.vectors.embedder import EmbedderSource, embed
from app.memory.vectors.errors import EmbedderUnavailable
from config import ROOT, ConfigError, load_config
from tests.conftest import parts_of
from tests.stub_index import Lengths

OFFLINE = """
import socket, sys
def refuse(*args, **kwargs): raise AssertionError("no network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from app.memory.vectors.embedder import EmbedderSource, embed
vectors, tokens = embed(EmbedderSource().get(60), ["tea", "", " "])
print(vectors.shape, tokens, [round(float((row @ row)), 3) for row in vectors])
"""


def test_model_needs_neither_network_nor_a_home(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert done.stdout.strip() == "(3, 256) 2 [1.0, 0.0, 1.0]", done.stderr
    assert list(tmp_path.iterdir()) == []


def test_start_and_health_load_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; from app import create_app; app = create_app();"
        "print(app.test_client().get('/health').status_code, 'wordllama' in sys.modules)"
    )
    environ = {**os.environ, "DATA_DIR": str(tmp_path), "ENVIRONMENT": "testing"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert done.stdout.strip() == "200 False", done.stderr


def test_model_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    goes_on = threading.Event()
    monkeypatch.setattr(embedder, "load", lambda setting: goes_on.wait(30) and Lengths())
    source = EmbedderSource()
    with pytest.raises(EmbedderUnavailable, match="still being loaded"):
        source.get(timeout_s=0.01)
    assert source.state == "loading"
    goes_on.set()
    assert source.get(timeout_s=30).name == "lengths" and source.state == "loaded"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_model_that_does_not_load_is_named_and_memories_are_stored(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(EMBEDDER="tests.stub_index:broken")
    client = app.test_client()
    stored = client.post("/memories", json={"content": "tea", "user_id": "ada"})
    assert (stored.status_code, stored.json["indexed"]) == (201, False)
    assert client.get("/memories?user_id=ada").json["total"] == 1
    assert client.get("/health").status_code == 200
    failure = parts_of(app).memories.state().embedder_failure
    assert failure is not None and "EMBEDDER names it" in failure


def test_setting_that_names_no_factory_is_refused() -> None:
    for wrong in ("openai", "a.b:", "a b:c", ":c"):
        with pytest.raises(ConfigError, match="EMBEDDER: expected wordllama, or module:factory"):
            load_config({}, EMBEDDER=wrong)


def test_nonsense_of_an_embedder_is_its_failure() -> None:
    class Nonsense(Lengths):
        def embed(self, texts: object) -> object:
            return [[float("nan"), 1.0]], None

    for one in (Nonsense(), type("Flat", (Lengths,), {"dims": 3})()):
        with pytest.raises(EmbedderUnavailable, match="the embedder failed: ValueError"):
            embed(one, ["tea"])


def test_another_embedder_makes_the_vectors_anew(
    make_app: Callable[..., Flask], client: FlaskClient
) -> None:
    for content in ("tea", "a long walk by the river"):
        client.post("/memories", json={"content": content, "user_id": "ada"})
    app = make_app(EMBEDDER="tests.stub_index:Lengths")
    other = app.test_client()

    def search() -> tuple[list[str], int]:
        answer = other.post("/memories/search", json={"query": "bus", "user_id": "ada"}).json
        return [result["content"] for result in answer["results"]], answer["waiting"]

    # Vectors of two models are not compared: until then searches find less, and say so.
    assert search() == ([], 2)
    assert other.get("/memories?user_id=ada").json["total"] == 2
    Upkeep(parts_of(app).memories).work()
    assert search() == (["tea", "a long walk by the river"], 0)
    runner = app.test_cli_runner()
    assert "2 memories: 0 embedded anew" in runner.invoke(args=["memory", "reindex"]).output


def test_command_makes_the_vectors_anew(
    make_app: Callable[..., Flask], client: FlaskClient
) -> None:
    client.post("/memories", json={"content": "tea", "user_id": "ada"})
    runner = make_app(EMBEDDER="tests.stub_index:Lengths").test_cli_runner()
    answer = runner.invoke(args=["memory", "reindex"])
    assert answer.exit_code == 0 and "1 memories: 1 embedded anew" in answer.output
