"""The route for crash reporters, which send a minidump: a file with the state of a crashed process.

    curl -F upload_file_minidump=@crash.dmp -F 'sentry={"release": "shop@1.2"}' URL

The minidump may also be the whole body. It becomes an event with the file as attachment.

Source: https://docs.sentry.io/platforms/native/guides/minidumps/, 2026-11-28.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from app.ingest import bp
from app.ingest.answers import Refusal, preflight
from app.ingest.body import read_body
from app.ingest.door import LIMITS, authorized, keep, parsed, passed_through
from app.protocol.envelope import Envelope, Item, parse_json
from app.protocol.lenient import read_values
from app.protocol.minidump import MAGIC, Minidump, read_minidump
from app.web import access

FILE, EVENT = "upload_file_minidump", "sentry"
# The event and the parts are the items of an envelope.
MAX_PARTS = LIMITS.items - 1
MAX_FORM_BYTES = 1024**2
MAX_VALUE, MAX_FILE_NAME = 1000, 200

_MALFORMED = "the minidump is malformed"
_TOO_LARGE = f"at most {MAX_PARTS} parts, and {MAX_FORM_BYTES:,} bytes of fields"


@bp.route("/api/<int:project_id>/minidump/", methods=["POST", "OPTIONS"], strict_slashes=False)
@access.keyed
def take_minidump(project_id: int) -> ResponseReturnValue:
    """Store a minidump as an event with a file.

    :return: 200 with the id of the event as text, as crash reporters show it.
    :raise Refusal: as :func:`app.ingest.door.take_envelope`.
    """
    return preflight() if request.method == "OPTIONS" else _take(project_id)


def _take(project_id: int) -> Response:
    via, known = passed_through(), authorized(project_id)
    if known is None:
        raise Refusal(401, "no public key was given")
    with read_body() as body:
        form, files = _parts(body)
        body.clear()
        answer = keep(_envelope(form, files), known, via)
    return Response(str(uuid.UUID(answer.get_json()["id"])), mimetype="text/plain")


def _parts(body: bytearray) -> tuple[MultiDict[str, str], list[FileStorage]]:
    """Return the fields and the files, the minidump first.

    :raise Refusal: 400 there is no minidump; 413 the fields are too large.
    """
    if body.startswith(MAGIC):
        return MultiDict(), [FileStorage(BytesIO(bytes(body)), "minidump.dmp", FILE)]
    parser = FormDataParser(
        # A file is in memory once; the default would write it to the disk.
        stream_factory=lambda *_, **__: BytesIO(),
        max_form_memory_size=MAX_FORM_BYTES,
        max_form_parts=MAX_PARTS,
    )
    stream, options = BytesIO(bytes(body)), request.mimetype_params
    try:
        _, form, files = parser.parse(stream, request.mimetype, len(body), options)
    except RequestEntityTooLarge as error:
        raise Refusal(413, "the envelope is too large", _TOO_LARGE) from error
    named = (file for _, file in files.items(multi=True))
    found = sorted(named, key=lambda file: file.name != FILE)
    if not found or found[0].name != FILE:
        raise Refusal(400, _MALFORMED, f"{FILE}: a file in a multipart form is expected")
    return form, found


def _envelope(form: MultiDict[str, str], files: list[FileStorage]) -> Envelope:
    """Return an event and its files.

    :raise Refusal: 400 the file is no minidump, or ``sentry`` is no JSON object.
    """
    contents = [file.stream.read() for file in files]
    dump = read_minidump(contents[0])
    if dump is None:
        raise Refusal(400, _MALFORMED, f"{FILE}: a file that begins with MDMP is expected")
    items = [Item({"type": "event"}, _payload(form, dump))]
    for file, content in zip(files, contents, strict=True):
        is_dump = file.name == FILE
        items.append(Item(_headers(file, "event.minidump" if is_dump else ""), content))
    return Envelope({}, items)


def _headers(file: FileStorage, kind: str) -> dict[str, str]:
    name = (file.filename or file.name or "file")[:MAX_FILE_NAME]
    return {"type": "attachment", "filename": name} | ({"attachment_type": kind} if kind else {})


def _payload(form: MultiDict[str, str], dump: Minidump) -> dict[str, Any]:
    payload = _given(form)
    code = "unknown code" if dump.code is None else f"0x{dump.code:08x}"
    program = f" in {dump.modules[0]}" if dump.modules else ""
    mechanism = {"type": "minidump", "handled": False, "synthetic": True}
    payload.setdefault("platform", "native")
    payload.setdefault("level", "fatal")
    if not read_values(payload.get("exception")):
        payload["exception"] = {"values": [
            {"type": "Minidump", "value": f"{code}{program}", "mechanism": mechanism}
        ]}  # fmt: skip
    contexts = payload.get("contexts")
    facts = {"type": "minidump", "exception_code": code, "modules": dump.modules}
    payload["contexts"] = (contexts if isinstance(contexts, dict) else {}) | {"minidump": facts}
    extra = payload.get("extra")
    payload["extra"] = dict(_others(form)) | (extra if isinstance(extra, dict) else {})
    return payload


def _given(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return the event in the form: JSON, also in numbered pieces, and ``sentry[release]``."""
    pieces = [name for name in form if re.fullmatch(rf"{EVENT}__[0-9]{{1,9}}", name)]
    text = form.get(EVENT) or "".join(form[name] for name in sorted(pieces, key=_number))
    payload = (
        parsed(lambda body: parse_json(body, LIMITS), bytearray(text.encode())) if text else {}
    )
    if not isinstance(payload, dict):
        raise Refusal(400, _MALFORMED, f"{EVENT}: a JSON object is expected")
    for name, value in form.items():
        if name.startswith(f"{EVENT}[") and name.endswith("]"):
            _put(payload, name[len(EVENT) + 1 : -1].split("]["), value)
    return payload


def _number(name: str) -> int:
    return int(name.rpartition("__")[2])


def _put(payload: dict[str, Any], path: list[str], value: str) -> None:
    """Write ``sentry[tags][shop]=books`` into the payload, unless something else stands there."""
    for name in path[:-1][: LIMITS.depth]:
        payload = payload.setdefault(name, {})
        if not isinstance(payload, dict):
            return
    payload.setdefault(path[-1], value)


def _others(form: MultiDict[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in form.items():
        if name != EVENT and not name.startswith((f"{EVENT}[", f"{EVENT}__")):
            yield name[:MAX_FILE_NAME], value[:MAX_VALUE]
