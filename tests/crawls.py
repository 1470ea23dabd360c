"""Imitations of WARC records as crawlers write them; no crawl data is copied."""

import base64
import gzip
import hashlib
from io import BytesIO

from fastwarc.stream_io import ZstdWriter

FILE_ID = "5b6ee7b1-1f0c-4a5e-9d5c-3c1f0e7a2b44"  # a random UUID, such as crawlers give each file
PAGE = b"<html><body><h1>Tea</h1><p>Water first.</p></body></html>"


def http(
    body: bytes = PAGE, headers: str = "Content-Type: text/html", status: str = "200 OK", eol: str = "\r\n"
) -> bytes:
    """Build a stored HTTP response."""
    lines = [f"HTTP/1.1 {status}", *(line for line in headers.split("\n") if line), "", ""]
    return eol.join(lines).encode("latin-1") + body


def record(
    block: bytes | None = None,
    url: str = "http://example.org/tea",
    kind: str = "response",
    content_type: str = "application/http; msgtype=response",
    date: str = "2024-05-06T07:08:09Z",
    extra: str = "",
    version: str = "1.0",
    eol: str = "\r\n",
    length: int | None = None,
    file_id: str = FILE_ID,
) -> bytes:
    """Build a WARC record; `length` overrides the true Content-Length, and -1 leaves it out. Without
    a `file_id` the record has no block digest either, as in ClueWeb."""
    block = http() if block is None else block
    n = len(block) if length is None else length
    lines = [
        f"WARC/{version}",
        f"WARC-Type: {kind}",
        f"WARC-Target-URI: {url}",
        f"WARC-Date: {date}",
        "WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-000000000001>",
        f"Content-Type: {content_type}",
        *([f"WARC-Warcinfo-ID: <urn:uuid:{file_id}>", f"WARC-Block-Digest: {block_digest(block)}"] if file_id else []),
        *(line for line in extra.split("\n") if line),
        *([] if n < 0 else [f"Content-Length: {n}"]),
    ]
    return (eol.join(lines) + eol * 2).encode() + block + (eol * 2).encode()


def block_digest(block: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(block).digest()).decode()


def packed(*records: bytes) -> bytes:
    """Compress each record to one gzip member, as the standard recommends."""
    return b"".join(gzip.compress(r) for r in records)


def zstandard(*records: bytes) -> bytes:
    """Compress each record to one Zstandard frame."""
    frames = BytesIO()
    for each in records:
        frame = BytesIO()
        writer = ZstdWriter(frame)
        writer.write(each)
        writer.close()
        frames.write(frame.getvalue())
    return frames.getvalue()


def clueweb09(body: bytes = PAGE, url: str = "http://example.org/tea") -> bytes:
    """Build a record as in ClueWeb09: WARC/0.18, LF only in the HTTP block, an impossible date, a gzip header on plain text."""
    block = http(body, "Content-Type: text/html\nContent-Encoding: gzip", eol="\n")
    trec = "WARC-TREC-ID: clueweb09-en0000-00-00000"
    return record(block, url, version="0.18", date="2009-03-65T08:43:19-0800", extra=trec, eol="\n")


def clueweb22(body: bytes = PAGE, url: str = "http://example.org/tea\n") -> bytes:
    """Build a record as in ClueWeb22: bare HTML declared as an HTTP response, and a URL that ends in a line break."""
    return record(body, url.strip(), extra="ClueWeb22-ID: clueweb22-en0000-00-00000")


def common_crawl(body: bytes = PAGE, url: str = "http://example.org/tea") -> list[bytes]:
    """Build request, response and metadata as in Common Crawl: the body is decoded, and the encoding header renamed."""
    headers = "Content-Type: text/html; charset=UTF-8\nX-Crawler-Content-Encoding: gzip"
    return [
        record(b"GET / HTTP/1.1\r\n\r\n", url, "request", "application/http; msgtype=request"),
        record(http(body, headers), url, extra="WARC-Identified-Payload-Type: text/html"),
        record(b"fetchTimeMs: 5\r\n", url, "metadata", "application/warc-fields"),
    ]
