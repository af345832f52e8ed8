"""What gunicorn can do and the event loop cannot is refused at start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from config import ROOT
from tests.server_process import free_port, settings


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--certfile=gunicorn.conf.py --keyfile=gunicorn.conf.py", "TLS"),
        ("--proxy-protocol", "PROXY protocol"),
        ("--proxy-protocol=v2", "PROXY protocol"),
    ],
)
def test_tls_and_proxy_protocol_are_refused_naming_a_proxy(
    tmp_path: Path, options: str, named: str
) -> None:
    environ = {"API_PORT": str(free_port()), "GUNICORN_CMD_ARGS": options}
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn"],
        cwd=ROOT,
        env=settings(tmp_path) | environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert named in done.stderr
    assert "proxy in front" in done.stderr
    assert "Booting worker" not in done.stderr
