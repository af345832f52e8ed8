"""Comments in Markdown: what they may have, and what stays text."""

from __future__ import annotations

import pytest

from app.admin.comment_text import markdown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- one\n- `two`", "<ul>\n<li>one</li>\n<li><code>two</code></li>\n</ul>\n"),
        ("first\nsecond", "<p>first<br />\nsecond</p>\n"),
        (
            "[fix](https://git.example.org/1)",
            '<p><a href="https://git.example.org/1" rel="noopener noreferrer nofollow">fix</a>'
            "</p>\n",
        ),
    ],
)
def test_comment_is_markdown(text: str, expected: str) -> None:
    assert markdown(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![a](https://elsewhere.example/pixel.png)",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](data:text/html,x)",
        "<javascript:alert(1)>",
        '[a](https://x.example/" onclick="alert(1))',
        "[a]: javascript:alert(1)\n\n[a]",
    ],
)
def test_nothing_in_a_comment_runs_or_is_loaded(text: str) -> None:
    html = str(markdown(text)).lower()
    for part in ("<script", "<img", 'href="javascript', 'href="data', '" onclick'):
        assert part not in html


def test_comment_of_any_nesting_is_bounded() -> None:
    assert "<blockquote>" in markdown("> " * 5000 + "x" + "*" * 5000 + "[" * 5000)
