"""The exact index against a plain dictionary: whatever changes, it finds what is there."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np

from app.memory.scope import Scope
from app.memory.vectors.exact import NEVER, Changes, ExactIndex, StoredRow
from app.memory.vectors.index import Query, Space
from app.memory.vectors.packing import pack, unit

SPACE = Space("model", 8)


@dataclass
class FakeRows:
    """Rows of users in dictionaries, with the version that each change gets."""

    system: str = "fake"
    users: dict[str, dict[str, tuple[int, StoredRow]]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    read: int = 0

    def put(self, user: str, row: StoredRow) -> None:
        self._touch(user)
        self.users.setdefault(user, {})[row.id] = (self.versions[user], row)

    def remove(self, user: str, id: str) -> None:
        self._touch(user)
        del self.users[user][id]

    def changes(self, user: str, since: int) -> Changes:
        rows = [row for version, row in self.users.get(user, {}).values() if version > since]
        self.read += len(rows)
        return Changes(self.versions.get(user, 0), len(self.users.get(user, {})), rows)

    def total(self) -> int:
        return sum(map(len, self.users.values()))

    def _touch(self, user: str) -> None:
        self.versions[user] = self.versions.get(user, 0) + 1


def vector(numbers: random.Random) -> np.ndarray:
    return unit(np.array([[numbers.gauss(0, 1) for _ in range(8)]], np.float32))[0]


def row(id: str, numbers: random.Random, model: str = "model") -> StoredRow:
    kind = numbers.choice(["a", "b", None])
    tags = tuple(numbers.sample(["x", "y", "z"], numbers.randrange(3)))
    expires = numbers.choice([NEVER, 50, 150])
    agent, run = numbers.choice([None, "bot"]), numbers.choice([None, "1", "2"])
    return StoredRow(id, agent, run, model, pack(vector(numbers)), kind, tags, expires)


def expected(rows: FakeRows, query: Query) -> list[str]:
    found = []
    for _, one in rows.users.get(query.scope.user_id, {}).values():
        score = float(np.frombuffer(one.vector, "<f4") @ query.vector)
        is_wanted = query.kind in (None, one.kind) and (
            not query.tags or set(query.tags) & set(one.tags)
        )
        _, agent, run = query.scope
        is_wanted = is_wanted and agent in (None, one.agent_id) and run in (None, one.run_id)
        is_there = one.model == "model" and one.expires_at > query.now
        if is_wanted and is_there and score >= (query.min_score or -1):
            found.append((-score, one.id))
    return [id for _, id in sorted(found)[: query.limit]]


def test_search_finds_what_is_there_whatever_was_changed_in_between() -> None:
    numbers = random.Random(7)
    rows = FakeRows()
    # So small that users drive each other out.
    index = ExactIndex(rows, max_cache_bytes=12_000)
    index.prepare(SPACE)
    for step in range(3000):
        user = numbers.choice(["ada", "bob", "eve"])
        there = list(rows.users.get(user, {}))
        if there and numbers.random() < 0.3:
            rows.remove(user, numbers.choice(there))
        else:
            model = "model" if numbers.random() < 0.9 else "other"
            rows.put(user, row(f"{user}-{numbers.randrange(30)}", numbers, model))
        if numbers.random() < 0.5:
            query = Query(
                vector(numbers),
                Scope(user, numbers.choice([None, None, "bot"]), numbers.choice([None, None, "1"])),
                limit=numbers.choice([1, 5, 100]),
                now=100,
                min_score=numbers.choice([None, 0.2]),
                kind=numbers.choice([None, "a"]),
                tags=numbers.choice([(), ("x",), ("y", "z")]),
            )
            assert [match.id for match in index.search(query)] == expected(rows, query), step
            foreign = [one for _, one in rows.users.get(user, {}).values() if one.model == "other"]
            assert index.waiting(user) == len(foreign)


def test_only_what_changed_is_read_again() -> None:
    numbers, rows = random.Random(7), FakeRows()
    for n in range(100):
        rows.put("ada", row(f"ada-{n}", numbers))
    index = ExactIndex(rows)
    index.prepare(SPACE)
    query = Query(vector(numbers), Scope("ada"), 5, 100)
    index.search(query)
    assert rows.read == 100
    index.search(query)
    rows.put("ada", row("ada-7", numbers))
    index.search(query)
    assert rows.read == 101
    rows.remove("ada", "ada-7")
    index.search(query)
    assert rows.read == 101 + 99


def test_same_direction_scores_one_and_a_text_of_nothing_zero() -> None:
    numbers, rows = random.Random(7), FakeRows()
    one = row("ada-1", numbers)._replace(expires_at=NEVER)
    rows.put("ada", one)
    rows.put("ada", one._replace(id="ada-0", vector=pack(np.zeros(8, np.float32))))
    index = ExactIndex(rows)
    index.prepare(SPACE)
    first, second = index.search(Query(np.frombuffer(one.vector, "<f4"), Scope("ada"), 5, 100))
    assert (first.id, round(first.score, 6), second) == ("ada-1", 1.0, ("ada-0", 0.0))
