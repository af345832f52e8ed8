"""Event data is somebody else's: no page fails on it, and none of it becomes markup."""

from __future__ import annotations

import random
import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape

from app.admin.curl import curl_of
from app.admin.highlight import highlight
from app.admin.languages import LANGUAGES
from app.admin.remembered import Remembered
from app.events.values import FOLD_CHARACTERS, as_text, pairs, show
from tests.admin.hostile import LINK, SCRIPT, insert, odd_events, script_event
from tests.feedback_envelopes import feedback_item, send

pytestmark = pytest.mark.one_database


def pages_of(client: FlaskClient, event_id: str) -> list[str]:
    issue = client.get(f"/api/events/{event_id}").json["issue_id"]
    return [
        "/admin/",
        "/admin/events",
        "/admin/issues",
        "/admin/releases",
        "/admin/releases/1",
        "/admin/feedback",
        f"/admin/issues/{issue}",
        f"/admin/events/{event_id}",
        f"/admin/events/{event_id}/raw",
        f"/admin/events/{event_id}.md",
        f"/admin/test-error?event={event_id}",
    ]


def test_script_in_every_field_stays_text(app: Flask, admin_client: FlaskClient) -> None:
    event_id = insert(app, script_event())
    said = {"name": SCRIPT, "contact_email": SCRIPT, "url": LINK, "source": SCRIPT}
    send(app, feedback_item(SCRIPT * 5, event_id, **said))
    for path in pages_of(admin_client, event_id):
        answer = admin_client.get(path)
        assert answer.status_code == 200, path
        if answer.mimetype == "text/html":
            assert "<script>" not in answer.text, path
            assert "<img" not in answer.text, path
            assert "<svg/" not in answer.text, path
            assert "1337" not in answer.text, path
            assert 'href="javascript:' not in answer.text, path


def test_wrong_types_anywhere_break_no_page(app: Flask, admin_client: FlaskClient) -> None:
    for payload in odd_events():
        event_id = insert(app, payload)
        for suffix in ("", "/raw", ".md"):
            answer = admin_client.get(f"/admin/events/{event_id}{suffix}")
            assert answer.status_code == 200, (payload, suffix)
    for path in ("/admin/", "/admin/events", "/admin/issues"):
        assert admin_client.get(path).status_code == 200


def test_enormous_event_makes_a_page_of_bounded_size(app: Flask, admin_client: FlaskClient) -> None:
    frame = {"function": "f", "filename": "a.py", "lineno": 1, "in_app": True}
    frame |= {"context_line": "x" * 900, "pre_context": ["y = (1, 'a')"] * 50}
    frame |= {"vars": {f"v{number}": "z" * 20 for number in range(200)}}
    exceptions = [{"type": "E", "stacktrace": {"frames": [frame] * 5}} for _ in range(100)]
    payload = {"exception": exceptions, "breadcrumbs": [{"message": "m" * 900}] * 2000}
    page = admin_client.get(f"/admin/events/{insert(app, payload)}").text
    assert "only in the raw JSON" in page
    assert len(page) < 4_000_000


@pytest.mark.parametrize(
    "lines",
    [
        ["", "", ""],
        ["a\rb", "\ufeffx", "\tc", "d\x0ce\u2028f"],
        ['"""', "</code>", "'''", '"""'],
        ["x" * 10_000, "\\"],
        ["\r\n", "\n\n"],
    ],
)
@pytest.mark.parametrize("language", ["python", "javascript", "html", "php", "text", "nonsense"])
def test_highlighting_keeps_every_line_and_character(lines: list[str], language: str) -> None:
    html = highlight(lines, language, start=1, marked=0)
    shown = re.findall(r'<span class="line-no">(.*?\d+)</span>(.*)\n</span>', html)
    assert len(shown) == len(lines)
    for line, (_, coloured) in zip(lines, shown, strict=True):
        text = unescape(re.sub(r'<span class="\w+">|</span>', "", coloured))
        assert text[:400] == line.replace("\r", "").replace("\n", "␊")[:400]


