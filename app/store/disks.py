"""The free space of the disks that the service writes to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

# Below this share of bytes or inodes, the disk will soon cause an incident.
LOW_SHARE = 0.05


class Disk(NamedTuple):
    """The disk of a folder. ``free_share`` is the smaller one of its bytes and its inodes."""

    folder: Path
    free_bytes: int
    free_share: float

    @property
    def is_low(self) -> bool:
        """Return whether little space is free."""
        return self.free_share < LOW_SHARE


def fullest(folders: Iterable[Path]) -> Disk:
    """Return the disk with the least free share, among the disks of some folders.

    A folder does not have to exist yet.
    """
    return min(map(_disk_of, folders), key=lambda disk: disk.free_share)


def _disk_of(folder: Path) -> Disk:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    found = os.statvfs(existing)
    # Some file systems have no fixed number of inodes, and report 0.
    inodes = found.f_favail / found.f_files if found.f_files else 1.0
    share = min(found.f_bavail / (found.f_blocks or 1), inodes)
    return Disk(existing, found.f_bavail * found.f_frsize, share)
