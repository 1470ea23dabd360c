"""Parse the HTTP part of a WARC record: header block, transfer and content encodings, media type.

Accepts the deviations of real crawls: header blocks with bare LF (ClueWeb09), HTML without the announced
HTTP response (ClueWeb22), and headers that name encodings already removed (both, Common Crawl).
"""

import gzip
import io
import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from fastwarc.stream_io import BrotliReader, ZstdReader

from transforms.crawl.xhtml import NAMESPACE

END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
HTML_TYPES = {"text/html", "application/xhtml+xml"}
XML_TYPES = {"application/xml", "text/xml"}  # HTML only with its namespace in the page
HTML_TAGS = r"!doctype\s+html|html|head|body|title|meta|h[1-6]|div|p|table|center|font|script|link"
# No part can backtrack: an unclosed comment would otherwise take unbounded time.
HTML_START = re.compile(rf"(?:<\?xml[^>]*+>|(?><!--.*?-->)|\s)*+<(?:{HTML_TAGS})\b".encode(), re.IGNORECASE | re.DOTALL)
SNIFF_BYTES = 4096
CHUNK_BYTES = 2**16
MAX_CODINGS = 4
UNMARKED = {"deflate", "zlib", "br", "brotli"}  # codings without a magic number
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")  # occur in compressed bytes, but in no page


class TooLargeError(ValueError):
    """A body that unpacks to more bytes than allowed."""


@dataclass(frozen=True)
class Response:
    """A response as stored: status 200 and no headers if the record contains only the page."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """The media type in lower case; empty if the server named none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str | None:
        """The charset label of the Content-Type header; it may name no known encoding."""
        match = re.search(r"""charset\s*=\s*["']?([^\s"';,]+)""", self.headers.get("content-type", ""), re.IGNORECASE)
        return match[1] if match else None


def split_response(block: bytes) -> Response:
    """Split a record's block into status, headers and body."""
    if not block.startswith(b"HTTP/"):
        return Response(200, {}, block)
    end = END_OF_HEADERS.search(block)
    head, body = (block[: end.start()], block[end.end() :]) if end else (block, b"")
    status_line, *lines = re.split(r"\r?\n", head.decode("latin-1"))
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}
    status = re.match(r"HTTP/\S*\s+(\d{3})", status_line)
    return Response(int(status[1]) if status else 0, headers, body)


def unpack_body(response: Response, max_bytes: int) -> bytes:
    """Return the page's bytes, removing chunking and compression where they are really present.

    Raises:
        TooLargeError: the body exceeds `max_bytes` after any step.
    """
    body = response.body
    if "chunked" in response.headers.get("transfer-encoding", "").lower():
        body = _dechunk(body)
    named = (response.headers.get(name, "") for name in ("content-encoding", "transfer-encoding"))
    codings = re.findall(r"[\w-]+", ",".join(named).lower())[-MAX_CODINGS:]
    # The last coding is the outermost; gzip and Zstandard are recognised by their first bytes, even unnamed.
    for coding in [*reversed(codings), "gzip", "zstd"]:
        body = _decoded(body, coding.removeprefix("x-"), max_bytes)
        if len(body) > max_bytes:
            raise TooLargeError(f"the body has more than {max_bytes:,} bytes")
    return body


def _decoded(body: bytes, coding: str, max_bytes: int) -> bytes:
    """Remove one coding, up to any damage; return the body itself if it is not so encoded."""
    if body.startswith(GZIP):
        return _gunzip(body, max_bytes)
    if body.startswith(ZSTD):
        return _read(ZstdReader(io.BytesIO(body)), max_bytes) or body
    if coding not in UNMARKED or not BINARY.search(body, 0, SNIFF_BYTES):  # the crawler has already decoded it
        return body
    if coding in ("deflate", "zlib"):
        return _inflate(body, 15 if body[:1] == b"\x78" else -15, max_bytes)
    return _read(BrotliReader(io.BytesIO(body)), max_bytes) or body


def is_html(response: Response, body: bytes, identified_type: str) -> bool:
    """Return whether the page is HTML: by the server's media type, else the crawl's, else its first bytes."""
    media_type = response.media_type or identified_type
    if media_type and media_type not in XML_TYPES:
        return media_type in HTML_TYPES
    head = body[:SNIFF_BYTES].removeprefix(b"\xef\xbb\xbf")
    return HTML_START.match(head) is not None and (not media_type or NAMESPACE in head)


def _dechunk(body: bytes) -> bytes:
    """Join the chunks; return `body` itself unless it is chunked to its end or to a truncated chunk."""
    parts, at = [], 0
    while at < len(body):
        size = CHUNK_SIZE.match(body, at)
        if size is None:
            return body
        n = int(size[1], 16)
        if n == 0:
            break
        parts.append(body[size.end() : size.end() + n])
        at = size.end() + n
        at += 2 if body[at : at + 2] == b"\r\n" else 1 if body[at : at + 1] == b"\n" else 0
    return b"".join(parts)


def _gunzip(body: bytes, max_bytes: int) -> bytes:
    """Unpack all gzip members, up to any damage; return the body itself if nothing unpacks."""
    unpacked = bytearray()
    with suppress(OSError, EOFError, zlib.error), gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
        while len(unpacked) <= max_bytes and (chunk := stream.read1(CHUNK_BYTES)):
            unpacked += chunk
    return bytes(unpacked) or body


def _inflate(body: bytes, window: int, max_bytes: int) -> bytes:
    """Inflate the body, up to any truncation; return the body itself if it is not deflated."""
    unpacker = zlib.decompressobj(window)
    try:
        unpacked = unpacker.decompress(body, max_bytes + 1)
    except zlib.error:
        return body
    return unpacked or body


def _read(packed: BrotliReader | ZstdReader, max_bytes: int) -> bytes:
    """Read all bytes of a decompressor, up to damage, truncation or the first chunk past `max_bytes`."""
    unpacked = bytearray()
    with suppress(OSError, ValueError):
        while len(unpacked) <= max_bytes and (chunk := packed.read(CHUNK_BYTES)):
            unpacked += chunk
    return bytes(unpacked)
