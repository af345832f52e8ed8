"""The tree of a trace and the rows of its page, against an oracle and against hostile clients."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from app.admin.trace_rows import Line, More, lines_of
from app.protocol.envelope import Envelope, Item
from app.protocol.span import read_spans
from app.traces import folding
from app.traces.folding import Folded, fold
from app.traces.reading import TraceSpan
from app.traces.tree import Node, Tree, make_tree
from tests.traces.steps import BEGAN, TRACE, span, span_id, stream, streamed, transaction


def tree_of(*items: Item) -> Tree:
    """Return the tree of the items of one envelope each, all of one project."""
    return make_tree(
        [
            TraceSpan(1, number, one)
            for number, item in enumerate(items)
            for one in read_spans(Envelope({}, [item]), TRACE)
        ]
    )


def named(tree: Tree) -> dict[str | None, Node]:
    return {node.span.span_id: node for node in tree.nodes}


def random_spans(count: int, seed: int) -> list[dict[str, Any]]:
    """Return spans whose times are whole milliseconds, some of them outside of their parents'."""
    chance = random.Random(seed)
    spans = []
    for number in range(2, count + 2):
        parent = chance.randrange(max(1, number - 12), number)
        length = chance.choice([0, 1, 5, 20, chance.randrange(80)])
        start = chance.randrange(100)
        spans.append(span(number, parent, start, length, op="f", description=f"{number}"))
    chance.shuffle(spans)
    return spans


