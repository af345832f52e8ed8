"""Function names in browsers: Chrome, Firefox and Safari name the same function differently.

Chrome    Cart.open   Object.open   HTMLButtonElement.open   (nothing)
Firefox   open        open          Cart/this.open<          open/<
Safari    open        open          open                     (nothing)
"""

from __future__ import annotations

import re

from app.protocol.stack import MAX_PATH, SCRIPT_FILE, Named, is_script

_ADDRESS = re.compile(r"(?:blob:)?https?://|webpack(?:-internal)?://|turbopack://")
# The address of a page with inline scripts: it has no extension, or the extension of a page.
_PAGE = re.compile(
    r"(?:(?:blob:)?https?://[^?#]{0,1000}?/[^/.?#]{0,300}"
    r"|(?:https?|file)://[^?#]{0,1000}?\.(?:x?html?|php|aspx?|jsp))(?=[?#]|$)",
    re.IGNORECASE,
)
_RECEIVERS = re.compile(r"^(?:[\w$]{1,100}\.){1,20}(?=[\w$#])")


def is_page_or_script(frame: Named) -> bool:
    """Return whether the frame is JavaScript, of a script file or of an inline script in a page."""
    return is_script(frame) or bool(_PAGE.match(_address(frame)))


def is_in_browser(frame: Named) -> bool:
    """Return whether the frame may be from a browser, which then named the function."""
    address = _address(frame)
    return bool(_ADDRESS.match(address) or _PAGE.match(address)) and is_page_or_script(frame)


def without_receiver(function: str) -> str:
    """Return a function's name without its receiver, which only Chrome reports."""
    return _RECEIVERS.sub("", function)


def innermost(name: str) -> str:
    """Return the innermost function of Firefox's nested name, empty if that one has no name."""
    if "/" not in name or SCRIPT_FILE.search(name):
        return name
    last = name.rpartition("/")[2].rstrip("<")
    return "" if "[" in last else last


def _address(frame: Named) -> str:
    return (frame.abs_path or frame.filename or "")[:MAX_PATH]
