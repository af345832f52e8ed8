"""Find where a request's head and its chunked body end, while the bytes arrive.

This module finds only the ends; gunicorn's parser reads the content. If the two could disagree, the
request is refused. A seeded test compares them (``tests/server/test_framing.py``).
"""

from __future__ import annotations

# gunicorn's bound for the line with the size of a chunk.
MAX_SIZE_LINE = 8190
MAX_TRAILER_BYTES = 64 * 1024
_HEX = frozenset(b"0123456789abcdefABCDEF")


class FramingError(ValueError):
    """The end of the request cannot be determined."""


def end_of_head(buffer: bytearray, searched: int = 0) -> int | None:
    """Return the size of the head with its empty line in bytes, ``None`` if it is incomplete.

    :param searched: how many bytes an earlier call has searched, so that each is searched once.
    :raise FramingError: a line ends without CR, so that the head may never end.
    """
    end = buffer.find(b"\r\n\r\n", max(0, searched - 3))
    if end >= 0:
        return end + 4
    at = buffer.find(b"\n", searched)
    while at >= 0:
        if at == 0 or buffer[at - 1] != 0x0D:
            raise FramingError("a line of the head ends without CR")
        at = buffer.find(b"\n", at + 1)
    return None


class ChunkScanner:
    """Finds the end of a chunked body.

    :ivar received: bytes of content so far, including those announced by the current chunk.
    :ivar is_whole: whether the end was found.
    """

    def __init__(self) -> None:
        self.received = 0
        self.is_whole = False
        self._line = bytearray()  # The received part of a size line or of the trailers.
        self._left = 0  # Remaining bytes of the chunk's content and of the CRLF after it.
        self._in_trailers = False

    def feed(self, data: bytes) -> int:
        """Scan the next bytes, and return how many of them belong to the body.

        :raise FramingError: the body is not chunked as RFC 9112 specifies.
        """
        at = 0
        while at < len(data) and not self.is_whole:
            if self._left:
                at = self._skip_content(data, at)
            elif self._in_trailers:
                at = self._read_trailers(data, at)
            else:
                at = self._read_size(data, at)
        return at

    def _skip_content(self, data: bytes, at: int) -> int:
        # The last two of the remaining bytes must be CRLF.
        taken = min(len(data) - at, self._left)
        for offset, expected in ((2, 0x0D), (1, 0x0A)):
            place = at + self._left - offset
            if at <= place < at + taken and data[place] != expected:
                raise FramingError("a chunk is longer than its size")
        self._left -= taken
        return at + taken

    def _read_size(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        self._line += data[at : end + 1 if end >= 0 else len(data)]
        if len(self._line) > MAX_SIZE_LINE:
            raise FramingError("the line with a chunk's size is too long")
        if end < 0:
            return len(data)
        size = _size_in(bytes(self._line))
        self._line.clear()
        self.received += size
        if size:
            self._left = size + 2
        else:
            self._in_trailers = True
        return end + 1

    def _read_trailers(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        line_start = self._line.rfind(b"\n") + 1
        self._line += data[at : end + 1 if end >= 0 else len(data)]
        if len(self._line) > MAX_TRAILER_BYTES:
            raise FramingError("the trailers are too long")
        if end < 0:
            return len(data)
        line = self._line[line_start:]
        if not line.endswith(b"\r\n"):
            raise FramingError("a trailer ends without CR")
        self.is_whole = line == b"\r\n"
        return end + 1


def _size_in(line: bytes) -> int:
    if not line.endswith(b"\r\n"):
        raise FramingError("the line with a chunk's size ends without CR")
    text, semicolon, extension = line[:-2].partition(b";")
    if semicolon:
        text = text.rstrip(b" \t")
    if not text or not _HEX.issuperset(text) or b"\r" in extension:
        raise FramingError("a chunk has no size")
    return int(text, 16)
