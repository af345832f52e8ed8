"""What the log leaves out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from config import ROOT
from tests.server_process import settings


def test_debug_output_of_the_sdk_names_no_framework_that_is_not_installed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import wsgi, sentry_sdk; sentry_sdk.capture_message('hello')"],
        cwd=ROOT,
        env=settings(tmp_path / "data") | {"SENTRY_DEBUG": "true"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "[sentry] DEBUG: Setting up integrations" in done.stderr
    assert "Did not import" not in done.stderr