@pytest.mark.parametrize("seed", range(4))
def test_self_time_is_what_no_child_covers(seed: int) -> None:
    spans = random_spans(120, seed)
    tree = tree_of(transaction(1, spans, ms=180))
    taken = {
        one["span_id"]: {int(1000 * at + 0.5) for at in (one["start_timestamp"], one["timestamp"])}
        for one in spans
    }

    def milliseconds(node: Node) -> set[int]:
        """Return the milliseconds in which a span ran."""
        assert node.span.start is not None and node.span.end is not None
        return set(range(round(node.span.start * 1000), round(node.span.end * 1000)))

    assert len(tree.nodes) == len(taken) + 1
    for node in tree.nodes:
        own = milliseconds(node)
        for child in node.children:
            own -= milliseconds(child)
        assert node.self_ms == pytest.approx(len(own), abs=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_slowest_path_goes_to_the_longest_child(seed: int) -> None:
    spans = random_spans(60, seed)
    tree = tree_of(transaction(1, spans, ms=180))
    expected, at = [], span_id(1)
    length = {one["span_id"]: one["timestamp"] - one["start_timestamp"] for one in spans}
    while at:
        expected.append(at)
        below = [one["span_id"] for one in spans if one["parent_span_id"] == at]
        at = max(below, key=lambda one: round(length[one], 6), default="")
    path = [node for node in tree.nodes if node.is_slowest]
    assert [node.span.ms for node in path] == [
        pytest.approx(180 if one == span_id(1) else length[one] * 1000, abs=0.01)
        for one in expected
    ]


def test_span_whose_parent_is_not_stored_stands_below_its_transaction() -> None:
    inside = [span(2, 77), span(3, None), span(4, 2)]
    tree = tree_of(transaction(1, inside, parent=88), stream([streamed(5, 99)]))
    of = named(tree)
    assert [node.span.span_id for node in tree.roots] == [span_id(1), span_id(5)]
    assert of[span_id(2)].parent is of[span_id(3)].parent is of[span_id(1)]
    assert of[span_id(4)].parent is of[span_id(2)]
    missing = {node.span.span_id for node in tree.nodes if node.problem == "missing"}
    assert missing == {span_id(1), span_id(2), span_id(5)}


def test_circles_are_opened_and_every_span_has_one_place() -> None:
    spans = [streamed(1, 2), streamed(2, 3), streamed(3, 1), streamed(4, 3), streamed(5, 5)]
    tree = tree_of(stream(spans))
    assert sorted(node.span.span_id or "" for node in tree.nodes) == [
        span_id(n) for n in range(1, 6)
    ]
    assert [node.span.span_id for node in tree.roots] == [span_id(1), span_id(5)]
    assert tree.count("circle") == 2
    assert tree.roots[0].size == 4


def test_span_outside_of_the_time_of_its_parent_is_noted() -> None:
    inside = [span(2, 1, 10, 10), span(3, 1, 95, 30), span(4, 1, -50, 10), span(5, 1, 0, 100.5)]
    tree = tree_of(transaction(1, inside, ms=100))
    outside = {node.span.span_id for node in tree.nodes if node.is_outside}
    assert outside == {span_id(3), span_id(4)}
    assert (tree.roots[0].last - tree.roots[0].first) * 1000 == pytest.approx(175, abs=0.01)


def test_parent_is_looked_for_in_the_own_project_first() -> None:
    (root,) = read_spans(Envelope({}, [stream([streamed(1, None)])]), TRACE)
    (inner,) = read_spans(Envelope({}, [stream([streamed(2, 1)])]), TRACE)
    (other,) = read_spans(Envelope({}, [stream([streamed(3, 2)])]), TRACE)
    given = [(1, root), (2, root), (2, inner), (3, other)]
    tree = make_tree([TraceSpan(project, n, one) for n, (project, one) in enumerate(given)])
    by_project = {(node.project_id, node.span.span_id): node for node in tree.nodes}
    assert by_project[2, span_id(2)].parent is by_project[2, span_id(1)]
    assert by_project[3, span_id(3)].parent is by_project[2, span_id(2)]


def test_times_that_are_none_leave_a_span_without_duration() -> None:
    odd = [float("nan"), "x", None, [], 1e300, -5, True]
    spans = [span(number, 1) | {"timestamp": odd[number - 2]} for number in range(2, 9)]
    spans.append(span(9, 1) | {"start_timestamp": float("inf")})
    tree = tree_of(transaction(1, spans))
    assert len(tree.nodes) == 9
    unknown = [node for node in tree.nodes if node.span.ms is None]
    assert len(unknown) == 8 and all(node.self_ms is None for node in unknown)
    assert tree.roots[0].self_ms == pytest.approx(100, abs=0.01)
    assert len(lines_of(fold(tree), {})) >= 1


# What clients send as seconds: before any clock, the end of time as milliseconds, years from now.
WRONG = [(0.0, 5.0), (253402300799.98, 253402300799.99), (BEGAN + 4e9, BEGAN + 4e9 + 7)]


@pytest.mark.parametrize("wrong", [*WRONG, (0.0, 99999999999.0)])
@pytest.mark.parametrize("make", [span, streamed])
def test_wrong_clock_squeezes_no_other_bar(
    wrong: tuple[float, float], make: Callable[..., dict[str, Any]]
) -> None:
    """Neither of spans, even if they are more than the others, nor of another transaction."""
    start, end = wrong
    times = {"start_timestamp": start, "timestamp": end, "end_timestamp": end}
    odd = [make(number, 1) | times for number in (2, 3, 4)]
    right = transaction(1, [span(5, 1, 20, 30, description="right")], ms=100)
    elsewhere = transaction(6, [], parent=1, start_timestamp=start, timestamp=end)
    inside = transaction(1, [*odd, *right.payload["spans"]])
    for items in ([right, stream(odd)] if make is streamed else [inside], [elsewhere, right]):
        tree = tree_of(*items)
        folded = fold(tree)
        assert (folded.last - folded.first) * 1000 == pytest.approx(100, abs=0.01)
        assert folded.first == BEGAN
        of = named(tree)
        bars = {
            line.row.node.span.span_id: line.bar
            for line in lines_of(folded, {})
            if isinstance(line, Line)
        }
        assert bars[span_id(1)] == (0, 1000)
        assert bars[span_id(5)] == (200, 300)
        assert not any(bar for key, bar in bars.items() if key not in {span_id(1), span_id(5)})
        assert of[span_id(1)].self_ms == pytest.approx(70, abs=0.01)
        assert not any(node.is_outside for node in tree.nodes)


@pytest.mark.parametrize("odd", [{"span_id": 7}, {"parent_span_id": {}}, {"op": []}, {"data": 3}])
def test_values_of_wrong_types_are_left_out(odd: dict[str, Any]) -> None:
    tree = tree_of(transaction(1, [span(2, 1) | odd, None, 7, "x"]))  # type: ignore[list-item]
    assert [node.size for node in tree.roots] == [2]


def rows_in(rows: list[folding.Row]) -> int:
    return sum(1 + rows_in(row.rows) for row in rows)


def test_repeated_spans_share_a_row() -> None:
    spans = [
        span(number, 1, number, 1, op="db", description=f"SELECT * FROM t WHERE id = {number}")
        for number in range(2, 216)
    ]
    spans += [span(300, 1, 0.5, 90, op="http.client", description="GET /prices")]
    spans += [
        span(301 + n, 1, n / 2 + 0.2, 2, op="db", description=f"SELECT '{n}' IN ({n}, {n})")
        for n in (1, 2)
    ]
    tree = tree_of(transaction(1, spans))
    folded = fold(tree)
    below = folded.rows[0].rows
    assert [len(row.nodes) for row in below] == [1, 1, 1, 214]
    many = next(row for row in below if row.is_group)
    assert many.ms == pytest.approx(214, abs=0.01)
    assert (len(many.rows), many.left) == (10, 204)
    lines = [line for line in lines_of(folded, {}) if isinstance(line, Line)]
    (shown,) = [line for line in lines if line.row is many]
    assert (shown.words, shown.is_open) == ("SELECT * FROM t WHERE id = ?", False)
    alone = fold(tree, many.node, alike=True)
    assert [len(row.nodes) for row in alone.rows] == [1] * 214


def places(lines: list[Line | More], folded: Folded) -> Iterator[str]:
    """Yield the addresses that a page leads to."""
    yield from (line.address for line in lines)
    if folded.left and folded.top is None:
        yield f"?after={folded.after}"


@pytest.mark.parametrize("kind", ["wide", "deep", "random", "loose", "repeated", "bushy"])
def test_every_span_can_be_reached_and_no_page_is_larger_than_the_bound(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(folding, "MAX_ROWS", 40)
    monkeypatch.setattr(folding, "MAX_CHILDREN", 15)
    monkeypatch.setattr(folding, "MAX_DEPTH", 6)
    count = 400
    parents = {
        "wide": lambda number: 1,
        "deep": lambda number: number - 1,
        "random": lambda number: random.Random(number).randrange(max(1, number - 50), number),
        "loose": lambda number: None,
        "bushy": lambda number: 1 + number // 10,
        "repeated": lambda number: 1 + number % 7 if number > 10 else 1,
    }[kind]
    # Of letters, since spans that differ in numbers only are alike.
    names = [
        "same" if kind == "repeated" else f"{'ab'[n % 2]}{chr(97 + n % 23)}{'x' * (n // 9)}"
        for n in range(count)
    ]
    spans = [streamed(n, parents(n), n, 5, name=names[n]) for n in range(2, count)]
    tree = tree_of(stream([streamed(1, None, 0, 400), *spans]))
    seen: set[str | None] = set()
    waiting, known = [""], {""}
    while waiting:
        given = {name: text for name, (text,) in parse_qs(waiting.pop()[1:]).items()}
        top = tree.find(given["span"]) if "span" in given else None
        after = int(given.get("after", 0))
        folded = fold(tree, top, alike="alike" in given, after=after)
        assert rows_in(folded.rows) <= 40
        lines = lines_of(folded, {1: "Shop"})
        for line in lines:
            if isinstance(line, Line):
                assert line.row.depth <= 6
                seen |= {line.row.node.span.span_id} if not line.row.is_group else set()
        assert len(lines) <= 50  # A few say that there are more.
        ends = sum(line.ends for line in lines)
        assert ends == sum(isinstance(line, Line) and line.is_open is not None for line in lines)
        for address in places(lines, folded):
            if address and address not in known:
                known.add(address)
                waiting.append(address)
        if top and folded.left:
            more = "&alike=1" if "alike" in given else ""
            address = f"?span={given['span']}{more}&after={folded.after}"
            if address not in known:
                known.add(address)
                waiting.append(address)
    assert seen == {span_id(number) for number in range(1, count)}


def test_deep_and_large_traces_do_not_recurse() -> None:
    chain = tree_of(stream([streamed(n, n - 1 or None) for n in range(5000, 0, -1)]))
    assert chain.roots[0].size == 5000
    folded = fold(chain)
    assert rows_in(folded.rows) == folding.MAX_DEPTH + 1
    lines = lines_of(folded, {})
    assert isinstance(lines[-1], Line) and lines[-1].below == "4,969 spans below"
    loose = tree_of(
        stream(
            [
                streamed(n, 10**6, name=f"{n:b}".replace("1", "a").replace("0", "b"))
                for n in range(1, 3000)
            ]
        )
    )
    assert rows_in(fold(loose).rows) == folding.MAX_ROWS
    assert loose.count("missing") == 2999
