"""URLs that are built without Werkzeug are those that Werkzeug builds."""

from __future__ import annotations

import pytest
from flask import Flask, url_for
from werkzeug.routing import BuildError

pytestmark = pytest.mark.one_database

FILES = ["css/app.css", "js/app.js", "icon.svg", "css/none.css", "css//app.css", "css/../icon.svg"]
WORDS = [*FILES, "a1", "0" * 32, "a b", "ä", "a/b", "..", "", "%2e", "<b>", '"', 5]
NUMBERS = [0, 7, 2**70, -1, True, "7", "x"]


def both(app: Flask, endpoint: str, **values: object) -> tuple[object, object]:
    def ask(build: object) -> object:
        try:
            return build(endpoint, **values)
        except (BuildError, ValueError) as error:
            return type(error)

    return ask(app.url_for), ask(lambda *args, **given: Flask.url_for(app, *args, **given))


@pytest.mark.parametrize("prefix", ["", "/errors", "/errors/"])
def test_every_route_has_the_url_that_werkzeug_builds(app: Flask, prefix: str) -> None:
    with app.test_request_context("/", environ_overrides={"SCRIPT_NAME": prefix}):
        for rule in app.url_map.iter_rules():
            for value in (*WORDS, *NUMBERS):
                values = dict.fromkeys(rule.arguments, value)
                ours, theirs = both(app, rule.endpoint, **values)
                assert ours == theirs, (rule.endpoint, value)


def test_options_and_further_values_are_kept(app: Flask) -> None:
    with app.test_request_context("/"):
        assert url_for("admin.list_of_issues", q="a&b") == "/admin/issues?q=a%26b"
        assert url_for("admin.list_of_issues", q=None) == "/admin/issues"
        assert url_for("admin.show_issue", issue_id=7, _anchor="history").endswith("/7#history")
        assert url_for("admin.start", _external=True) == "http://localhost/admin/"
        for endpoint in ("admin.nowhere", "nowhere"):
            assert both(app, endpoint) == (BuildError, BuildError)
        assert both(app, "admin.show_issue") == (BuildError, BuildError)
