"""What a first start shows: the address and the credentials, as the last lines of its log."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.accounts.first_start import held_back, print_first_credentials
from config import load_config
from tests.server_process import Server, serving, wait_for

NOTHING_SET = {"ADMIN_PASSWORD": "", "API_TOKEN": ""}


def last_lines(server: Server) -> list[str]:
    wait_for(lambda: "password  " in server.log.read_text())
    found = server.log.read_text().splitlines()
    first = next(number for number, line in enumerate(found) if "First start" in line)
    return [line.strip() for line in found[first:] if line.strip()]


@pytest.mark.parametrize("workers", [1, 2])
def test_address_and_credentials_are_the_last_lines_of_a_first_start(
    tmp_path: Path, workers: int
) -> None:
    environ = NOTHING_SET | {"WEB_CONCURRENCY": str(workers)}
    with serving(tmp_path / "data", **environ) as server:
        wait_for(lambda: server.log.read_text().count("Booting worker") == workers)
        lines = last_lines(server)
    starts = ["First start", "API token", "others", "user", "another", "admin pages", "password"]
    assert [line.startswith(start) for line, start in zip(lines, starts, strict=False)] == [
        True
    ] * len(starts)
    log = server.log.read_text().rstrip("\n").splitlines()
    shown_at = log.index(next(line for line in log if "admin pages" in line))
    assert log[shown_at].endswith(f"{server.url}/admin/") and "password" in log[shown_at + 1]


def test_start_without_new_credentials_ends_with_its_address(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        log = server.log.read_text()
    assert "First start" not in log
    assert f"at {server.url}/admin/" in log


def test_credentials_are_shown_at_once_when_the_start_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config({}, ENVIRONMENT="testing", DATA_DIR=tmp_path)
    with pytest.raises(OSError, match="the disk"), held_back():
        print_first_credentials(config, {"password": "shown once"})
        assert "shown once" not in capsys.readouterr().err
        raise OSError("the disk")
    assert "shown once" in capsys.readouterr().err


def test_credentials_are_shown_although_a_worker_never_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = load_config({}, ENVIRONMENT="testing", DATA_DIR=tmp_path)
    with held_back() as words:
        print_first_credentials(config, {"token": "shown once"})
    words.print_when(lambda: False, timeout_s=0)
    shown = ""

    def is_shown() -> bool:
        nonlocal shown
        shown += capsys.readouterr().err
        return "shown once" in shown

    wait_for(is_shown)
    words.print_now()
    assert "shown once" not in capsys.readouterr().err
