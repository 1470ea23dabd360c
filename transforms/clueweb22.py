"""ClueWeb22's text files (`.json.gz`): a JSON object a line, one gzip member for each or one for all."""

import json
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from transforms.warc import Defect, NotWarcError, Record, next_member

CHUNK = 2**20  # bytes read, and unpacked, at a time


def read_texts(stream: BinaryIO, max_bytes: int) -> Iterator[Record | Defect]:
    """The texts of a file as records without markup; a line that is none is a `Defect`.

    Raises:
        NotWarcError: the file holds no such line at all.
    """
    n_texts = 0
    for offset, line in _lines(stream, max_bytes):
        found = line if isinstance(line, Defect) else _record(offset, line)
        n_texts += isinstance(found, Record)
        yield found
    if not n_texts:
        raise NotWarcError("no line in it is a ClueWeb22 text: an object with URL, ClueWeb22-ID and Clean-Text")


def _record(offset: int, line: bytes) -> Record | Defect:
    try:
        value = json.loads(line)
        url, source_id, text = (value[key] for key in ("URL", "ClueWeb22-ID", "Clean-Text"))
        block = text.encode("utf-8", errors="surrogatepass")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Defect(offset, "broken_record", f"no ClueWeb22 text: {type(error).__name__}: {error}")
    return Record(offset, str(url).strip(), None, str(source_id), "text/plain", "text/plain", block, is_text=True)


def _lines(stream: BinaryIO, max_bytes: int) -> Iterator[tuple[int, bytes | Defect]]:
    """Each line with the offset of the gzip member that it begins in; too long a one is passed over."""
    after: int | None = 0
    while (start := after) is not None:
        line, skipping = bytearray(), False
        try:
            for data in _unpacked(stream, start):
                *whole, rest = data.split(b"\n")
                for piece in whole:
                    if not skipping and (line or piece.strip()):
                        yield start, bytes(line + piece)
                    line, skipping = bytearray(), False
                line += rest
                if len(line) > max_bytes and not skipping:
                    yield start, Defect(start, "too_large", f"a line of more than {max_bytes:,} bytes")
                    skipping = True
                if skipping:
                    line.clear()
            if line.strip():
                yield start, bytes(line)
            end = stream.tell()
            after = end if stream.read(1) else None
        except (zlib.error, EOFError) as error:
            yield start, Defect(start, "broken_record", f"at or after this place: {error}")
            after = next_member(stream, start + 1, b"{")


def _unpacked(stream: BinaryIO, start: int) -> Iterator[bytes]:
    """The contents of one gzip member; the stream stands at its end afterwards."""
    stream.seek(start)
    unpacker = zlib.decompressobj(31)
    while not unpacker.eof:
        data = unpacker.unconsumed_tail or stream.read(CHUNK)
        if not data:
            raise EOFError("the file ends within a gzip member")
        yield unpacker.decompress(data, CHUNK)
    stream.seek(-len(unpacker.unused_data), 1)
