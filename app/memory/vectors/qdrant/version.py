"""Whether a server's version is compatible with the client's.

Source: https://github.com/qdrant/qdrant-client, qdrant_client/common/version_check.py, 1.20.0: the
same major version, and minor versions that differ by at most one.
"""

from __future__ import annotations

import re
from importlib import metadata


def version_problem(server: str) -> str | None:
    """Return in words why a server may not fit the client, ``None`` if the versions fit.

    :param server: the version that the server reports, such as ``1.19.3``.
    """
    client = metadata.version("qdrant-client")
    major, minor = _numbers(client)
    if _numbers(server)[0] == major and abs(_numbers(server)[1] - minor) <= 1:
        return None
    return f"Qdrant {major}.{minor - 1} to {major}.{minor + 1} is expected"


def _numbers(version: str) -> tuple[int, int]:
    match = re.match(r"(\d{1,9})\.(\d{1,9})", version)
    return (int(match[1]), int(match[2])) if match else (-1, -1)
