"""Comments in Markdown, as HTML that cannot do more than show text and lead to other pages.

The parser takes no HTML (it becomes text), and no address but those of pages and mail. Pictures
become links: they would tell another server who reads the comment.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from app.admin.remembered import Remembered

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_remembered = Remembered(1_000_000)


def markdown(text: str) -> Markup:
    """Return the HTML of a comment."""
    html = _remembered.get(text)
    if html is None:
        html = _parser().render(text)
        _remembered.put(text, html)
    return Markup(html)  # noqa: S704 -- the parser escapes all text, and takes no HTML


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # Most processes never show a comment.

    # A line end is a line end, as people write in a small field.
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 20})
    parser.disable("image").enable("strikethrough")
    parser.validateLink = lambda url: url.startswith(("https://", "http://", "mailto:", "/"))  # type: ignore[method-assign]
    parser.add_render_rule("link_open", _link)
    return parser


def _link(self: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return str(self.renderToken(tokens, index, options, env))
