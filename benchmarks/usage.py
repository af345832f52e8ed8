"""The command line of programs without arguments."""

from __future__ import annotations

import argparse


def only_help(description: str | None) -> None:
    """Exit with the help text if it is requested, and with an error for any other argument."""
    argparse.ArgumentParser(description=description).parse_args()
