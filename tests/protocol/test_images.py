"""Where an instruction lies: the binary and the offset in it."""

from __future__ import annotations

from typing import Any

import pytest

from app.protocol.images import read_images
from tests.issues.payloads import read

META = {
    "images": [
        {"code_file": "/opt/b.so", "image_addr": "0x20000", "image_size": 4096},
        {"code_file": "/opt/a.so", "image_addr": "0x10000", "image_size": 4096},
        {"debug_file": "shop.wasm", "type": "wasm"},
        {"code_file": "/opt/open.so", "image_addr": "0x30000"},
    ]
}


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"instruction_addr": "0x10010"}, ("/opt/a.so", 0x10)),
        ({"instruction_addr": "0x20fff"}, ("/opt/b.so", 0xFFF)),
        ({"instruction_addr": 0x10010}, ("/opt/a.so", 0x10)),
        ({"instruction_addr": "65552"}, ("/opt/a.so", 0x10)),
        ({"instruction_addr": "0x30abc"}, ("/opt/open.so", 0xABC)),
        ({"instruction_addr": "0x40", "addr_mode": "rel:2"}, ("shop.wasm", 0x40)),
        ({"instruction_addr": "0x40", "addr_mode": "rel:77"}, (None, 0x40)),
        ({"instruction_addr": "0x99", "image_addr": "0x90", "package": "x"}, ("x", 9)),
        ({"instruction_addr": "0x21000"}, None),
        ({"instruction_addr": "0x1"}, None),
        ({"instruction_addr": "nonsense"}, None),
        ({"instruction_addr": -1}, None),
        ({"instruction_addr": True}, None),
        ({"instruction_addr": "9" * 400}, None),
        ({}, None),
    ],
)
def test_instruction_is_found_in_its_image(frame: dict[str, Any], expected: object) -> None:
    assert read_images(META).locate(frame) == expected


@pytest.mark.parametrize(
    "meta", [None, [], {"images": 7}, {"images": [None, 7, {}]}, {"images": {}}]
)
def test_odd_images_locate_nothing(meta: object) -> None:
    assert read_images(meta).locate({"instruction_addr": "0x10"}) is None


def test_frames_of_an_event_know_their_image() -> None:
    frames = [{"instruction_addr": "0x10010"}, {"instruction_addr": "0x1", "function": "main"}]
    event = read({"exception": [{"stacktrace": {"frames": frames}}], "debug_meta": META})

    places = [(frame.image, frame.image_offset) for frame in event.main_frames]
    assert places == [("/opt/a.so", 0x10), (None, None)]
