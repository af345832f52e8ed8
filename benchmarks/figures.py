"""The size and structure of app/: lines, function lengths, rooms, floors, duplicates.

A room is a package or a module directly in app/. It is one floor above the highest room that it
imports. Only lines of code count: no docstrings, comments or blank lines. Two places are duplicates
if twelve lines in a row have the same shape, apart from names and constants. No check uses these
figures.
"""

from __future__ import annotations

import ast
import io
import statistics
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from benchmarks.usage import only_help

APP = Path(__file__).resolve().parent.parent / "app"
DUPLICATE_LINES = 12
# Lines whose shape has at most this many characters are ignored in the search for duplicates.
THIN = 3
_NO_CODE = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
_NO_CODE += (tokenize.COMMENT, tokenize.ENDMARKER)


def docstring_lines(tree: ast.AST) -> set[int]:
    """Return the numbers of all lines of docstrings."""
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, holders) and ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            found |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return found


def shapes(source: str) -> dict[int, str]:
    """Return the shapes of the lines of code by number: all names look alike, all constants too."""
    lines: dict[int, list[str]] = defaultdict(list)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in _NO_CODE:
            continue
        is_name = token.type == tokenize.NAME and not _is_keyword(token.string)
        shape = "n" if is_name else "c" if token.type in (2, 3) else token.string
        for number in range(token.start[0], token.end[0] + 1):
            lines[number].append(shape)
    for number in docstring_lines(ast.parse(source)):
        lines.pop(number, None)
    return {number: " ".join(words) for number, words in sorted(lines.items())}


def _is_keyword(word: str) -> bool:
    return word in {"def", "class", "return", "if", "else", "for", "in", "with", "from", "import"}


def function_lengths(trees: dict[Path, ast.Module]) -> list[int]:
    """Return the number of lines of each function without its docstring, in ascending order."""
    found = []
    for tree in trees.values():
        taken = docstring_lines(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = set(range(node.lineno, (node.end_lineno or node.lineno) + 1)) - taken
                found.append(len(lines))
    return sorted(found)


def imports(trees: dict[Path, ast.Module]) -> dict[str, set[str]]:
    """Return the rooms that each room imports."""
    rooms: dict[str, set[str]] = defaultdict(set)
    for path, tree in trees.items():
        room = room_of(path)
        for node in ast.walk(tree):
            for module in _imported(node):
                parts = module.split(".")
                if parts[0] == "app" and len(parts) > 1 and parts[1] != room:
                    rooms[room].add(parts[1])
        rooms[room] |= set()
    return rooms


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module == "app":
        yield from (f"app.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module or ""


def room_of(path: Path) -> str:
    """Return the room of a file."""
    return path.relative_to(APP).parts[0].removesuffix(".py")


def floors(rooms: dict[str, set[str]]) -> tuple[int, list[str]]:
    """Return the number of floors, and the rooms that are in a circle of imports or above one."""
    floor: dict[str, int] = {}
    left = {room: {other for other in below if other in rooms} for room, below in rooms.items()}
    while ready := [room for room, below in left.items() if below <= set(floor)]:
        for room in ready:
            floor[room] = 1 + max((floor[other] for other in left[room]), default=0)
            del left[room]
    return max(floor.values(), default=0), sorted(left)


def duplicates(trees: dict[Path, ast.Module], files: dict[Path, dict[int, str]]) -> list[str]:
    """Return the pairs of functions and classes that share twelve lines in a row of one shape."""
    places: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for path, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                texts = _lines_of(node, files[path])
                for start in range(len(texts) - DUPLICATE_LINES + 1):
                    run = tuple(texts[start : start + DUPLICATE_LINES])
                    places[run].add(f"{path.relative_to(APP)}:{node.name}")
    pairs = {tuple(sorted(pair)) for found in places.values() for pair in combinations(found, 2)}
    return sorted(f"{one} ~ {other}" for one, other in pairs)


def _lines_of(node: ast.FunctionDef | ast.ClassDef, lines: dict[int, str]) -> list[str]:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    numbers = range(first, (node.end_lineno or first) + 1)
    # Lines of punctuation or of one name are in all functions.
    return [lines[number] for number in numbers if len(lines.get(number, "")) > THIN]


def main() -> None:
    """Print the figures."""
    only_help(__doc__)
    sources = {path: path.read_text() for path in sorted(APP.rglob("*.py"))}
    trees = {path: ast.parse(source) for path, source in sources.items()}
    files = {path: shapes(source) for path, source in sources.items()}
    lengths = function_lengths(trees)
    rooms = imports(trees)
    count, circle = floors(rooms)
    loose = sorted(path.name for path in APP.glob("*.py") if path.name != "__init__.py")
    print(f"lines of code     {sum(map(len, files.values())):,} in {len(files)} files")
    print(f"function length   median {statistics.median(lengths):.0f}, p90 {_p90(lengths)}")
    print(f"loose modules     {len(loose)}: {', '.join(loose)}")
    print(f"rooms, floors     {len(rooms)}, {count}; in circles: {', '.join(circle) or 'none'}")
    pairs = duplicates(trees, files)
    print(f"duplicates        {len(pairs)} pairs of {DUPLICATE_LINES} lines or more")
    for pair in pairs:
        print(f"                  {pair}")


def _p90(lengths: list[int]) -> int:
    return lengths[int(len(lengths) * 0.9)]


if __name__ == "__main__":
    main()
