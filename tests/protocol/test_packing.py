"""What is stored comes back, also from stores of older versions; what is damaged says so."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard

from app.protocol.packing import MAX_BYTES, pack, unpack


@pytest.mark.parametrize("body", [b"", b'{"event_id":"a"}\n' * 1000, bytes(range(256)) * 7])
def test_bodies_come_back_from_both_forms(body: bytes) -> None:
    assert unpack(pack(body)) == unpack(zlib.compress(body, 1)) == body


def test_bodies_packed_by_many_threads_at_once_come_back() -> None:
    bodies = [b'{"event_id":"%d"}\n' % number * (number * 40) for number in range(100)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda body: unpack(pack(body)), bodies)) == bodies


@pytest.mark.parametrize("form", [pack, zlib.compress])
def test_damaged_body_is_a_value_error(form: object) -> None:
    stored = form(b'{"event_id":"a"}\n' * 1000)  # type: ignore[operator]
    for damaged in (stored[:-9], stored[:20], b"", b"{}"):
        with pytest.raises(ValueError, match="cannot be unpacked"):
            unpack(damaged)


def test_frame_that_claims_gigabytes_is_not_believed() -> None:
    size = (MAX_BYTES * 16).to_bytes(8, "little")
    frame = b"\x28\xb5\x2f\xfd" + b"\xe0" + size + b"\x01\x00\x00"
    assert zstandard.frame_content_size(frame) == MAX_BYTES * 16
    with pytest.raises(ValueError, match="larger than any"):
        unpack(frame)
