"""The emergency folder: the person is erased from the envelopes that wait in its files.

A file is replaced as a whole, by rename. If it was recovered meanwhile, the store has its envelope
under the same uid, so recovering it again adds nothing; :mod:`.envelopes` looks at it there.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from contextlib import suppress
from pathlib import Path

from app.erasing.bodies import erase_body
from app.erasing.contents import is_in_bytes
from app.erasing.task import Task
from app.intake.emergency import EmergencyFolder, Waiting
from app.protocol.envelope import serialize_envelope

# A file that could not be read, and a file whose writing did not end.
_LEFTOVERS = ("*.damaged", "*.part")
# A file is written within seconds.
_WRITTEN_WITHIN_S = 60
_BODY = re.compile(rb'"body": *"([A-Za-z0-9+/=]+)')


def erase_emergency(task: Task, folder: EmergencyFolder) -> None:
    """Erase the person from the files of the emergency folder."""
    for waiting in folder.waiting():
        if _erase_file(task, folder, waiting):
            task.report.counts["emergency"] += 1
        task.advance(0)
    for pattern in _LEFTOVERS:
        for path in sorted(folder.path.glob(pattern)):
            _erase_leftover(task, path)


def _erase_file(task: Task, folder: EmergencyFolder, waiting: Waiting) -> bool:
    scrubbed = task.erased(waiting.scrubbed)
    is_changed = bool(scrubbed != waiting.scrubbed)
    body = waiting.body
    if task.person.may_be_in(body):
        try:
            erased = erase_body(body, task.person)
        except (ValueError, RecursionError):
            erased = None
            task.report.note("a file of the emergency folder is damaged and could not be searched")
        if erased and erased.is_changed:
            is_changed, body = True, serialize_envelope(erased.envelope)
            task.dids |= erased.dids
    if is_changed and not task.is_dry and waiting.path.exists():
        folder.put(waiting.uid, waiting.project_id, waiting.received_at, body, scrubbed)
    return is_changed


def _erase_leftover(task: Task, path: Path) -> None:
    """Delete a file that cannot be read as an envelope and has the person in what can be read."""
    try:
        content = path.read_bytes()
        age_s = time.time() - path.stat().st_mtime
    except OSError:
        return
    if not (is_in_bytes(task.person, content) or is_in_bytes(task.person, _readable(content))):
        return
    if path.suffix == ".part" and age_s < _WRITTEN_WITHIN_S:
        # An event that a client is sending now would be lost with it.
        task.report.note("a file of the emergency folder was being written: run this again")
        return
    task.report.counts["emergency"] += 1
    if not task.is_dry:
        with suppress(FileNotFoundError):
            path.unlink()


def _readable(content: bytes) -> bytes:
    """Return what can be decoded of the body in a damaged file."""
    found = _BODY.search(content)
    if found is None:
        return b""
    whole = found[1].rstrip(b"=")
    try:
        return base64.b64decode(whole[: len(whole) // 4 * 4])
    except binascii.Error:
        return b""
