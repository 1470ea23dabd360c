import codecs
import random

import pytest

from transforms.crawl.charset import UndecodableError, decode_page, repair, whatwg_name

GERMAN = "<p>Grüße aus Köln: schöne Straßen, müde Füße.</p>" * 5
THAI = "ชาร้อนดีสำหรับตอนเช้า " * 5
JAPANESE = "<p>日本語のページです。漢字とかなを使います。</p>" * 5


@pytest.mark.parametrize(
    ("body", "http", "text", "charset"),
    [
        (GERMAN.encode(), None, GERMAN, "utf-8"),
        (GERMAN.encode("cp1252"), "ISO-8859-1", GERMAN, "windows-1252"),
        (codecs.BOM_UTF8 + GERMAN.encode(), "iso-8859-1", GERMAN, "utf-8"),
        (codecs.BOM_UTF16_LE + GERMAN.encode("utf-16-le"), None, GERMAN, "utf-16le"),
        (JAPANESE.encode("euc-jp"), "EUC-JP", JAPANESE, "euc-jp"),
        (JAPANESE.encode("cp932"), "Shift_JIS", JAPANESE, "shift_jis"),
        (JAPANESE.encode("euc-jp"), None, JAPANESE, "euc-jp"),  # detected
        (JAPANESE.encode("euc-jp"), "utf-8", JAPANESE, "euc-jp"),  # the label lies
        (THAI.encode("cp874"), "tis-620", THAI, "windows-874"),
        (GERMAN.encode(), "klingon", GERMAN, "utf-8"),  # the label names nothing
        (GERMAN.encode()[:61], "utf-8", GERMAN[:56] + "\ufffd", "utf-8"),  # cut within a character
    ],
)
def test_decode(body: bytes, http: str | None, text: str, charset: str) -> None:
    if text.endswith("\ufffd"):
        decoded, name = decode_page(body, http)
        assert (decoded.rstrip("\ufffd"), name) == (body.decode(errors="ignore"), charset)
    else:
        assert decode_page(body, http) == (text, charset)


@pytest.mark.parametrize("meta", ['<meta charset="euc-jp">', "<META http-equiv=x content='text/html; charset=EUC-JP'>"])
def test_meta(meta: str) -> None:
    page = meta + JAPANESE
    assert decode_page(page.encode("euc-jp"), None) == (page, "euc-jp")


def test_a_meta_that_can_be_read_byte_by_byte_does_not_mean_utf_16() -> None:
    page = "<meta http-equiv=Content-Type content='text/html; charset=unicode'>" + GERMAN * 5
    assert decode_page(page.encode(), None) == (page, "utf-8")


def test_text_that_was_encoded_twice_is_mended_line_by_line() -> None:
    twice = GERMAN.encode().decode("latin-1") + "\n日本語 café “quoted”\n" + GERMAN
    assert decode_page(twice.encode(), "utf-8") == (f"{GERMAN}\n日本語 café “quoted”\n{GERMAN}", "utf-8")


@pytest.mark.parametrize("text", ["Citroën, “café”…", "São Paulo, MARÇO", "Â", "naïve Ã la carte"])
def test_text_that_only_looks_odd_stays(text: str) -> None:
    assert repair(text) == text


def test_http_before_meta() -> None:
    page = '<meta charset="koi8-r">' + GERMAN
    assert decode_page(page.encode("cp1252"), "windows-1252") == (page, "windows-1252")


@pytest.mark.parametrize("body", [bytes(range(32)) * 20, random.Random(1).randbytes(5000)])
def test_undecodable(body: bytes) -> None:
    with pytest.raises(UndecodableError, match="utf-8"):
        decode_page(body, "klingon")


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("latin1", "windows-1252"),
        ("ASCII", "windows-1252"),
        (" UTF8 ", "utf-8"),
        ("gb2312", "gbk"),
        ("iso-8859-2", "iso-8859-2"),
        ("windows-1251", "windows-1251"),
        ("x-sjis", "shift_jis"),
        ("cp866", "ibm866"),
        ("csISO2022JP", "iso-2022-jp"),
        ("tis-620", "windows-874"),
        ("klingon", None),
        ("", None),
    ],
)
def test_whatwg_name(label: str, name: str | None) -> None:
    assert whatwg_name(label) == name
