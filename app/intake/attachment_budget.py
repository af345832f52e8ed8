"""The separate budget of attachments. It keeps files from displacing errors.

Attachments may use a quarter of MAX_STORE_BYTES. When they use more, files are removed until nine
tenths of the budget are used. The project with the most bytes in envelopes with attachments loses
its oldest files first. An event stays without its files. An envelope that contains only files is
removed. An envelope that waits for delivery keeps its files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from app.events.tables import envelopes
from app.intake import project_bytes
from app.intake.project_bytes import ATTACHMENT, HAS_ATTACHMENT, ROW_BYTES, TAKEN
from app.intake.pruning import SETTLED, note_removed_files, remove_batch
from app.protocol.envelope import parse_envelope, serialize_envelope
from app.protocol.packing import pack, unpack
from app.store import Store, first_within

BUDGET = 0.25
TRIM_TO = 0.9
# The envelopes of one transaction and their bytes. They are parsed and packed before it begins.
BATCH_SIZE, BATCH_BYTES = 50, 1024**2


class Trimmed(NamedTuple):
    """An envelope without its files. ``body`` is ``None`` if it contained nothing else."""

    id: int
    project_id: int
    event_id: str | None
    taken_before: int
    item_types: str
    body: bytes | None
    size_bytes: int


def trim_attachments(store: Store, limit: int) -> int:
    """Remove files that exceed the budget and return how many envelopes lost files.

    :param store: the store to trim.
    :param limit: MAX_STORE_BYTES; 0 means no limit.
    """
    taken = _taken(store)
    if not limit or sum(taken.values()) <= BUDGET * limit:
        return 0
    count = 0
    spent: set[int] = set()
    batches: dict[int, Iterator[list[Trimmed]]] = {}
    while sum(taken.values()) > TRIM_TO * BUDGET * limit:
        payer = max(taken.keys() - spent, key=taken.__getitem__, default=None)
        if payer is None:
            break  # The remaining files wait for delivery.
        batch = next(batches.setdefault(payer, _batches(store, payer)), None)
        if batch is None:
            spent.add(payer)
            continue
        with store.write(durable=False) as conn:
            _write(conn, batch)
        count += len(batch)
        taken = _taken(store)
    return count


def _taken(store: Store) -> dict[int, int]:
    """Return the bytes of envelopes with attachments, by project id."""
    with store.read() as conn:
        return {id: envelope.attachment_bytes for id, envelope in project_bytes.read(conn).items()}


def _batches(store: Store, project_id: int) -> Iterator[list[Trimmed]]:
    """Yield a project's envelopes without their files, oldest first.

    Envelopes that still have to be sent are left out.
    """
    columns = envelopes.c
    sizes = select(columns.id, TAKEN).where(
        columns.project_id == project_id, columns.state.in_(SETTLED), HAS_ATTACHMENT
    )
    sizes = sizes.order_by(columns.id).limit(BATCH_SIZE)
    names = ("id", "project_id", "event_id", "item_types", "body")
    wanted = select(*(columns[name] for name in names))
    after = 0
    while True:
        # Read every result to its end. While a result is open, SQLite keeps the snapshot that it
        # sees, and the next read of the same connection would see that snapshot too.
        with store.read() as conn:
            found = conn.execute(sizes.where(columns.id > after)).all()
            ids = [row[0] for row in first_within(found, BATCH_BYTES, lambda row: row[1])]
            rows = conn.execute(wanted.where(columns.id.in_(ids))).all()
        if not ids:
            return
        after = ids[-1]
        yield [trimmed for row in rows for trimmed in _trimmed(row)]


def _trimmed(row: Any) -> list[Trimmed]:
    before = row.id, row.project_id, row.event_id, len(row.body) + ROW_BYTES
    try:
        envelope = parse_envelope(unpack(row.body))
    except ValueError:
        return []  # A damaged row stays, so that a person can look at it.
    envelope.items = [item for item in envelope.items if item.type != ATTACHMENT]
    if not envelope.items:
        return [Trimmed(*before, "", None, 0)]
    body = serialize_envelope(envelope)
    types = ",".join(kind for kind in row.item_types.split(",") if kind != ATTACHMENT)
    return [Trimmed(*before, types, pack(body), len(body))]


def _write(conn: Connection, batch: list[Trimmed]) -> None:
    """Write a batch. An envelope that has to be sent again since it was read stays unchanged."""
    still = select(envelopes.c.id).where(
        envelopes.c.id.in_([envelope.id for envelope in batch]), envelopes.c.state.in_(SETTLED)
    )
    settled = set(conn.scalars(still))
    remove_batch(
        conn,
        [envelope.id for envelope in batch if envelope.id in settled and envelope.body is None],
    )
    rest = [envelope for envelope in batch if envelope.id in settled and envelope.body is not None]
    if not rest:
        return
    names = ("item_types", "body", "size_bytes")
    conn.execute(
        _UPDATE,
        [
            {"row_id": envelope.id} | {name: getattr(envelope, name) for name in names}
            for envelope in rest
        ],
    )
    change = project_bytes.Change()
    for envelope in rest:
        fewer = len(envelope.body or b"") + ROW_BYTES - envelope.taken_before
        change.count(envelope.project_id, fewer, -envelope.taken_before)
    project_bytes.add(conn, change)
    note_removed_files(conn, [(envelope.project_id, envelope.event_id) for envelope in rest])


_UPDATE = (
    update(envelopes)
    .where(envelopes.c.id == bindparam("row_id"))
    .values({name: bindparam(name) for name in ("item_types", "body", "size_bytes")})
)
