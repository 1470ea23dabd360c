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


def test_an_ascii_meta_that_names_utf_16_means_utf_8() -> None:
    page = "<meta http-equiv=Content-Type content='text/html; charset=unicode'>" + GERMAN * 5
    assert decode_page(page.encode(), None) == (page, "utf-8")


def test_double_encoded_text_is_repaired_line_by_line() -> None:
    twice = GERMAN.encode().decode("latin-1") + "\n日本語 café “quoted”\n" + GERMAN
    assert decode_page(twice.encode(), "utf-8") == (f"{GERMAN}\n日本語 café “quoted”\n{GERMAN}", "utf-8")


@pytest.mark.parametrize("codec", ["latin-1", "cp1252", "cp1251"])
def test_text_decoded_earlier_with_a_wrong_encoding(codec: str) -> None:
    for text in (
        "It\u2019s 3 \u2013 4 teas…" if codec != "latin-1" else "Grüße",
        "Привет мир" if codec == "cp1251" else "Grüße",
    ):
        assert repair(text.encode().decode(codec)) == text


@pytest.mark.parametrize("text", ["Citroën, “café”…", "São Paulo, MARÇO", "Â", "naïve Ã la carte"])
def test_unusual_but_valid_text_is_unchanged(text: str) -> None:
    assert repair(text) == text


def test_http_before_meta() -> None:
    page = '<meta charset="koi8-r">' + GERMAN
    assert decode_page(page.encode("cp1252"), "windows-1252") == (page, "windows-1252")


ENGLISH = "It\u2019s the “best” café in town \u2013 really…"
RUSSIAN = "Это чай. Вода сначала, потом листья, и никогда наоборот."
CHINESE = "中文页面测试茶葉與繁體字朱镕基"


@pytest.mark.parametrize(
    "label", ["windows-1251", "koi8-r", "shift_jis", "gb2312", "iso-8859-15", "euc-kr", "big5", "iso-2022-jp", "utf-16"]
)
@pytest.mark.parametrize("text", [ENGLISH, RUSSIAN, JAPANESE, "café"])
def test_utf_8_is_utf_8_whatever_the_label(label: str, text: str) -> None:
    page = f'<meta charset="{label}">{text}'
    assert decode_page(text.encode(), label) == (text, "utf-8")
    assert decode_page(page.encode(), None) == (page, "utf-8")
    assert decode_page(text.encode() * 9 + b"\x92", label) == (text * 9 + "\u2019", "utf-8")


@pytest.mark.parametrize(
    ("text", "codec", "label", "name"),
    [
        (RUSSIAN, "cp1251", "windows-1251", "windows-1251"),
        (RUSSIAN, "koi8-r", "koi8-r", "koi8-r"),
        (RUSSIAN, "cp1251", "utf-8", "windows-1251"),
        (JAPANESE, "iso2022_jp", "iso-2022-jp", "iso-2022-jp"),
        (JAPANESE, "iso2022_jp", None, "iso-2022-jp"),
        (JAPANESE, "cp932", "x-sjis", "shift_jis"),
        (CHINESE, "gbk", "gb2312", "gbk"),
        (CHINESE + "㐀", "gb18030", "GB2312", "gbk"),
        ("<p>" + JAPANESE, "utf-16-le", None, "utf-16le"),
        ("<p>" + JAPANESE, "utf-16-be", "utf-16", "utf-16be"),
        ("plain", "ascii", "koi8-r", "koi8-r"),
        ("plain", "ascii", "unicode", "utf-8"),
        ("plain", "ascii", "none", "utf-8"),
        ("Šťastný den v létě", "cp1250", "iso-8859-2", "iso-8859-2"),
        ("“tea” \u2013 and it\u2019s hot", "cp1252", "iso-8859-15", "iso-8859-15"),
    ],
)
def test_labels(text: str, codec: str, label: str | None, name: str) -> None:
    assert decode_page(text.encode(codec), label) == (text, name)


@pytest.mark.parametrize(
    ("declared", "is_xml", "name"),
    [
        ('<?xml version="1.0" encoding="iso-8859-2"?><html>', False, "iso-8859-2"),
        ("\n<?xml version='1.0' encoding = 'ISO-8859-2' standalone='yes' ?>", True, "iso-8859-2"),
        ('<?xml version="1.0" encoding="iso-8859-2"?><meta charset="windows-1257">', False, "windows-1257"),
        ('<?xml version="1.0" encoding="iso-8859-2"?><meta charset="windows-1257">', True, "iso-8859-2"),
        ('<?xml version="1.0" encoding="utf-16"?>', True, "windows-1252"),
        ('<?xml version="1.0" encoding="none"?><meta charset="none"><meta charset="iso-8859-2">', True, "iso-8859-2"),
    ],
)
def test_the_encoding_of_an_xml_declaration(declared: str, is_xml: bool, name: str) -> None:
    body = declared.encode() + "Zażółć gęślą jaźń. ".encode("iso-8859-2") * 20
    text, used = decode_page(body, None, is_xml=is_xml)
    assert used == name or name == "windows-1252", "whatever is detected"
    assert ("Zażółć gęślą jaźń" in text) == (used == "iso-8859-2")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"caf\xc3\xa9 it\x92s \x93so\x94", "café it\u2019s “so”"),
        (b"caf\xc3\xa9 caf\xe9 na\xefve \x80", "café café naïve €"),
        (b"caf\xc3\xa9 \xe2\x80<b> cut, \xf0\x9f\x98", "café \ufffd<b> cut, \ufffd"),
        (b"caf\xc3\xa9 \x81 of none", "café \ufffd of none"),
        (b"caf\xc3\xa9 \xed\xa0\xbd\xed\xb8\x80 \xed\xa0\xbd half", "café 😀 \ufffd half"),
        ("caf\xe9 \ufffd known".encode() + b"\x85", "café \ufffd known…"),
    ],
)
def test_single_bytes_in_utf_8_are_windows_1252(body: bytes, text: str) -> None:
    filler = "Grüße, äöü. " * 30
    assert decode_page(filler.encode() + body, None) == (filler + text, "utf-8")


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
        ("utf8mb4", "utf-8"),
        ("utf_8", "utf-8"),
        ("iso8859_1", "windows-1252"),
        ("macintosh", "macintosh"),
        ("x-mac-cyrillic", "x-mac-cyrillic"),
        ("base64", None),
        ("none", None),
        ("klingon", None),
        ("", None),
    ],
)
def test_whatwg_name(label: str, name: str | None) -> None:
    assert whatwg_name(label) == name
