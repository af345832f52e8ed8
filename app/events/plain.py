"""JSON values as people read them: no quotes and escapes; long ones as a tree, a line for a member.

SDKs send the variables of a frame as what ``repr`` made of them. Written as JSON, a list of such
texts would have Python inside of quotes.
"""

from __future__ import annotations

# A longer value is a tree.
MAX_LINE = 160
_WORDS = {None: "null", True: "true", False: "false"}


def plain(value: object) -> str:
    """Return an object or a list as text.

    :raise RecursionError: it is nested too deeply.
    """
    line = _line(value)
    return line if len(line) <= MAX_LINE else "\n".join(_tree(value, ""))


def _line(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_line(name)}: {_line(of)}' for name, of in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_line, value))}]"
    return _word(value)


def _tree(value: object, indent: str) -> list[str]:
    lines: list[str] = []
    for head, member in _members(value):
        line = _line(member)
        if len(indent) + len(head) + len(line) <= MAX_LINE or not isinstance(member, dict | list):
            lines.append(f"{indent}{head} {line}")
        else:
            lines += [f"{indent}{head}", *_tree(member, f"{indent}  ")]
    return lines


def _members(value: object) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [(f"{_word(name)}:", member) for name, member in value.items()]
    return [("-", member) for member in value] if isinstance(value, list) else [("", value)]


def _word(value: object) -> str:
    if isinstance(value, str):
        return value.replace("\n", "⏎") or "''"
    return _WORDS[value] if value is None or isinstance(value, bool) else str(value)
