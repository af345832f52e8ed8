"""Queries for events."""

from __future__ import annotations

from flask import Flask

from app.events.queries import newest_of_projects
from tests.admin.hostile import insert
from tests.conftest import parts_of
from tests.delivery.shop import add_project


def test_newest_events_are_those_of_the_projects_that_are_named(app: Flask) -> None:
    for project_id in (2, 3):
        add_project(app, project_id, None)
    for project_id in (1, 2, 3, 1, 3, 3):
        insert(app, {"message": "one", "level": "error"}, project_id=project_id)
    with parts_of(app).store.read() as conn:

        def newest(projects: list[int], limit: int) -> list[int]:
            return [row.project_id for row in newest_of_projects(conn, projects, limit)]

        assert newest([1, 2], 2) == [1, 2]
        assert newest([1, 2], 5) == [1, 2, 1]
        assert newest([], 5) == []
