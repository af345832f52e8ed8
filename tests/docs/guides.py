"""How-to guides for tests: make each change of a guide in a copy of the tree.

In `app/x.py`:            and a ``diff`` block: lines with a space exist already, lines with
                          ``-`` are removed, lines with ``+`` are added; ``@@`` starts another
                          place of the file; ``…`` at the end stands for the rest of a line
New file `app/y.py`:      and a block with the whole content
Check it:                 and a ``sh`` block that names test files
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from app.store import newest_revision
from config import ROOT

FOLDER = ROOT / "docs" / "how-to"
# How a guide names the newest migration, which changes every few weeks.
NEWEST = "<the newest>"
_STEP = re.compile(r"^(In|New file) `([^`]+)`[^\n]*:\n\n```(\w+)\n(.*?)^```$", re.M | re.S)
_CHECKS = re.compile(r"tests/[\w/]+\.py(?:::\w+)?")
_COPIED = ("app", "migrations", "static", "templates", "tests", "docs")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", "screenshots", "browser")


class Step(NamedTuple):
    """A change of a file; ``block`` is the whole content of a new file, or a diff."""

    path: str
    is_new: bool
    block: str


class GuideError(Exception):
    """A guide does not fit the tree."""


def guide(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text()


def steps_of(text: str) -> list[Step]:
    return [Step(path, verb == "New file", block) for verb, path, _, block in _STEP.findall(text)]


def checks_of(text: str) -> list[str]:
    """Return the tests that a guide tells its reader to run: files, or tests of a file."""
    blocks = re.findall(r"^Check it[^\n]*:\n\n```sh\n(.*?)^```$", text, re.M | re.S)
    return [path for block in blocks for path in _CHECKS.findall(block)]


def copy_tree(to: Path) -> None:
    for name in _COPIED:
        shutil.copytree(ROOT / name, to / name, ignore=_LEFT_OUT)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, to / path.name)


def follow(text: str, tree: Path) -> None:
    """Make the changes of a guide.

    :raise GuideError: a new file exists already, or a diff does not fit.
    """
    for step in steps_of(text):
        path = tree / step.path
        block = step.block.replace(NEWEST, newest_revision() or "")
        if step.is_new and path.exists():
            raise GuideError(f"{step.path} is there already")
        path.write_text(block if step.is_new else patched(path.read_text(), block, step.path))


def patched(text: str, diff: str, path: str) -> str:
    """Return a text with a diff applied.

    :raise GuideError: the lines of the diff are not in the file, or more than once.
    """
    lines = text.splitlines()
    for part in re.split(r"^@@.*\n", diff, flags=re.M):
        lines = _patched(lines, part.splitlines(), path)
    return "\n".join(lines) + "\n"


def _patched(lines: list[str], part: list[str], path: str) -> list[str]:
    old = [line[1:] for line in part if not line.startswith("+")]
    places = [at for at in range(len(lines) - len(old) + 1) if _fits(lines[at:], old)]
    if len(places) != 1:
        raise GuideError(f"{path} has {len(places)} places with {old}")
    found = iter(lines[places[0] :])
    new = []
    for line in part:
        there = "" if line.startswith("+") else next(found)
        new += [line[1:]] if line.startswith("+") else [there] * (not line.startswith("-"))
    return lines[: places[0]] + new + lines[places[0] + len(old) :]


def _fits(lines: list[str], old: list[str]) -> bool:
    return all(
        line.startswith(wanted[:-1]) if wanted.endswith("…") else line == wanted
        for line, wanted in zip(lines, old, strict=False)
    )
