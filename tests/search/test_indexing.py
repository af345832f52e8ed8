"""The index: written after the commit, removed with its events, made again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import Connection, delete, func, select, text, update

from app.events.tables import envelopes, events
from app.inputs.period import Range, period_range
from app.intake.pruning import candidates, remove, remove_ids
from app.intake.retention import purge_deleted
from app.issues import triage
from app.issues.tables import issues, stale_issues
from app.search.document import MAX_TOKENS, document_of
from app.search.events import are_older_gone, newest_matching
from app.search.grammar import parse
from app.search.indexing import BATCH_SIZE, catch_up, lag
from app.search.issue_documents import MAX_BYTES
from app.search.state import HOURS_KEPT
from app.search.tables import search_hours, search_state
from app.search.task import SearchTask
from app.store import Store, utc_now
from app.store.leases import new_owner
from tests.conftest import Parts, parts_of
from tests.issues.payloads import error, exc, py, read
from tests.issues.test_merging import groupings_rows, merge, unmerge
from tests.lease_expiry import let_leases_pass
from tests.search.steps import ALL, found, issue_of, issues_found, send, send_all


@pytest.fixture
def parts(app: Flask) -> Parts:
    return parts_of(app)


@pytest.fixture
def store(parts: Parts) -> Store:
    return parts.store


def row_of(store: Store, event_id: str) -> Any:
    with store.read() as conn:
        return conn.execute(select(events).where(events.c.event_id == event_id)).one()


def remove_event(store: Store, event_id: str) -> None:
    with store.write() as conn:
        conn.execute(update(envelopes).values(state="local"))
    assert remove_ids(store, [row_of(store, event_id).envelope_id]) == 1


def index_text(store: Store) -> str:
    """Return everything that the full-text tables hold, as text."""
    with store.read() as conn:
        if store.is_sqlite:
            import zlib

            rows = conn.execute(text("SELECT tokens FROM search_event_tokens"))
            found = [zlib.decompress(tokens).decode() for (tokens,) in rows]
            found += list(conn.scalars(text("SELECT tokens FROM search_issues")))
            return " ".join(found)
        tables = ("search_events", "search_issues")
        return " ".join(
            str(tokens)
            for table in tables
            for tokens in conn.scalars(text(f"SELECT tokens::text FROM {table}"))
        )


def happened(store: Store, times: Iterable[tuple[str, timedelta]]) -> None:
    """Let events have happened so long ago."""
    now = utc_now()
    with store.write() as conn:
        for event_id, ago in times:
            is_it = events.c.event_id == event_id
            conn.execute(update(events).where(is_it).values(timestamp=now - ago))


# ---- after the commit ---------------------------------------------------------------------------


def newest(conn: Connection, *asked: Any) -> str | None:
    """Return the event id of the newest matching event."""
    row_id = newest_matching(conn, *asked)
    return conn.scalar(select(events.c.event_id).where(events.c.id == row_id)) if row_id else None


def test_event_is_found_after_the_task_and_the_lag_says_so(parts: Parts) -> None:
    event_id = send(parts, {"message": "late"})
    with parts.store.read() as conn:
        assert lag(conn) == 1
    assert found(parts.store, "late") == []

    SearchTask(parts.store, new_owner()).run_once()

    with parts.store.read() as conn:
        assert lag(conn) == 0
    assert found(parts.store, "late") == [event_id]


def test_existing_events_are_indexed_in_batches(parts: Parts) -> None:
    ids = [send(parts, {"message": f"number {n}"}) for n in range(BATCH_SIZE + 5)]
    sizes: list[int] = []

    assert catch_up(parts.store, sizes.append) == len(ids)

    assert sizes == [BATCH_SIZE, 5]
    assert found(parts.store, "number") == ids[::-1]


def test_pages_of_a_search_continue_where_the_page_before_ended(parts: Parts) -> None:
    from app.search.events import search_events

    ids = send_all(parts, [{"message": f"paged {n}"} for n in range(5)])
    pages, before = [], None
    with parts.store.read() as conn:
        while True:
            page = search_events(conn, parse("paged").of_event, ALL, before=before, limit=2)
            pages.append(page.ids)
            before = page.next
            if before is None:
                break

    assert [len(page) for page in pages] == [2, 2, 1]
    assert sum(pages, []) == sorted(sum(pages, []), reverse=True)
    assert len(ids) == 5


def test_task_of_another_process_goes_on_where_a_killed_one_stopped(parts: Parts) -> None:
    ids = [send(parts, {"message": f"kept {n}"}) for n in range(BATCH_SIZE + 5)]
    killed = SearchTask(parts.store, "host:1:1::dead")
    stops = iter([True, False])
    assert killed._is_holder()
    catch_up(parts.store, goes_on=lambda: next(stops))
    other = SearchTask(parts.store, new_owner())
    assert not other.run_once()

    let_leases_pass(parts.store, SearchTask.lasts)

    assert other.run_once()
    assert found(parts.store, "kept") == ids[::-1]


def test_damaged_event_does_not_stop_the_index(parts: Parts) -> None:
    broken = send(parts, {"message": "broken"})
    with parts.store.write() as conn:
        conn.execute(update(envelopes).values(body=b"nothing"))
    whole = send(parts, {"message": "whole"})

    catch_up(parts.store)

    assert found(parts.store, "") == [whole]
    remove_event(parts.store, broken)
    assert found(parts.store, "") == [whole]


def test_document_of_an_event_is_bounded() -> None:
    frames = [py(f"module{n}.part{n}:function{n}") for n in range(3000)]
    event = read(error(*frames, value=" ".join(f"word{n}" for n in range(5000))))

    assert len(document_of(event, project_id=1).tokens) <= MAX_TOKENS


def test_document_of_an_issue_is_bounded(parts: Parts, store: Store) -> None:
    messages = [" ".join(f"w{n}x{m}" for m in range(300)) for n in range(20)]
    fingerprint = {"fingerprint": ["one"]}
    ids = send_all(parts, [{"message": message, **fingerprint} for message in messages])

    assert len({issue_of(store, id) for id in ids}) == 1
    with store.read() as conn:
        from app.search.index import full_text

        (tokens,) = full_text(conn).tokens_of_issues(conn, [issue_of(store, ids[0])]).values()
    assert sum(len(token) + 1 for token in tokens if token[0] != "t") <= MAX_BYTES + 10


# ---- removal ------------------------------------------------------------------------------------


def test_tokens_of_a_removed_event_go_with_it(parts: Parts, store: Store) -> None:
    same = {"fingerprint": ["same"]}
    secret, other = send_all(
        parts, [{"message": "secretword", **same}, {"message": "otherword", **same}]
    )
    issue = issue_of(store, other)
    assert issues_found(store, "*cretwo*") == {issue}

    remove_event(store, secret)

    assert found(store, "secretword") == []
    catch_up(store)
    assert "secretword" not in index_text(store)
    assert issues_found(store, "*cretwo*") == set()
    assert issues_found(store, "*therwo*") == {issue}


def test_event_with_the_row_id_of_a_removed_one_is_found_by_its_own_words(
    parts: Parts, store: Store
) -> None:
    (first,) = send_all(parts, [{"message": "firstword"}])
    remove_event(store, first)

    (second,) = send_all(parts, [{"message": "secondword"}])

    assert found(store, "firstword") == []
    assert found(store, "secondword") == [second]


def test_event_that_goes_before_it_is_indexed_leaves_nothing(parts: Parts, store: Store) -> None:
    gone = send(parts, {"message": "goneword"})
    remove_event(store, gone)
    (kept,) = send_all(parts, [{"message": "keptword"}])

    assert found(store, "") == [kept]
    assert "goneword" not in index_text(store)


def test_deleted_issue_leaves_nothing_in_the_index(parts: Parts, store: Store) -> None:
    (event_id,) = send_all(parts, [{"message": "deletedword"}])
    with store.write() as conn:
        conn.execute(update(envelopes).values(state="local"))
        triage.delete(conn, [issue_of(store, event_id)])

    purge_deleted(store)

    assert "deletedword" not in index_text(store)
    assert found(store, "") == []


def test_pruned_events_are_named_as_gone(parts: Parts, store: Store) -> None:
    ids = send_all(parts, [{"message": f"aged {n}"} for n in range(3)])
    happened(store, [(ids[1], timedelta(hours=2)), (ids[2], timedelta(minutes=5))])
    week, hour = (period_range(name, utc_now()) for name in ("week", "hour"))
    with store.read() as conn:
        assert not are_older_gone(conn, week)

    remove_event(store, ids[0])

    with store.read() as conn:
        assert are_older_gone(conn, week)
        assert are_older_gone(conn, ALL)
        assert not are_older_gone(conn, Range("", utc_now() - timedelta(hours=1), None, utc_now()))
    assert hour.start is not None


def test_pruning_removes_what_was_indexed(parts: Parts, store: Store) -> None:
    send_all(parts, [{"message": f"pruned {n}"} for n in range(5)])
    with store.write() as conn:
        conn.execute(update(envelopes).values(state="local"))

    remove(store, candidates(store))
    catch_up(store)

    assert found(store, "") == []
    assert index_text(store) == ""
    with store.read() as conn:
        assert conn.scalar(select(func.count()).select_from(stale_issues)) == 0


# ---- merge and unmerge --------------------------------------------------------------------------


def test_merged_issue_is_found_by_the_words_of_both(parts: Parts, store: Store) -> None:
    first, second = send_all(
        parts,
        [
            error(py("shop:a"), type="ErrorOne", value="oneword"),
            error(py("shop:b"), type="ErrorTwo", value="twoword"),
        ],
    )
    one, two = issue_of(store, first), issue_of(store, second)

    merge(store, one, two)
    catch_up(store)

    assert issues_found(store, "*newor*") == {one}
    assert issues_found(store, "*wowor*") == {one}
    assert issues_found(store, "twoword") == {one}

    key = next(row.hash for row in groupings_rows(store, one) if "ErrorTwo" in row.key)
    (made,) = unmerge(store, one, key)
    catch_up(store)

    assert issues_found(store, "*wowor*") == {made}
    assert issues_found(store, "twoword") == {made}
    with store.read() as conn:
        assert newest(conn, made, parse("twoword").of_event, ALL) == second
        assert newest(conn, one, parse("twoword").of_event, ALL) is None


# ---- one event, and the range -------------------------------------------------------------------


def test_issue_is_found_when_one_event_fulfils_all_terms(parts: Parts, store: Store) -> None:
    bug = error(py("shop:pay"), type="PayError", value="no")
    eu = send_all(parts, [bug | {"tags": {"region": "eu"}, "level": "info"}])[0]
    us = send_all(parts, [bug | {"tags": {"region": "us"}, "level": "fatal"}])[0]
    issue = issue_of(store, eu)
    assert issue == issue_of(store, us)

    assert issues_found(store, "region:eu level:info") == {issue}
    assert issues_found(store, "region:eu level:fatal") == set()
    assert issues_found(store, "!region:eu") == {issue}
    with store.read() as conn:
        assert newest(conn, issue, parse("region:eu").of_event, ALL) == eu
        assert newest(conn, issue, parse("!region:eu").of_event, ALL) == us
        assert newest(conn, issue, parse("region:asia").of_event, ALL) is None


def test_range_is_of_the_time_at_which_events_happened(parts: Parts, store: Store) -> None:
    ids = [send(parts, {"message": f"timed {n}"}) for n in range(4)]
    agos = [timedelta(minutes=5), timedelta(hours=5), timedelta(days=100), timedelta(days=3)]
    happened(store, zip(ids, agos, strict=True))
    catch_up(store)

    def within(name: str) -> set[str]:
        return set(found(store, "timed", period_range(name, utc_now())))

    assert within("hour") == {ids[0]}
    assert within("day") == {ids[0], ids[1]}
    assert within("week") == {ids[0], ids[1], ids[3]}
    assert within("all") == set(ids)
    old = utc_now() - timedelta(days=99)
    assert set(found(store, "timed", Range("", None, old, utc_now()))) == {ids[2]}
    older = Range("", utc_now() - timedelta(days=101), old, utc_now())
    assert set(found(store, "timed", older)) == {ids[2]}
    assert issues_found(store, "timed", period_range("hour", utc_now())) == {
        issue_of(store, ids[0])
    }


def test_hours_are_bounded_however_old_events_are(parts: Parts, store: Store) -> None:
    ids = [send(parts, {"message": "old"}) for _ in range(4)]
    happened(store, [(id, HOURS_KEPT + timedelta(days=n)) for n, id in enumerate(ids)])

    catch_up(store)

    with store.read() as conn:
        assert conn.scalar(select(func.count()).select_from(search_hours)) == 1


# ---- bounds -------------------------------------------------------------------------------------


def test_search_stops_at_its_bound_and_goes_on_from_there(
    parts: Parts, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAX_CANDIDATES", "MAX_CANDIDATES_OF_ISSUES"):
        monkeypatch.setattr(f"app.search.running.{name}", 4)
    rare = send_all(parts, [{"message": "common rareword", "level": "info"}])[0]
    send_all(parts, [{"message": f"common {n}"} for n in range(10)])
    from app.search.events import search_events

    def ask(query: str, before: int | None = None) -> Any:
        with store.read() as conn:
            return search_events(conn, parse(query).of_event, ALL, before=before)

    assert found(store, "rareword common") == [rare]
    first = ask("common !level:error")
    assert first.ids == [] and first.searched_back_to is not None

    pages, page = 1, first
    while not page.ids:
        page, pages = ask("common !level:error", page.next), pages + 1

    assert [row_of(store, rare).id] == page.ids
    assert 2 <= pages <= 4
    assert issues_found(store, "rareword common") == {issue_of(store, rare)}


# ---- making it again ----------------------------------------------------------------------------


def test_reindex_makes_the_index_again(parts: Parts, store: Store, runner: FlaskCliRunner) -> None:
    ids = send_all(parts, [{"message": f"again {n}"} for n in range(3)])
    with store.write() as conn:
        conn.execute(update(search_state).values(version=0))
        conn.execute(text("DELETE FROM search_issues"))

    result = runner.invoke(args=["search", "reindex"])

    assert result.exit_code == 0, result.output
    assert "3 events are in the index" in result.output
    assert found(store, "again") == ids[::-1]
    assert issues_found(store, "*gain*") == {issue_of(store, id) for id in ids}


def test_index_of_an_older_version_is_made_again(parts: Parts, store: Store) -> None:
    ids = send_all(parts, [{"message": "versioned"}])
    with store.write() as conn:
        conn.execute(update(search_state).values(version=0))

    catch_up(store)

    assert found(store, "versioned") == ids
    with store.read() as conn:
        assert conn.scalar(select(search_state.c.version)) > 0


def test_issue_whose_rows_are_gone_is_not_made_again(parts: Parts, store: Store) -> None:
    (event_id,) = send_all(parts, [error(exc(py("shop:pay"))["stacktrace"]["frames"][0])])
    issue = issue_of(store, event_id)
    remove_event(store, event_id)
    with store.write() as conn:
        conn.execute(delete(issues).where(issues.c.id == issue))

    catch_up(store)

    assert found(store, "") == []
