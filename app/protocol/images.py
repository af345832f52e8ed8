"""The binaries (images) of a native event, and the binary that contains an instruction.

A frame without a symbol is identified only by its file and the offset in it. The address itself
changes each time the program is loaded.

Source: https://develop.sentry.dev/sdk/data-model/event-payloads/debugmeta/, 2026-11-27.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, NamedTuple

from app.protocol.lenient import read_dict, read_list, read_text

# A process has some hundred binaries.
MAX_IMAGES = 2000
# Addresses have at most 64 bits; larger numbers from clients are ignored.
_MAX_ADDRESS = 2**64


class Located(NamedTuple):
    """The location of an instruction: the binary, if known, and the offset in it in bytes."""

    file: str | None
    offset: int


class _Image(NamedTuple):
    start: int
    end: int
    file: str | None


class Images:
    """The loaded binaries, in the order of the payload and sorted by address."""

    def __init__(self, images: list[_Image]) -> None:
        self._listed = images
        self._sorted = sorted(images, key=lambda image: image.start)
        self._starts = [image.start for image in self._sorted]

    def locate(self, frame: dict[str, Any]) -> Located | None:
        """Return the location of the instruction of a raw frame, or ``None`` if it is unknown."""
        address = read_address(frame.get("instruction_addr"))
        if address is None:
            return None
        mode = frame.get("addr_mode")
        if isinstance(mode, str) and mode.startswith("rel:"):
            number = mode[4:8]
            is_known = number.isdecimal() and int(number) < len(self._listed)
            return Located(self._listed[int(number)].file if is_known else None, address)
        start = read_address(frame.get("image_addr"))
        if start is not None and start <= address:
            return Located(read_text(frame.get("package")), address - start)
        position = bisect_right(self._starts, address) - 1
        if position < 0 or address >= self._sorted[position].end:
            return None
        return Located(self._sorted[position].file, address - self._sorted[position].start)


_NONE = Images([])


def read_images(debug_meta: object) -> Images:
    """Return the images in the ``debug_meta`` of a payload."""
    listed = read_list(read_dict(debug_meta).get("images"))[:MAX_IMAGES]
    return Images([_image(read_dict(image)) for image in listed]) if listed else _NONE


def _image(image: dict[str, Any]) -> _Image:
    # An image without an address, for example of JavaScript or WebAssembly, contains no absolute
    # address.
    start = read_address(image.get("image_addr"))
    size = read_address(image.get("image_size")) or 0
    file = read_text(image.get("code_file")) or read_text(image.get("debug_file"))
    if start is None:
        return _Image(_MAX_ADDRESS, 0, file)
    return _Image(start, start + size if size else _MAX_ADDRESS, file)


def read_address(value: object) -> int | None:
    """Return an address from a number, ``"0x7fff1000"`` or ``"4096"``, or ``None``."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = int(value[:32], 16 if value[:2].lower() == "0x" else 10)
        except ValueError:
            return None
    return value if isinstance(value, int) and 0 <= value < _MAX_ADDRESS else None
