"""A fake Sentry as a process of its own: fast, moody, and its record outlives a SIGKILL.

`tests/mini_sentry.py` is the one for tests of a single process; this one is for what kills,
measures, or must be counted from outside.

    __init__.py   FakeSentry: start it, set its mood, read its record
    server.py     sockets and connections     wire.py      HTTP/1.1
    moods.py      how it behaves              contents.py  what is in a body
    record.py     the file, and what is counted from it
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fake_sentry.moods import Mood
from tests.fake_sentry.record import Entry, RecordReader, Repeat, overlaps_in, repeats_in
from tests.fake_sentry.server import LOOPBACK, reserved_port

ROOT = Path(__file__).resolve().parents[2]


class FakeSentry:
    """Start it as a context manager; it may be killed and started again on the same port.

    :param record: the file of its record; default one that goes with this object.
    :param latency_s: how far away it is: every answer takes that much longer, in any mood.
    """

    def __init__(self, record: Path | None = None, *, latency_s: float = 0.0) -> None:
        self._latency_s = latency_s
        self._folder = tempfile.TemporaryDirectory() if record is None else None
        path = record or Path(self._folder.name) / "record.jsonl"  # type: ignore[union-attr]
        self._path, self._reader = path, RecordReader(path)
        # Held for as long as this object lives, so that nobody takes the port of a killed fake.
        self._reserved = reserved_port()
        self.port: int = self._reserved.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def dsn(self, project: int = 42, key: str = "publickey") -> str:
        return f"http://{key}@{LOOPBACK}:{self.port}/{project}"

    def __enter__(self) -> FakeSentry:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        self._reserved.close()
        if self._folder is not None:
            self._folder.cleanup()

    def start(self) -> None:
        """Start it, in the mood "ok", and wait until it listens."""
        command = [sys.executable, "-m", "tests.fake_sentry", "--with-parent"]
        command += ["--port", str(self.port), "--record", str(self._path)]
        command += ["--latency-s", str(self._latency_s)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        ports = [self.process.stdout.readline() for _ in range(2)]
        assert all(ports), "the fake Sentry did not start"
        self._control_port = int(ports[1])

    def stop(self) -> None:
        """End it; the record stays readable."""
        if self.process is not None:
            self.process.terminate()
            self._wait_ended(self.process)

    def kill(self) -> None:
        """SIGKILL it; ``start`` starts it again with the same port and record."""
        assert self.process is not None
        self.process.kill()
        self._wait_ended(self.process)

    def _wait_ended(self, process: subprocess.Popen[bytes]) -> None:
        process.wait(10)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        self.process = None

    def set_mood(self, name: str = "ok", **how: Any) -> None:
        """Change what it does to the next requests; see `moods.Mood` for what there is.

        :raise ValueError: there is no such mood.
        """
        Mood(name, **how)
        connection = http.client.HTTPConnection(LOOPBACK, self._control_port, timeout=10)
        with contextlib.closing(connection):
            connection.request("POST", "/__mood__", json.dumps({"name": name, **how}))
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()

    def requests(self) -> list[Entry]:
        """Every request that came, whatever became of it."""
        return self._reader.entries()

    def record(self) -> list[Entry]:
        """What it accepted, in order; an envelope that came twice is there twice."""
        return [entry for entry in self.requests() if entry["state"] == "accepted"]

    def event_ids(self) -> list[str]:
        """The ids of the events that it accepted, in order and with repetition."""
        return [event_id for entry in self.record() for event_id in entry["event_ids"]]

    def repeats(self) -> list[Repeat]:
        """Events that it accepted more than once."""
        return repeats_in(self.record())

    def overlaps(self) -> list[tuple[Entry, Entry]]:
        """Envelopes that two connections were sending at the same time."""
        return overlaps_in(self.requests())

    def wait_for(
        self,
        predicate: Callable[[FakeSentry], bool],
        timeout_s: float = 10.0,
        every_s: float = 0.02,
    ) -> None:
        """Wait until the condition holds; fail, with the last requests, when it never does."""
        deadline = time.monotonic() + timeout_s
        while not predicate(self):
            assert time.monotonic() < deadline, self.requests()[-5:]
            time.sleep(every_s)
