"""Layouts: what the keys of a dict decide about it, remembered by its keys.

Frames, breadcrumbs and requests have the same keys in every event, so each dict with known keys is
walked without a look at its keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from app.protocol.scrubbing.budget import cost_of_dict
from app.protocol.scrubbing.places import CODE_KEYS
from app.protocol.scrubbing.verdicts import CODE

SEPARATOR = "\0"
# Larger dicts are data, and their keys differ. An event has some 30 layouts of some 100 characters;
# 2,048 of the longest take 4 MiB.
MAX_KEYS, MAX_LENGTH, MAX_LAYOUTS = 64, 2000, 2048
# With one of these keys, the values decide about other values.
_NAMES, _OAUTH = ("name", "key"), ("code", "signature", "hmac")


class Layout(NamedTuple):
    """The keys of a dict.

    :param keys: the joined keys.
    :param cost: the cost of the dict, without its values.
    :param line_keys: the keys of its source lines; ``None`` if the dict needs a closer look.
    """

    keys: str
    cost: int
    line_keys: frozenset[str] | None


def layout_of(value: dict[Any, Any], verdict_of: Callable[[Any], int]) -> Layout | None:
    """Return the layout of a dict, or ``None`` if it is not worth remembering.

    :param verdict_of: return the verdict on a key.
    """
    keys = joined_keys(value)
    if len(keys) > MAX_LENGTH or not all(type(key) is str for key in value):
        return None
    has_named_value = "value" in value and any(name in value for name in _NAMES)
    needs_look = has_named_value or any(name in value for name in _OAUTH)
    is_plain = not needs_look and all(not verdict_of(key) & ~CODE for key in value)
    line_keys = CODE_KEYS & value.keys() if is_plain else None
    return Layout(keys, cost_of_dict(len(value), keys), line_keys)


def joined_keys(value: dict[Any, Any]) -> str:
    """Return the keys of a dict as one text."""
    try:
        return SEPARATOR.join(value)
    except TypeError:  # keys in JSON are texts, but a log record may have other keys
        return SEPARATOR.join(key for key in value if isinstance(key, str))
