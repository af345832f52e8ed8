"""The index in Qdrant as its callers see it; every test runs against a real server, too, if there
is one (``make test-qdrant``)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from app.memory.scope import Scope
from app.memory.vectors.errors import IndexMissing, IndexRejected
from app.memory.vectors.index import Space
from app.memory.vectors.qdrant import QdrantIndex
from app.memory.vectors.qdrant.version import version_problem
from tests.memory.vectors.making import NOW, SPACE, id_of, point, query, vector


def found(index: QdrantIndex, *args: object, **more: object) -> list[str]:
    return [match.id for match in index.search(query(*args, **more))]  # type: ignore[arg-type]


def test_nearest_of_the_user_come_first_and_nobody_elses(index: QdrantIndex) -> None:
    assert index.prepare(SPACE) is True
    index.put(
        [
            point("far", weights=(0.2, 1.0)),
            point("near", weights=(1.0, 0.1)),
            point("opposite", weights=(-1.0,)),
            point("of another user", user_id="Ada", weights=(1.0,)),
        ]
    )
    matches = index.search(query())
    assert [match.id for match in matches] == [id_of("near"), id_of("far"), id_of("opposite")]
    assert matches[0].score == pytest.approx(1 / np.hypot(1, 0.1), abs=1e-5)
    assert matches[2].score == pytest.approx(-1, abs=1e-5)
    assert found(index, "Ada") == [id_of("of another user")]
    assert found(index, "nobody") == []
    assert found(index, limit=1) == [id_of("near")]
    assert found(index, min_score=0.5) == [id_of("near")]


def test_kind_tags_and_expiry_narrow_what_is_found(index: QdrantIndex) -> None:
    index.prepare(SPACE)
    index.put(
        [
            point("fact", kind="fact", tags=("red", "blue")),
            point("task", kind="task", tags=("blue",), expires_at=NOW + 1),
            point("over", kind="task", tags=("red",), expires_at=NOW),
        ]
    )
    both = {id_of("fact"), id_of("task")}
    assert set(found(index)) == both
    assert found(index, kind="task") == [id_of("task")]
    assert set(found(index, tags=("blue", "green"))) == both
    assert found(index, tags=("red",)) == [id_of("fact")]
    assert found(index, tags=("red",), kind="task") == []
    assert found(index, now=NOW + 1) == [id_of("fact")]


def test_agent_and_run_narrow_what_is_found_and_removed(index: QdrantIndex) -> None:
    index.prepare(SPACE)
    index.put(
        [
            point("of nobody"),
            point("of the bot", agent_id="bot"),
            point("of its run", agent_id="bot", run_id="1"),
            point("of bob's bot", "bob", agent_id="bot", run_id="1"),
        ]
    )
    assert len(found(index)) == 3
    assert set(found(index, agent_id="bot")) == {id_of("of the bot"), id_of("of its run")}
    assert found(index, agent_id="bot", run_id="1") == found(index, run_id="1")
    assert found(index, agent_id="", run_id="1") == []
    index.remove_all(Scope("ada", "bot", "1"))
    assert set(found(index)) == {id_of("of nobody"), id_of("of the bot")}
    index.remove_all(Scope("ada", "bot"))
    assert found(index) == [id_of("of nobody")]
    assert found(index, "bob") == [id_of("of bob's bot")]


def test_point_of_the_same_id_is_replaced(index: QdrantIndex) -> None:
    index.prepare(SPACE)
    index.put([point("note", kind="fact")])
    index.put([point("note", kind="task", weights=(0.0, 1.0))])
    assert index.check().points == 1
    assert found(index, kind="fact") == []
    [match] = index.search(query(weights=(0.0, 1.0)))
    assert match.score == pytest.approx(1, abs=1e-5)


def test_what_is_removed_is_gone_and_removing_again_is_no_error(index: QdrantIndex) -> None:
    index.prepare(SPACE)
    index.put([point("a"), point("b"), point("c", user_id="bob"), point("d", user_id="bob")])
    for _ in range(2):
        index.remove([id_of("a"), id_of("never there")])
        index.remove_all(Scope("bob"))
        index.remove_all(Scope("nobody"))
    assert found(index) == [id_of("b")]
    assert found(index, "bob") == []
    index.remove([])
    index.put([])
    assert index.check().points == 1


def test_every_id_is_listed_once_page_by_page(index: QdrantIndex) -> None:
    index.prepare(SPACE)
    names = [str(number) for number in range(205)]
    index.put([point(name) for name in names])
    listed: list[str] = []
    while page := index.ids(listed[-1] if listed else None, 50):
        listed += page
        index.remove([page[-1]])  # A page begins behind an id, whether or not that is still there.
    assert sorted(listed) == sorted(id_of(name) for name in names)


def test_collection_is_new_until_something_is_in_it(index: QdrantIndex) -> None:
    assert index.prepare(SPACE) is True
    assert index.prepare(SPACE) is True
    index.put([point("a")])
    assert index.prepare(SPACE) is False
    assert index.check().points == 1


def test_before_it_is_made_a_collection_is_missing(index: QdrantIndex) -> None:
    assert index.check().version
    assert index.check().points is None
    with pytest.raises(IndexMissing):
        index.search(query())
    with pytest.raises(IndexMissing):
        index.put([point("a")])


def test_another_embedder_starts_anew_and_the_old_vectors_go(index: QdrantIndex) -> None:
    index.prepare(SPACE)
    index.put([point("a")])
    assert index.prepare(Space("another model", SPACE.dims)) is True
    assert found(index) == []
    assert index.check().points == 0
    index.put([point("a")])
    assert index.prepare(SPACE) is True  # Dropped, hence empty.


@pytest.mark.parametrize(
    "broken", [vector(1.0, dims=9), vector(float("nan")), np.array([np.inf] * 8, np.float32)]
)
def test_vector_of_another_kind_is_refused_before_it_is_sent(
    index: QdrantIndex, broken: np.typing.NDArray[np.float32]
) -> None:
    index.prepare(SPACE)
    with pytest.raises(IndexRejected):
        index.put([point("a"), point("b")._replace(vector=broken)])
    assert index.check().points == 0


@pytest.mark.parametrize("text", ["ä\u2028\U0001f600", '"; DROP', "x" * 200, "\x00\x1f", "*"])
def test_users_are_told_apart_whatever_their_names_are(index: QdrantIndex, text: str) -> None:
    index.prepare(SPACE)
    index.put([point("theirs", user_id=text, kind=text, tags=(text,)), point("other")])
    assert found(index, text, kind=text, tags=(text,)) == [id_of("theirs")]
    index.remove_all(Scope(text))
    assert found(index, text) == []
    assert found(index) == [id_of("other")]


@pytest.mark.live_qdrant
def test_users_with_many_memories_find_theirs_through_graphs_of_their_own(
    live_index: QdrantIndex,
) -> None:
    """A tenant's graph, which Qdrant builds beyond 10 MB, finds what a look at every row would."""
    space, rng = Space("many", 256), np.random.default_rng(7)
    vectors = rng.normal(size=(12_000, space.dims)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    live_index.prepare(space)
    owners = ["many"] * 11_900 + ["few"] * 100
    live_index.put(
        [
            point(str(number), user_id=owner)._replace(vector=row)
            for number, (owner, row) in enumerate(zip(owners, vectors, strict=True))
        ]
    )
    found = 0
    for start, end, owner in ((0, 11_900, "many"), (11_900, 12_000, "few")):
        for number in range(start, start + 50):
            wanted = query(owner)
            asked = dataclasses.replace(wanted, vector=vectors[number], limit=10)
            exact = np.argsort(-(vectors[start:end] @ vectors[number]))[:10] + start
            matches = {match.id for match in live_index.search(asked)}
            found += len(matches & {id_of(str(one)) for one in exact})
    assert found >= 0.95 * 1000


@pytest.mark.live_qdrant
def test_server_is_one_that_the_client_supports(live_index: QdrantIndex) -> None:
    version = live_index.check().version
    assert version is not None
    assert version_problem(version) is None
