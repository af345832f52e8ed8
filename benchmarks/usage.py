"""The command line of what takes no arguments."""

from __future__ import annotations

import argparse


def only_help(description: str | None) -> None:
    """Print help and end where the command line asks for it; end with an error for all else."""
    argparse.ArgumentParser(description=description).parse_args()
