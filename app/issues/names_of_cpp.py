"""Names of C++ functions without their arguments, which differ between machines for the same bug.

shop::Cart<unsigned long>::add(unsigned long, int) const  ->  shop::Cart<T>::add
?A0x3f9a1c2b::pay                                         ->  (anonymous namespace)::pay
"""

from __future__ import annotations

import re

# How MSVC, GCC and debuggers write an anonymous namespace.
_UNNAMED = re.compile(
    r"\?A0x[0-9a-fA-F]{1,16}(?=::)|`anonymous[- ]namespace'|\{anonymous\}|_GLOBAL__N_\w{0,32}(?=::)"
)
_INLINE_NAMESPACES = re.compile(r"(?<=\bstd::)(?:__1|__cxx11|__ndk1|__fs|__Cr)::")
_END = re.compile(
    r"\)(?: (?:const|volatile|noexcept)| ?&{1,2}| \[clone [^\]]{0,100}\]| \(\.[\w.]{1,60}\)){0,6}$"
)
# A function outside a namespace: no Swift label inside the parentheses, no space before them.
_GLOBAL = re.compile(r"[\w~]{1,200}\((?:[\w\s*&,<>]|::){0,300}\)(?: const)?")


def without_arguments(name: str) -> str:
    """Return a function's name without parameters, and with ``T`` for template arguments.

    :param name: of bounded length, in any language; a name that is not C++ or Rust is unchanged.
    """
    if "::" not in name and not _GLOBAL.fullmatch(name):
        return name
    name = _INLINE_NAMESPACES.sub("", _UNNAMED.sub("(anonymous namespace)", name))
    return _without_parameters(_without_templates(name))


def _without_templates(name: str) -> str:
    kept, depth = "", 0
    for position, char in enumerate(name):
        is_operator = kept.endswith(("operator", "operator<", "operator-"))
        if char == "<" and (depth or (not is_operator and kept[-1:].isalnum())):
            kept += "" if depth else "<T>"
            depth += 1
        elif char == ">" and depth:
            depth -= name[position - 1] != "-"
        elif not depth:
            kept += char
    return kept


def _without_parameters(name: str) -> str:
    if not (end := _END.search(name)):
        return name
    depth = 0
    for position in range(end.start(), 0, -1):
        depth += {")": 1, "(": -1}.get(name[position], 0)
        if depth == 0:
            before = name[:position]
            is_name = before[-1:].isalnum() or before.endswith((">", "_", "operator()", "'"))
            return before if is_name and not before.endswith("operator") else name
    return name