@pytest.mark.parametrize("language", [*LANGUAGES, "text"])
def test_source_never_becomes_markup(language: str) -> None:
    pieces = ['"', "'", '"""', "\\", "&", "<b>", "</span>", "#", "//", "/*", "*/", "--", "`", "@x"]
    pieces += ["def", "class", " ", "1", "&#34;", "&#39;", "amp;", "é", "<!--", "<script>alert(1)"]
    chance = random.Random(15)
    for _ in range(300):
        line = "".join(chance.choices(pieces, k=12))
        html = highlight([line, line], language, start=1, marked=0)
        bare = re.sub(r'<span class="[\w-]+"(?: data-marked)?>|</span>', "", html)
        assert bare == f"here: 1{escape(line)}\n2{escape(line)}\n"
        assert html.count("<span") == html.count("</span>")


def test_remembered_html_is_bounded_and_what_was_shown_last_is_kept() -> None:
    memory = Remembered(max_characters=1000)
    for number in range(100):
        memory.put(number, "y" * 90)
        assert memory.get(0) is not None  # Shown again each time.
        assert memory.characters <= 1000
    assert memory.get(99) is not None and memory.get(1) is None
    memory.put("huge", "z" * 2000)
    assert memory.get("huge") is None and memory.get(99) is not None
    assert memory.characters <= 1000


def test_body_that_is_remembered_is_that_of_the_event(
    app: Flask, admin_client: FlaskClient
) -> None:
    one, other = (insert(app, {"message": name, "extra": {"is": name}}) for name in ("abc", "def"))
    for event_id, own, foreign in [(one, "abc", "def"), (other, "def", "abc")] * 2:
        page = admin_client.get(f"/admin/events/{event_id}").text
        assert f'<span class="value">{own}</span>' in page and foreign not in page


@pytest.mark.parametrize(
    ("language", "line", "expected"),
    [
        ("python", "class Cart:", '<span class="k">class</span> <span class="nc">Cart</span>:'),
        ("python", "len(x.if) + 1", '<span class="nb">len</span>(x.if) + <span class="m">1</span>'),
        ("python", "x  # don't", 'x  <span class="c"># don&#39;t</span>'),
        ("java", r'x = "a \" b";', r'x = <span class="s">&#34;a \&#34; b&#34;</span>;'),
        ("rust", "x: &'a str, 'b'", '<span class="s">&#39;b&#39;</span>'),
        ("rust", "x: &'a str, 'b'", "x: &amp;&#39;a "),
        ("html", "<p>it's", '<span class="nt">&lt;p</span><span class="nt">&gt;</span>it&#39;s'),
        ("sql", "SELECT 1 -- if", '<span class="k">SELECT</span>'),
        ("text", "if it's 1", "if it&#39;s 1"),
    ],
)  # fmt: skip
def test_source_is_coloured_by_its_language(language: str, line: str, expected: str) -> None:
    assert expected in highlight([line], language, start=None, marked=1)


def test_string_over_several_lines_is_coloured_on_each() -> None:
    html = highlight(['x = """a', "b", 'c""" + y'], "python", start=1, marked=1)
    assert html.count('<span class="s">') == 3 and "</span> + y" in html


def test_long_value_is_folded_and_a_huge_one_is_cut() -> None:
    assert not show("x", "short").is_long
    assert show("x", "y" * (FOLD_CHARACTERS + 1)).is_long
    huge = show("x", "y" * 50_000)
    assert (len(huge.text), huge.left_out) == (10_000, 40_000)


def test_what_moves_the_cursor_is_not_shown() -> None:
    assert "\x1b" not in as_text("\x1b[2J") and "\u202e" not in as_text("\u202eabc")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"a": 1}, [("a", 1)]),
        ([["a", 1], "b"], [("a", 1), ("1", "b")]),
        ("text", [("", "text")]),
        (None, []),
        (0, [("", 0)]),
    ],
)
def test_members_are_read_in_whichever_form(members: object, expected: list[object]) -> None:
    assert pairs(members) == expected


def test_curl_quotes_what_a_shell_would_run_and_leaves_secrets_out() -> None:
    command = curl_of(
        {
            "method": "post",
            "url": "https://example.org/a?b=$(id)",
            "headers": [
                ["X-Name", "'; rm -rf / #"],
                ["Authorization", "[Filtered]"],
                ["Host", "x"],
            ],
            "data": {"a": "`id`"},
        }
    )
    assert command == (
        "curl \\\n  -X POST \\\n  -H 'X-Name: '\"'\"'; rm -rf / #' \\\n"
        "  --data-raw '{\"a\": \"`id`\"}' \\\n  'https://example.org/a?b=$(id)'"
    )
    assert curl_of({"url": "javascript:alert(1)"}) is None
    assert curl_of({"url": ["http://x"]}) is None
