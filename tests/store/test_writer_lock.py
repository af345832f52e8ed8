"""Processes take turns at writing, and one that dies holds nobody up."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.store import Store, StoreBusy
from app.store.writer_lock import WriterLock
from config import ROOT

HOLDER = """
import sys, time
from pathlib import Path
from app.store.writer_lock import WriterLock
with WriterLock(Path(sys.argv[1])).mine(time.monotonic() + 5) as is_mine:
    print(is_mine, flush=True)
    time.sleep(60)
"""


def hold(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    holder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "True\n"
    return holder


def test_turn_of_another_process_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    with hold(tmp_path / "turn") as holder:
        with WriterLock(tmp_path / "turn").mine(time.monotonic() + 0.05) as is_mine:
            assert not is_mine
        holder.kill()


def test_turn_comes_when_its_holder_is_killed(tmp_path: Path) -> None:
    with hold(tmp_path / "turn") as holder:
        holder.kill()
        with WriterLock(tmp_path / "turn").mine(time.monotonic() + 30) as is_mine:
            assert is_mine


def test_writer_whose_turn_does_not_come_is_told_that_the_store_is_busy(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    store.open()
    with hold(tmp_path / "store.sqlite3.turn") as holder:
        with pytest.raises(StoreBusy), store.write(0.05):
            pass
        holder.kill()
    with store.write(30):
        pass
    store.dispose()


def test_folder_without_a_place_for_the_lock_leaves_it_to_sqlite(tmp_path: Path) -> None:
    with WriterLock(tmp_path / "missing" / "turn").mine(0.0) as is_mine:
        assert is_mine


def test_turn_is_given_back(tmp_path: Path) -> None:
    first, second = WriterLock(tmp_path / "turn"), WriterLock(tmp_path / "turn")
    with first.mine(time.monotonic()) as is_mine, second.mine(time.monotonic()) as is_theirs:
        assert is_mine and not is_theirs
    with second.mine(time.monotonic()) as is_theirs:
        assert is_theirs
