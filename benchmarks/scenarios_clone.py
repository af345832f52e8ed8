"""A commit of this service in a folder of its own, and its processes, for `make scenarios`."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from config import ROOT
from tests.server_process import Server

# What the image and the compose file set for every start.
IMAGE = {"API_HOST": "127.0.0.1", "WEB_CONCURRENCY": "2", "PYTHONUNBUFFERED": "1"}


def has_commit(commit: str) -> bool:
    """Return whether this checkout knows a commit; a shallow one knows only the newest."""
    command = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0


def lay_out(commit: str, folder: Path) -> None:
    """Write the files of a commit into a new folder, and compile them as the image is compiled."""
    command = ["git", "archive", "--format=tar", commit]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder)], check=False)


class Clone(Server):
    """The service from such a folder, with the environment of a container and nothing else.

    :param environ: settings.
    """

    def __init__(self, code: Path, data_dir: Path, port: int, **environ: str) -> None:
        self.code, self.data_dir, self.port = code, data_dir, port
        self.url, self.log = f"http://127.0.0.1:{port}", data_dir.with_name("log")
        self._settings = environ
        self.began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["gunicorn"], cwd=code, env=self.environ(), stdout=log, stderr=log
            )

    def environ(self) -> dict[str, str]:
        """Return the environment of the process."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"PATH": path, "HOME": str(self.code.parent), "DATA_DIR": str(self.data_dir)}
        return IMAGE | own | {"API_PORT": str(self.port)} | self._settings

    def flask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the service beside it."""
        return subprocess.run(
            ["flask", *arguments], cwd=self.code, env=self.environ(), capture_output=True, text=True
        )
