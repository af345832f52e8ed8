"""Who follows the guide gets a filter of the API, the OpenAPI document and the page."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from config import ROOT

GUIDE = ROOT / "docs" / "how-to" / "add-a-filter.md"
_STEP = re.compile(r"^(In|New file) `([^`]+)`:\n\n```\w+\n(.*?)^```$", re.M | re.S)
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules")


def patched(text: str, diff: str) -> str:
    """The text with the changes of a diff whose parts begin with ``@@``."""
    for part in re.split(r"^@@\n", diff, flags=re.M):
        lines = part.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if not line.startswith("+"))
        new = "".join(line[1:] for line in lines if not line.startswith("-"))
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_who_follows_the_guide_gets_a_filter(tmp_path: Path) -> None:
    for name in ("app", "migrations", "static", "templates", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=_LEFT_OUT)
    for path in ("config.py", "pyproject.toml"):
        shutil.copy(ROOT / path, tmp_path)
    changed = []
    for verb, path, block in _STEP.findall(GUIDE.read_text()):
        target = tmp_path / path
        target.write_text(patched(target.read_text(), block) if verb == "In" else block)
        changed.append(path)
    # One Python file and one template, and the test.
    assert changed == ["app/issues/feedback.py", "templates/feedback.html", changed[-1]]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", changed[-1]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
