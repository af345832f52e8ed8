"""What a list reads of its issues says the same as the figures that are read one by one."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.inputs.period import PERIODS, Range, period_range
from app.issues.figures import figures_of
from app.issues.listed import packed_of, unpacked
from app.issues.over_time import roll_up
from app.issues.tables import issues
from app.stats.windows import window_of
from app.store import utc_now
from tests.conftest import parts_of
from tests.issues.test_merging import send

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("most_users", [3, 10_000])
def test_packed_figures_are_those_of_the_issue(
    app: Flask, monkeypatch: pytest.MonkeyPatch, most_users: int
) -> None:
    for module in ("figures", "listed"):
        monkeypatch.setattr(f"app.issues.{module}.MAX_USERS", most_users)
    chosen, now, store = random.Random(7), utc_now(), parts_of(app).store
    for _ in range(40):
        at = now - HOUR * chosen.choice([chosen.randrange(200), chosen.randrange(40 * 24)])
        user = chosen.choice([None, 1, 2, 3, 4])
        send(app, chosen.randrange(3), user, timestamp=at.isoformat())
    roll_up(store, now)
    past = [Range("", now - 30 * HOUR, now - 5 * HOUR, now), Range("", now - 500 * HOUR, now, now)]
    for range_ in [*(period_range(name, now) for name in PERIODS), *past]:
        window = window_of(range_).without_before()
        with store.read() as conn:
            rows = conn.execute(select(issues)).all()
            packed = packed_of(conn, [row.id for row in rows], window)
            expected = figures_of(conn, [row.id for row in rows], range_)
        found = {row.id: unpacked(row, packed[row.id], window, range_) for row in rows}
        assert found == expected, range_
