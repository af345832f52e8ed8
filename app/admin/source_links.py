"""The address of a frame in the repository of its project."""

from __future__ import annotations

import re
from urllib.parse import quote

from app.protocol.event import Frame

# What stands before the path of a file in a repository.
_ROOT = re.compile(r"^(?:[a-z]{1,20}:/{2,3}|\.?/)+")


def source_link(pattern: str | None, frame: Frame, release: str | None) -> str:
    """Return where a frame's line is, empty if that is not known.

    :param pattern: of the project, see :data:`app.inputs.links.SourcePattern`.
    """
    name = _ROOT.sub("", frame.filename or "")
    if not pattern or not name or not frame.in_app or ("{release}" in pattern and not release):
        return ""
    # All at once: a file may be named "{line}".
    values = {"file": quote(name), "line": str(frame.lineno or 1), "release": _version(release)}
    return re.sub(r"\{(file|line|release)\}", lambda found: values[found[1]], pattern)


def _version(release: str | None) -> str:
    """Return a release without the package before it: tags and commits are named so."""
    return quote((release or "").rpartition("@")[2], safe="")
