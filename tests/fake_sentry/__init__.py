"""A fake Sentry in its own process: it is fast, has moods, and keeps its record after a SIGKILL.

`tests/mini_sentry.py` is for tests in a single process. This one is for tests that kill processes,
measure, or count requests from outside.

    __init__.py   FakeSentry: start it, set its mood, read its record
    server.py     sockets and connections     wire.py      HTTP/1.1
    moods.py      normal and faulty behaviour contents.py  the content of a body
    record.py     the file of all requests, and counts from it
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
    """The fake, a context manager; it can be killed and started again on the same port.

    :param record: the file of its record; the default is a file that is deleted at the end.
    :param latency_s: the network latency to simulate: a delay of every answer, in any mood.
    """

    def __init__(self, record: Path | None = None, *, latency_s: float = 0.0) -> None:
        self._latency_s = latency_s
        self._folder = tempfile.TemporaryDirectory() if record is None else None
        path = record or Path(self._folder.name) / "record.jsonl"  # type: ignore[union-attr]
        self._path, self._reader = path, RecordReader(path)
        # The port stays bound as long as this object exists, so that no other process gets the
        # port of a killed fake.
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
        """Start the fake in the mood "ok", and wait until it listens."""
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
        """Terminate the fake; the record stays readable."""
        if self.process is not None:
            self.process.terminate()
            self._wait_ended(self.process)

    def kill(self) -> None:
        """Send SIGKILL; ``start`` starts it again with the same port and record."""
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
        """Change the behaviour for the next requests; `moods.Mood` lists the options.

        :raise ValueError: there is no such mood.
        """
        Mood(name, **how)
        connection = http.client.HTTPConnection(LOOPBACK, self._control_port, timeout=10)
        with contextlib.closing(connection):
            connection.request("POST", "/__mood__", json.dumps({"name": name, **how}))
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()

    def requests(self) -> list[Entry]:
        """Return every request, accepted or not."""
        return self._reader.entries()

    def record(self) -> list[Entry]:
        """Return the accepted requests in order; an envelope that came twice is there twice."""
        return [entry for entry in self.requests() if entry["state"] == "accepted"]

    def event_ids(self) -> list[str]:
        """Return the ids of the accepted events, in order and with repetitions."""
        return [event_id for entry in self.record() for event_id in entry["event_ids"]]

    def repeats(self) -> list[Repeat]:
        """Return the events that were accepted more than once."""
        return repeats_in(self.record())

    def overlaps(self) -> list[tuple[Entry, Entry]]:
        """Return the envelopes that two connections sent at the same time."""
        return overlaps_in(self.requests())

    def wait_for(
        self,
        predicate: Callable[[FakeSentry], bool],
        timeout_s: float = 10.0,
        every_s: float = 0.02,
    ) -> None:
        """Wait until the condition holds; fail with the last requests after the timeout."""
        deadline = time.monotonic() + timeout_s
        while not predicate(self):
            assert time.monotonic() < deadline, self.requests()[-5:]
            time.sleep(every_s)
