"""A process that is not asked for memories loads nothing of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from config import ROOT

PROGRAM = """
import json, sys
from app import create_app
from app.cli.worker import make_worker
from app.projects.records import find_project

def loaded():
    heavy = ("service", "upkeep", "pending", "rows", "gate")
    vectors = ("embedder", "exact", "packing", "qdrant")
    names = ["numpy", "wordllama", "qdrant_client"]
    names += [f"app.memory.{name}" for name in heavy]
    names += [f"app.memory.vectors.{name}" for name in vectors]
    return [name for name in names if name in sys.modules]

app = create_app()
client, store = app.test_client(), app.extensions["devenviro.store"]
with store.read() as conn:
    key = find_project(conn, 1).keys[0]
line = json.dumps({"event_id": "1" * 32})
event = json.dumps({"message": "an event"})
envelope = "\\n".join((line, json.dumps({"type": "event"}), event))
statuses = [
    client.get("/health").status_code,
    client.get("/").status_code,
    client.get("/system/status").status_code,
    client.get("/metrics").status_code,
    client.post(f"/api/1/envelope/?sentry_key={key}", data=envelope).status_code,
]
with app.app_context():
    worker = make_worker()
worker.run_once()
ran = [task.run_once() for task in worker._tasks]
before = loaded()
body = {"content": "tea", "user_id": "ada"}
kept = client.post("/memories", json=body).status_code
after = loaded()
print(json.dumps([statuses, ran, before, kept, "numpy" in after]))
worker._intake.close()
"""


def test_process_without_memories_loads_neither_numpy_nor_embedder_nor_index(
    tmp_path: Path,
) -> None:
    environ = {**os.environ, "DATA_DIR": str(tmp_path), "ENVIRONMENT": "development"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    statuses, ran, before, kept, is_numpy_loaded = json.loads(done.stdout.splitlines()[-1])
    assert statuses == [200, 302, 200, 200, 200]
    assert ran and all(ran)
    assert before == []
    # And one that is asked does load it.
    assert (kept, is_numpy_loaded) == (201, True)
