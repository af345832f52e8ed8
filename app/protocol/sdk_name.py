"""The name and version of the SDK that sent a request, from all places where clients put them.

    {"sdk": {"name": …, "version": …}}     the header of an envelope, or its event
    sentry_client=<name>/<version>         X-Sentry-Auth, Authorization or the query string
    User-Agent: <name>/<version>           if it is not that of a browser

Before the body is read, only the last two are known.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from app.protocol.caller import Caller, client_of
from app.protocol.envelope import Envelope
from app.protocol.lenient import read_dict, read_name

# The longest name of a known SDK has 40 characters.
MAX_NAME = 64
_NO_NAME_CHARACTER = re.compile(r"[^\w.@/+ -]", re.ASCII)


class Sdk(NamedTuple):
    """An SDK; both are empty if they are not known."""

    name: str = ""
    version: str = ""

    @property
    def words(self) -> str:
        """Its name and version as text."""
        return f"{self.name} {self.version}".strip() or "unknown client"


UNKNOWN_SDK = Sdk()


def read_sdk(envelope: Envelope | None, caller: Caller) -> Sdk:
    """Return the SDK that an envelope names, or else the client that sent it.

    :param envelope: ``None`` if the body was not read.
    """
    if envelope is not None:
        found = read_dict(envelope.headers.get("sdk"))
        if not found.get("name") and (item := envelope.event()) is not None:
            found = read_dict(item.payload.get("sdk"))
        if name := read_name(found.get("name")):
            return _cleaned(
                name[: MAX_NAME * 2], (read_name(found.get("version")) or "")[:MAX_NAME]
            )
    named = client_of(caller)
    return _cleaned(named["name"], named.get("version", "")) if named else UNKNOWN_SDK


# Most envelopes come from a few SDKs.
@lru_cache(maxsize=512)
def _cleaned(name: str, version: str) -> Sdk:
    return Sdk(*(_NO_NAME_CHARACTER.sub("_", text.strip())[:MAX_NAME] for text in (name, version)))
