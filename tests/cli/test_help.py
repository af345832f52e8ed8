"""Asking for help does nothing: no file is made, nothing runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask import Flask

from config import ROOT

pytestmark = pytest.mark.one_database


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def output_of(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder / "data"), "SENTRY_DEBUG": "off"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )


# In one process, since each start takes a second: what `flask` loads, asked again and again.
ASK = """
import os, sys
os.environ["FLASK_RUN_FROM_CLI"] = "true"
from flask.cli import FlaskGroup, ScriptInfo
import wsgi
for line in sys.stdin:
    arguments = line.split()
    info = ScriptInfo(create_app=lambda: wsgi.app)
    try:
        FlaskGroup(create_app=lambda: wsgi.app).main(arguments, "flask", obj=info)
    except SystemExit as end:
        assert end.code in (0, 2), (arguments, end.code)
"""


def test_help_of_no_command_makes_a_file(app: Flask, tmp_path: Path) -> None:
    paths = [path for path in commands(app.cli)]
    assert ("project", "create") in paths and ("verify",) in paths
    asked = [(*path, "--help") for path in paths] + [path for path in paths if len(path) < 1]
    environ = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path / "none"),
        "SENTRY_DEBUG": "off",
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        input="\n".join(" ".join(path) for path in [*asked, ("project",), ("user",), ("token",)]),
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: flask") >= len(paths)
    assert not (tmp_path / "none").exists()


def test_command_that_needs_the_store_opens_it(tmp_path: Path) -> None:
    done = output_of(tmp_path, "-m", "flask", "--app", "wsgi", "project", "list")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "devenviro.sqlite3").exists()


# Their modules import nearly the whole application, which one process does once for all.
ASK_BENCHMARKS = """
import os, runpy, sys
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    print("asked", name)
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        assert not end.code, name
    assert not os.path.exists(os.environ["DATA_DIR"]), name
"""


def test_help_of_a_benchmark_runs_nothing(tmp_path: Path) -> None:
    files = sorted((ROOT / "benchmarks").glob("*.py"))
    names = [path.stem for path in files if "__main__" in path.read_text()]
    names = ["benchmarks", *(f"benchmarks.{name}" for name in names if name != "__main__")]
    done = output_of(tmp_path, "-c", ASK_BENCHMARKS, *names)
    assert done.returncode == 0, done.stderr
    answers = re.split(r"^asked ", done.stdout, flags=re.M)[1:]
    assert len(answers) == len(names)
    assert all("usage:" in answer for answer in answers), done.stdout
