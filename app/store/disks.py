"""The disks that the service writes to: how much of them is free."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

# Below this share, of bytes or of inodes, the disk is about to be the next incident.
LOW_SHARE = 0.05


class Disk(NamedTuple):
    """A disk that ``folder`` lies on. ``free_share``: of its bytes or inodes, the smaller one."""

    folder: Path
    free_bytes: int
    free_share: float

    @property
    def is_low(self) -> bool:
        """Return whether little is left."""
        return self.free_share < LOW_SHARE


def fullest(folders: Iterable[Path]) -> Disk:
    """Return the disk with the least room of those that folders lie on, or will lie on."""
    return min(map(_disk_of, folders), key=lambda disk: disk.free_share)


def _disk_of(folder: Path) -> Disk:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    found = os.statvfs(existing)
    # Some file systems have no fixed number of inodes, and say 0.
    inodes = found.f_favail / found.f_files if found.f_files else 1.0
    share = min(found.f_bavail / (found.f_blocks or 1), inodes)
    return Disk(existing, found.f_bavail * found.f_frsize, share)
