"""The error of a backup."""

from __future__ import annotations


class BackupError(Exception):
    """A backup cannot be made, read or restored; the text is a sentence for the operator."""
