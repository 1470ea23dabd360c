import gzip
import random
import zlib
from collections.abc import Callable

import brotli
import pytest

from tests import crawls
from transforms.crawl.http import TooLargeError, is_html, split_response, unpack_body

MAX = 1000
PAGE = crawls.PAGE
CHUNKED = b"".join([b"10\r\n", PAGE[:16], b"\r\n%x\r\n" % len(PAGE[16:]), PAGE[16:], b"\r\n0\r\n\r\n"])


@pytest.mark.parametrize("eol", ["\r\n", "\n"])
def test_split(eol: str) -> None:
    response = split_response(crawls.http(b"a\n\nb", 'Content-Type: Text/HTML; charset="EUC-JP"\nno colon', eol=eol))
    assert (response.status, response.body) == (200, b"a\n\nb")
    assert (response.media_type, response.charset) == ("text/html", "EUC-JP")


def test_bare_page() -> None:
    response = split_response(PAGE)
    assert (response.status, response.headers, response.body) == (200, {}, PAGE)


def test_status() -> None:
    assert split_response(crawls.http(status="404 Not Found")).status == 404
    assert split_response(b"HTTP/1.1").status == 0


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("", PAGE),
        ("Transfer-Encoding: chunked", CHUNKED),
        ("Transfer-Encoding: chunked", CHUNKED.replace(b"\r\n", b"\n")),
        ("Transfer-Encoding: chunked", CHUNKED.removesuffix(b"0\r\n\r\n")),
        ("Transfer-Encoding: chunked", PAGE),
        ("Content-Encoding: gzip", gzip.compress(PAGE)),
        ("", gzip.compress(PAGE)),
        ("Content-Encoding: gzip", PAGE),
        ("Content-Encoding: deflate", zlib.compress(PAGE)),
        ("Content-Encoding: deflate", zlib.compress(PAGE)[2:-4]),
        ("Content-Encoding: deflate", PAGE),
        ("Content-Encoding: br", brotli.compress(PAGE)),
        ("Content-Encoding: br", PAGE),
        ("Content-Encoding: zstd", crawls.zstandard(PAGE)),
        ("Content-Encoding: zstd", crawls.zstandard(PAGE[:20], PAGE[20:])),
        ("Content-Encoding: zstd", PAGE),
        ("", crawls.zstandard(PAGE)),
        ("Content-Encoding: x-gzip", gzip.compress(PAGE)),
        ("Content-Encoding: gzip, br", brotli.compress(gzip.compress(PAGE))),
        ("Content-Encoding: br, gzip", gzip.compress(brotli.compress(PAGE))),
        ("Content-Encoding: br, gzip", brotli.compress(PAGE)),  # the crawler has undone one
        ("Content-Encoding: br, gzip", PAGE),
        ("Content-Encoding: gzip, gzip", gzip.compress(gzip.compress(PAGE))),
        ("Content-Encoding: deflate\nTransfer-Encoding: gzip", gzip.compress(zlib.compress(PAGE))),
        ("Content-Encoding: UTF-8", PAGE),
        ("Content-Encoding: identity, klingon, gzip", gzip.compress(PAGE)),
        ("X-Crawler-Content-Encoding: br", PAGE),
    ],
)
def test_encodings_are_undone_only_if_present(headers: str, body: bytes) -> None:
    assert unpack_body(split_response(crawls.http(body, headers)), MAX) == PAGE


def test_chunked_and_gzipped() -> None:
    body = gzip.compress(PAGE)
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    headers = "Transfer-Encoding: chunked\nContent-Encoding: gzip"
    assert unpack_body(split_response(crawls.http(chunked, headers)), MAX) == PAGE


def test_gzip_of_several_members() -> None:
    body = gzip.compress(b"tea ") + gzip.compress(b"and water")
    assert unpack_body(split_response(crawls.http(body)), MAX) == b"tea and water"
    with pytest.raises(TooLargeError):
        unpack_body(split_response(crawls.http(gzip.compress(b"x" * 600) * 2)), MAX)


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("br", brotli.compress), ("deflate", zlib.compress), ("zstd", crawls.zstandard)],
)
def test_bombs_are_bounded_at_each_step(coding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(bytes(10**6))
    for codings, body in ((coding, packed), (f"{coding}, gzip", gzip.compress(packed)), (f"gzip, {coding}", packed)):
        with pytest.raises(TooLargeError, match="1,000"):
            unpack_body(split_response(crawls.http(body, f"Content-Encoding: {codings}")), MAX)


def test_a_truncated_body_gives_its_beginning() -> None:
    text = random.Random(1).randbytes(2**17).hex().encode()
    for coding, body in (("br", brotli.compress(text, quality=1)), ("zstd", crawls.zstandard(text))):
        found = unpack_body(split_response(crawls.http(body[:-20], f"Content-Encoding: {coding}")), 2**20)
        assert text.startswith(found)
        assert len(found) > 2**16


def test_truncated_gzip_gives_its_beginning() -> None:
    body = gzip.compress(bytes(range(256)) * 3)[:-200]
    assert unpack_body(split_response(crawls.http(body)), MAX).startswith(bytes(range(50)))


@pytest.mark.parametrize("body", [b"x" * 1001, gzip.compress(b"x" * 10**7)])
def test_too_large(body: bytes) -> None:
    with pytest.raises(TooLargeError, match="1,000"):
        unpack_body(split_response(crawls.http(body)), MAX)


@pytest.mark.parametrize(
    ("headers", "body", "identified", "expected"),
    [
        ("Content-Type: text/html", b"", "", True),
        ("Content-Type: application/xhtml+xml; charset=x", b"", "", True),
        ("Content-Type: application/pdf", PAGE, "", False),
        ("Content-Type: text/plain", PAGE, "text/html", False),
        ("", b"%PDF", "text/html", True),
        ("Content-Type: text/xml", b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">', "", True),
        ("Content-Type: application/xml", b'<?xml version="1.0"?><rss>http://www.w3.org/1999/xhtml', "", False),
        ("Content-Type: text/xml", b"<title>no page</title>", "", False),
        ("", b"\n<!-- c --> <!DOCTYPE html><html>", "", True),
        ("", b"\xef\xbb\xbf<HTML>", "", True),
        ("", b'<?xml version="1.0"?><html>', "", True),
        ("", b'<?xml version="1.0"?><rss>', "", False),
        ("", b"%PDF-1.4", "", False),
        ("", b"<!---->" * 500 + b"x", "", False),  # and at once
        ("", b" " * 4000 + b"x", "", False),
        ("", b"<!-- <html> -->", "", False),
    ],
)
def test_is_html(headers: str, body: bytes, identified: str, expected: bool) -> None:
    assert is_html(split_response(crawls.http(body, headers)), body, identified) is expected
