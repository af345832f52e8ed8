"""The history of the figures: `benchmarks/history.jsonl`, one JSON object a part of a run."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.bare import BareServer
from benchmarks.goals import Figure
from benchmarks.service import cpu_s, send
from config import ROOT

HISTORY = ROOT / "benchmarks" / "history.jsonl"
REQUESTS = 2000


def append(part: str, figures: Sequence[Figure], bare_ms: float) -> None:
    """Add the figures of a part, with the commit that they were measured at.

    :param bare_ms: CPU milliseconds of a bare request on this machine; see :func:`bare_ms`.
    """
    entry = {
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        # The history itself changes with every part of a run.
        "is_dirty": bool(_git("status", "--porcelain", "--", ".", ":!benchmarks/history.jsonl")),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "bare_ms": round(bare_ms, 3),
        "part": part,
        "figures": {figure.name: float(f"{figure.value:.4g}") for figure in figures},
    }
    with HISTORY.open("a") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def bare_ms() -> float:
    """Return the CPU milliseconds of a bare request, which tell how fast this machine is now."""
    with tempfile.TemporaryDirectory() as folder:
        bare = BareServer(Path(folder))
        try:
            send(f"{bare.url}?", REQUESTS // 4)
            workers = bare.processes()[1:]
            before = cpu_s(workers)
            send(f"{bare.url}?", REQUESTS)
            return (cpu_s(workers) - before) / REQUESTS * 1000
        finally:
            bare.stop()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
