"""Everything that can go wrong with Qdrant, over real HTTP: what becomes of it, and recovery."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from qdrant_client import models

from app.memory.scope import Scope
from app.memory.vectors import transport
from app.memory.vectors.errors import IndexFailure, IndexMissing, IndexRejected, IndexUnavailable
from app.memory.vectors.qdrant import QdrantIndex
from app.memory.vectors.qdrant.filters import of_query, of_scope
from app.memory.vectors.qdrant.version import version_problem
from config import ROOT
from tests.fake_qdrant import FakeQdrant
from tests.fake_qdrant.moods import (
    Mood,
    answers,
    cut,
    dripping,
    dropping,
    html,
    refuses,
    silent,
)
from tests.memory.vectors.conftest import MakeIndex
from tests.memory.vectors.making import SPACE, id_of, point, query

SECRET = "s3cret"
CALLS: dict[str, Callable[[QdrantIndex], object]] = {
    "prepare": lambda index: index.prepare(SPACE),
    "put": lambda index: index.put([point("a")]),
    "search": lambda index: index.search(query()),
    "remove": lambda index: index.remove([id_of("b")]),
    "remove_all": lambda index: index.remove_all(Scope("bob")),
    "check": lambda index: index.check(),
    "ids": lambda index: index.ids(None, 10),
}
NONSENSE = "does not answer as Qdrant"


@pytest.mark.parametrize(
    ("mood", "kind", "words"),
    [
        (dropping, IndexUnavailable, "broke the connection off"),
        (cut, IndexUnavailable, "broke the connection off"),
        (refuses(400, f"Wrong input: {SECRET}"), IndexRejected, "refused what it was asked (400)"),
        (answers(401, SECRET.encode()), IndexRejected, "QDRANT_API_KEY"),
        (refuses(403, SECRET), IndexRejected, "QDRANT_API_KEY"),
        (html(404), IndexRejected, "no Qdrant at QDRANT_URL"),
        (answers(404, b"[" * 100_000), IndexRejected, "no Qdrant at QDRANT_URL"),
        (refuses(408, SECRET), IndexUnavailable, "in time"),
        (refuses(409, SECRET), IndexUnavailable, "busy"),
        (refuses(413, SECRET), IndexRejected, "that large"),
        (refuses(418, SECRET), IndexRejected, "(418)"),
        (refuses(429, SECRET), IndexUnavailable, "too much to do"),
        (refuses(429, SECRET, {"Retry-After": "soon"}), IndexUnavailable, "too much to do"),
        (html(429), IndexUnavailable, "too much to do"),
        (refuses(500, SECRET), IndexUnavailable, "answered 500"),
        (html(502), IndexUnavailable, "answered 502"),
        (refuses(503, SECRET), IndexUnavailable, "answered 503"),
        (answers(307, b"", {"Location": "https://x.example"}), IndexRejected, "leads elsewhere"),
        (answers(204, b""), IndexRejected, "(204)"),
        (html(200), IndexRejected, NONSENSE),
        (answers(200, b""), IndexRejected, NONSENSE),
        (answers(200, b'{"result": {"poin'), IndexRejected, NONSENSE),
        (answers(200, b"\xff\xfe"), IndexRejected, NONSENSE),
        (answers(200, b"[" * 100_000), IndexRejected, NONSENSE),
        (answers(200, None), IndexRejected, NONSENSE),
        (answers(200, []), IndexRejected, NONSENSE),
        (answers(200, {}), IndexRejected, NONSENSE),
        (answers(200, {"result": None, "status": "ok", "time": 0}), IndexRejected, NONSENSE),
        (answers(200, {"result": {"points": [{"id": []}]}}), IndexRejected, NONSENSE),
        (answers(200, {"result": "ok", "time": "late"}), IndexRejected, NONSENSE),
    ],
)
def test_what_qdrant_answers_is_one_of_our_errors_in_our_words_until_it_is_well_again(
    fake_qdrant: FakeQdrant,
    index_on: MakeIndex,
    mood: Mood,
    kind: type[IndexFailure],
    words: str,
) -> None:
    index = index_on()
    index.prepare(SPACE)
    for name, call in CALLS.items():
        fake_qdrant.mood = mood
        with pytest.raises(IndexFailure) as caught:
            call(index)
        assert type(caught.value).__mro__[1] is kind or type(caught.value) is kind, name
        assert words in str(caught.value), name
        assert SECRET not in str(caught.value), name
        fake_qdrant.mood = None
        call(index)
    assert fake_qdrant.points().keys() == {id_of("a")}


@pytest.mark.parametrize("mood", [silent, dripping])
def test_slow_qdrant_is_given_up_after_the_deadline(
    fake_qdrant: FakeQdrant, index_on: MakeIndex, monkeypatch: pytest.MonkeyPatch, mood: Mood
) -> None:
    monkeypatch.setattr("app.memory.vectors.qdrant.index.PREPARE_S", 0.2)
    monkeypatch.setattr("app.memory.vectors.qdrant.index.CHECK_S", 0.2)
    index_on().prepare(SPACE)
    index = index_on(timeout_s=0.2)
    index._space = SPACE
    fake_qdrant.mood = mood
    for call in CALLS.values():
        with pytest.raises(IndexUnavailable, match="did not answer in time"):
            call(index)
    fake_qdrant.mood = None
    patient = index_on()
    patient.prepare(SPACE)
    patient.put([point("a")])
    assert index.search(query())[0].id == id_of("a")


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("0", 1), ("9" * 20, 300), ("soon", 5), (" ", 5)]
)
@pytest.mark.parametrize("status", [429, 503])
def test_qdrant_says_itself_when_to_come_again(
    fake_qdrant: FakeQdrant, index_on: MakeIndex, header: str, seconds: int, status: int
) -> None:
    index = index_on()
    fake_qdrant.mood = refuses(status, "slow down", {"Retry-After": header})
    with pytest.raises(IndexUnavailable) as caught:
        index.check()
    assert caught.value.retry_after_s == seconds


def test_restarted_qdrant_is_used_again_without_a_restart_here(
    fake_qdrant: FakeQdrant, index_on: MakeIndex
) -> None:
    index = index_on()
    index.prepare(SPACE)
    index.put([point("a")])
    fake_qdrant.stop()
    for call in CALLS.values():
        with pytest.raises(IndexUnavailable, match="nobody listens"):
            call(index)
    fake_qdrant.start()
    assert index.search(query())[0].id == id_of("a")


def test_qdrant_that_lost_everything_is_filled_after_preparing(
    fake_qdrant: FakeQdrant, index_on: MakeIndex
) -> None:
    index = index_on()
    index.prepare(SPACE)
    index.put([point("a")])
    fake_qdrant.contract.wipe()
    assert index.check().points == 0
    for name, call in CALLS.items():
        if name not in ("prepare", "check"):
            with pytest.raises(IndexMissing):
                call(index)
    assert index.prepare(SPACE) is True
    index.put([point("a")])
    assert index.search(query())[0].id == id_of("a")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://nowhere.invalid:6333", "cannot be resolved"),
        ("https://127.0.0.1:{port}", "does not speak TLS"),
        ("http://127.0.0.1:{port}/elsewhere", "no Qdrant at QDRANT_URL"),
    ],
)
def test_wrong_address_is_named(
    fake_qdrant: FakeQdrant, index_on: MakeIndex, url: str, words: str
) -> None:
    index = index_on(url=url.format(port=fake_qdrant.url.rpartition(":")[2]))
    with pytest.raises(IndexFailure, match=words):
        index.prepare(SPACE)
    path = urlsplit(url).path
    assert all(asked.startswith(f"{path}/collections/") for _, asked in fake_qdrant.requests)


def test_certificate_that_nobody_signed_is_named(
    certify: Callable[..., object], index_on: MakeIndex
) -> None:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(certify()))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, pytest.raises(ssl.SSLError):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=serve)
        thread.start()
        index = index_on(url=f"https://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(IndexUnavailable, match="certificate of Qdrant is not trusted"):
            index.check()
        thread.join()


def test_key_is_sent_and_neither_shown_nor_logged(
    index_on: MakeIndex, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeQdrant(api_key=SECRET) as guarded:
        caplog.set_level(logging.DEBUG)
        assert index_on(url=guarded.url, api_key=SECRET).prepare(SPACE) is True
        with pytest.raises(IndexRejected, match="QDRANT_API_KEY"):
            index_on(url=guarded.url, api_key="wrong").check()
    assert SECRET not in caplog.text
    assert SECRET not in repr(index_on(api_key=SECRET)._connection.address)


def test_cause_that_goes_on_is_logged_once_and_its_end_too(
    fake_qdrant: FakeQdrant, index_on: MakeIndex, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.vectors.qdrant")
    index = index_on()
    fake_qdrant.mood = refuses(500, "wal is full")
    for _ in range(3):
        with pytest.raises(IndexUnavailable):
            index.check()
    fake_qdrant.mood = None
    index.check()
    assert [record.message for record in caplog.records if record.name.startswith("app.")] == [
        "the index of memories failed: Qdrant answered 500: its log says why "
        '(500 {"status": {"error": '
        '"wal is full"}, "time": 0.0})',
        "Qdrant answers again",
    ]


def test_proxies_of_the_environment_are_not_asked(
    index_on: MakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert index_on().check().version


def test_answer_without_end_is_not_read(
    fake_qdrant: FakeQdrant, index_on: MakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 1000)
    told = {"title": "qdrant", "version": "1.20.0", "more": "x" * 2000}
    fake_qdrant.mood = answers(200, told)
    with pytest.raises(IndexRejected, match=NONSENSE):
        index_on().check()
    bomb = gzip.compress(json.dumps(told).encode())
    fake_qdrant.mood = answers(200, bomb, {"Content-Encoding": "gzip"})
    with pytest.raises(IndexRejected, match=NONSENSE):
        index_on().check()


def test_qdrant_holds_only_some_of_the_threads(
    fake_qdrant: FakeQdrant, index_on: MakeIndex
) -> None:
    index = index_on(timeout_s=1.0)
    index.prepare(SPACE)
    fake_qdrant.mood = silent
    failures: list[str] = []

    def search() -> None:
        with pytest.raises(IndexUnavailable) as caught:
            index.search(query())
        failures.append(str(caught.value))

    threads = [threading.Thread(target=search) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake_qdrant.asked("/query") <= 4
    assert len(failures) == 8


def test_collection_that_another_process_makes_meanwhile_is_as_good(
    fake_qdrant: FakeQdrant, index_on: MakeIndex
) -> None:
    index_on().prepare(SPACE)
    fake_qdrant.moody_paths = ("/exists",)
    fake_qdrant.mood = answers(200, {"result": {"exists": False}, "status": "ok", "time": 0.0})
    assert index_on().prepare(SPACE) is True
    assert fake_qdrant.requests.count(("PUT", fake_qdrant.requests[1][1])) == 2


def test_collection_is_made_for_many_users_and_machines(
    fake_qdrant: FakeQdrant,
) -> None:
    from app.memory.vectors.qdrant import Address
    from app.memory.vectors.qdrant.collection import Layout

    index = QdrantIndex(Address(fake_qdrant.url), Layout("ours", shards=6, replicas=2))
    index.prepare(SPACE)
    index.close()
    [(name, made)] = fake_qdrant.contract.created.items()
    assert (made.shard_number, made.replication_factor) == (6, 2)
    assert made.hnsw_config is not None
    assert (made.hnsw_config.m, made.hnsw_config.payload_m) == (0, 16)
    indexes = fake_qdrant.contract.indexes[name]
    assert indexes["user_id"] == {"type": "keyword", "is_tenant": True}
    assert {field: schema["type"] for field, schema in indexes.items()} == {
        **dict.fromkeys(("user_id", "agent_id", "run_id"), "keyword"),
        "kind": "keyword",
        "tags": "keyword",
        "expires_at": "integer",
    }


def test_missing_payload_indexes_are_made_where_the_collection_is_there(
    fake_qdrant: FakeQdrant, index_on: MakeIndex
) -> None:
    index_on().prepare(SPACE)
    [indexes] = fake_qdrant.contract.indexes.values()
    del indexes["tags"]
    index_on().prepare(SPACE)
    assert "tags" in indexes
    asked = fake_qdrant.asked("/index")
    index_on().prepare(SPACE)
    assert fake_qdrant.asked("/index") == asked


def test_collections_of_others_are_left_alone(fake_qdrant: FakeQdrant, index_on: MakeIndex) -> None:
    index_on(prefix="tests-2").prepare(SPACE)
    index_on(prefix="tests").prepare(SPACE)
    index_on(prefix="tests").prepare(SPACE._replace(model="other"))
    assert sorted(name.partition("_")[0] for name in fake_qdrant.contract.created) == [
        "tests",
        "tests-2",
    ]


def test_collection_of_the_same_name_for_other_vectors_is_named(
    fake_qdrant: FakeQdrant, index_on: MakeIndex
) -> None:
    index_on().prepare(SPACE)
    [made] = fake_qdrant.contract.created.values()
    made.vectors.size = 9  # type: ignore[union-attr]
    with pytest.raises(IndexRejected, match="was made for other vectors: remove it"):
        index_on().prepare(SPACE)


def test_no_text_of_a_memory_is_kept_in_qdrant(
    fake_qdrant: FakeQdrant, index_on: MakeIndex
) -> None:
    index = index_on()
    index.prepare(SPACE)
    index.put([point("a", kind="fact", tags=("x",), expires_at=5, agent_id="bot")])
    scope = {"user_id": "ada", "agent_id": "bot", "run_id": None}
    assert fake_qdrant.points() == {
        id_of("a"): {**scope, "kind": "fact", "tags": ["x"], "expires_at": 5}
    }


def test_forked_process_gets_connections_of_its_own(
    index_on: MakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_on()
    index.check()
    before = index._connection._client()[0]
    assert index._connection._client()[0] is before
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert index._connection._client()[0] is not before
    before.close()


def test_closed_client_is_made_anew(index_on: MakeIndex) -> None:
    index = index_on()
    index.check()
    index._connection._client()[0].close()
    with pytest.raises(IndexUnavailable):
        index.check()
    assert index.check().version


def test_identity_tells_addresses_and_prefixes_apart(index_on: MakeIndex) -> None:
    urls = ("http://a:6333", "http://b:6333")
    made = {index_on(url=url, prefix=prefix).identity for url in urls for prefix in ("x", "y")}
    assert len(made) == 4
    assert index_on(url=urls[0], prefix="x").identity in made
    assert all(len(identity) <= 100 for identity in made)


def test_client_is_imported_with_the_first_call_only() -> None:
    script = (
        "import sys\n"
        "from app.memory.vectors.qdrant import Address, QdrantIndex\n"
        "QdrantIndex(Address('http://127.0.0.1:1'))\n"
        "raise SystemExit('qdrant_client' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("server", "fits"),
    [
        ("1.20.0", True),
        ("1.19.9", True),
        ("1.21.0-dev", True),
        ("1.18.0", False),
        ("1.22.0", False),
        ("2.20.0", False),
        ("", False),
        ("nightly", False),
    ],
)
def test_version_that_is_too_far_away_is_named(server: str, fits: bool) -> None:
    assert (version_problem(server) is None) is fits


def test_filters_are_made_in_one_place_which_names_the_user() -> None:
    folder = ROOT / "app"
    makers = {path.name for path in folder.rglob("*.py") if "models.Filter(" in path.read_text()}
    assert makers == {"filters.py"}
    for made in (
        of_scope(Scope("ada")),
        of_query(query()),
        of_query(query(kind="k", tags=("a", "b"))),
    ):
        first = made.must[0]  # type: ignore[index]
        assert isinstance(first, models.FieldCondition)
        assert (first.key, first.match) == ("user_id", models.MatchValue(value="ada"))
        assert made.should is None
