"""Static files: their fingerprints, how long browsers keep them, and compression."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient
from flask_bootstrap import Bootstrap5

from app.web import static_files
from app.web.static_files import FOR_A_YEAR, MAX_FILES, _read

pytestmark = pytest.mark.one_database

GZIP = {"Accept-Encoding": "gzip, br"}


def addresses(client: FlaskClient) -> list[str]:
    page = client.get("/admin/login").text
    return re.findall(r'(?:href|src)="(/(?:static|bootstrap)/[^"]+)"', page)


def test_every_file_of_a_page_has_a_fingerprint_and_is_kept_for_a_year(client: FlaskClient) -> None:
    found = addresses(client)
    assert {path.rpartition("/")[2].partition("?")[0] for path in found} == {
        "icon.svg", "bootstrap.min.css", "app.css", "theme.js", "app.js",
    }  # fmt: skip
    for path in found:
        answer = client.get(path)
        assert answer.status_code == 200 and "?v=" in path
        assert answer.headers["Cache-Control"] == FOR_A_YEAR
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_compressed_file_is_the_same_file(client: FlaskClient) -> None:
    for path in addresses(client):
        plain, packed = client.get(path), client.get(path, headers=GZIP)
        assert "Content-Encoding" not in plain.headers and "Accept-Encoding" in plain.vary
        assert plain.content_type == packed.content_type
        if "Content-Encoding" in packed.headers:
            assert gzip.decompress(packed.data) == plain.data
            assert plain.headers["ETag"] != packed.headers["ETag"]
            assert len(packed.data) < len(plain.data)
    bootstrap = next(path for path in addresses(client) if "bootstrap" in path)
    assert client.get(bootstrap, headers=GZIP).headers["Content-Encoding"] == "gzip"
    refused = client.get(bootstrap, headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert "Content-Encoding" not in refused.headers


@pytest.mark.parametrize("query", ["", "?v=", "?v=000000000000", "?v=%00", "?w=1"])
def test_file_without_the_right_fingerprint_is_asked_for_again(
    client: FlaskClient, query: str
) -> None:
    for path in addresses(client):
        answer = client.get(path.partition("?")[0] + query)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-cache" and answer.headers["ETag"]


def test_browser_that_has_the_file_gets_no_body(client: FlaskClient) -> None:
    path = addresses(client)[0]
    for address in (path, path.partition("?")[0]):
        etag = client.get(address).headers["ETag"]
        again = client.get(address, headers={"If-None-Match": etag})
        assert again.status_code == 304 and again.data == b""


def test_fingerprint_changes_with_the_content(tmp_path: Path) -> None:
    file = tmp_path / "own.css"
    app = Flask(__name__, static_folder=str(tmp_path), static_url_path="/static")
    Bootstrap5(app)
    static_files.init_app(app)

    def address() -> str:
        with app.test_request_context():
            return url_for("static", filename="own.css")

    file.write_text("a { color: red }")
    before = address()
    file.write_text("a { color: green }")
    after, client = address(), app.test_client()
    assert before != after
    assert client.get(after).text == "a { color: green }"
    assert client.get(after).headers["Cache-Control"] == FOR_A_YEAR
    old = client.get(before)
    assert old.text == "a { color: green }" and FOR_A_YEAR not in old.headers["Cache-Control"]


@pytest.mark.parametrize("name", ["no.css", "../config.py", "css/../../config.py", "", "css", "\0"])
def test_what_is_no_static_file_has_no_fingerprint_and_is_not_found(
    app: Flask, client: FlaskClient, name: str
) -> None:
    with app.test_request_context():
        assert "v=" not in url_for("static", filename=name)
    for query in ("", "?v=000000000000"):
        assert client.get(f"/static/{name}{query}").status_code in (404, 308)


def test_files_in_memory_are_bounded(client: FlaskClient) -> None:
    for number in range(3 * MAX_FILES):
        client.get(f"/bootstrap/static/css/bootstrap.min.css?v={number}")
    assert _read.cache_info().currsize <= MAX_FILES


def test_pages_are_not_compressed(client: FlaskClient) -> None:
    # They have the token against forged requests, and what others wrote.
    assert "Content-Encoding" not in client.get("/admin/login", headers=GZIP).headers
