"""Decode the bytes of a web page: by BOM, then as valid UTF-8, then by HTTP, XML or `<meta>`, then by detection.

Encoding names are WHATWG's. Non-ASCII bytes that are valid UTF-8 are hardly ever in another encoding, so UTF-8 comes
before any label. Single invalid bytes in UTF-8 are read as windows-1252, whose quotation marks are pasted into pages
of all kinds.
"""

import codecs
import re
from collections.abc import Iterator

from ftfy import fix_encoding
from ftfy.badness import badness
from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16le"), (codecs.BOM_UTF16_BE, "utf-16be"))
META = re.compile(rb"""<meta[^>]{1,500}?charset\s*=\s*["']?\s*([\w:.+-]{2,40})""", re.IGNORECASE)
META_BYTES = 4096  # browsers read 1024; in pages with long comments `<meta>` comes later
XML = re.compile(rb"""\s*<\?xml\b[^>]{1,300}?\bencoding\s*=\s*["']\s*([\w:.+-]{2,40})""")
WHATWG_NAMES = {
    "ascii": "windows-1252",
    "euc_jp": "euc-jp",
    "euc_kr": "euc-kr",
    "koi8_r": "koi8-r",
    "koi8_u": "koi8-u",
    "mac-roman": "macintosh",
    "mac_roman": "macintosh",
    "mac-cyrillic": "x-mac-cyrillic",
    "utf-16-le": "utf-16le",
    "utf-16-be": "utf-16be",
    "cp949": "euc-kr",
    "cp932": "shift_jis",
    "cp866": "ibm866",
    "iso2022_jp": "iso-2022-jp",
    "iso8859-11": "windows-874",
}
# Under these names WHATWG defines a larger character set than Python does.
CODECS = {
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
}
MAX_BAD_SHARE = 0.01  # of the characters; a page truncated within a character is still accepted
CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f\ufffd]")
ASCII_CONTROLS = bytes(code for code in range(128) if CONTROLS.match(chr(code)))
# Pairs that appear when UTF-8 is read as Latin-1 or windows-1252, and below as windows-1251; ftfy is too slow to run on
# every page.
SUSPECT = re.compile(
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2022\u2026\u2030\u2039"
    "\u203a\u20ac\u2122]"
)
LATE = "\u0401-\u040f\u0451-\u045f\u0490\u0491\u00a0-\u00bb\u2013-\u203a\u20ac\u2116\u2122"
SUSPECT_CYRILLIC = re.compile(f"[\u0420\u0421][{LATE}][\u0420\u0421][{LATE}]")
PURER = 4  # with more valid UTF-8 characters than this times the invalid bytes, a page is UTF-8 whatever its label
ANSI = {  # control characters, which no page contains, are read by the Windows counterpart of these encodings
    name: {code: bytes([code]).decode(codec, errors="replace") for code in range(0x80, 0xA0)}
    for name, codec in {"iso-8859-2": "cp1250", "iso-8859-15": "cp1252"}.items()
}
UTF_16 = ((b"<\0", "utf-16le"), (b"\0<", "utf-16be"))  # without a BOM
SURROGATES = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
MIXED = "utf-8 with windows-1252"


class UndecodableError(ValueError):
    """Bytes that are valid text in no encoding that the page names or detection suggests."""


def decode_page(body: bytes, http_charset: str | None, *, is_xml: bool = False) -> tuple[str, str]:
    """Return the page's text and the WHATWG name of its encoding.

    The first encoding is used under which at most 1 % of the characters are impossible. A wrong label is
    skipped: the name returned is that of the encoding used.

    Raises:
        UndecodableError: no encoding fits; the message lists those tried.
    """
    names_tried = []
    for name in _candidates(body, http_charset, is_xml):
        if name in names_tried:
            continue
        names_tried.append(name)
        text, n_bad = _utf8(body) if name == "utf-8" else (_decoded(body, name), 0)
        text = repair(text.removeprefix("\ufeff"))
        if _n_controls(text) + n_bad <= MAX_BAD_SHARE * len(text):
            return text, name
    raise UndecodableError(f"{len(body):,} bytes are not valid text in any of {', '.join(names_tried)}")


def _decoded(body: bytes, name: str) -> str:
    text = body.decode(CODECS.get(name, name), errors="replace")
    return text.translate(ANSI[name]) if name in ANSI else text


def _utf8(body: bytes) -> tuple[str, int]:
    """Decode the body as UTF-8 and count its invalid bytes; the count is 0 unless they outnumber valid characters."""
    try:
        return body.decode(), 0
    except UnicodeDecodeError:
        n_good, n_bad = _utf8_characters(body)
        return body.decode(errors=MIXED), n_bad if n_bad > n_good else 0


def _utf8_characters(body: bytes) -> tuple[int, int]:
    """Count the non-ASCII characters in valid UTF-8, and the invalid bytes or incomplete characters."""
    if b"\xed" in body:
        body = SURROGATE.sub(b"\xff", SURROGATES.sub(b"\xf0\x90\x80\x80", body))
    text = body.decode(errors="replace")
    n_bad = text.count("\ufffd") - body.count("\ufffd".encode())
    return len(text) - len(text.encode("ascii", errors="ignore")) - n_bad, n_bad


def _windows_1252(error: UnicodeError) -> tuple[str, int]:
    """Replace invalid UTF-8: a single byte is read as windows-1252, an incomplete character becomes U+FFFD.

    An encoded surrogate pair becomes one character, as Java and MySQL write those beyond U+FFFF; half a pair, U+FFFD.
    """
    assert isinstance(error, UnicodeDecodeError)
    body, start, end = error.object, error.start, error.end
    if pair := SURROGATES.match(body, start):
        return pair[0].decode("utf-8", errors="surrogatepass").encode("utf-16", "surrogatepass").decode(
            "utf-16"
        ), pair.end()
    if half := SURROGATE.match(body, start):
        return "\ufffd", half.end()
    if end - start > 1 or (end == len(body) and body[start] >= 0xC2):  # cut within a character
        return "\ufffd", end
    return body[start:end].decode("cp1252", errors="replace"), end


codecs.register_error(MIXED, _windows_1252)


def repair(text: str) -> str:
    """Repair the lines that were decoded wrongly before they were encoded (`MÃ¼nchen`).

    A line changes only if ftfy rates it as bad, and the repaired line as less bad.
    """
    if text.isascii() or not _is_suspect(text):
        return text
    return "\n".join(_repaired_line(line) for line in text.split("\n"))


def _is_suspect(text: str) -> bool:
    if SUSPECT.search(text) or "\u0432\u0402" in text:
        return True
    return ("\u0420" in text or "\u0421" in text) and SUSPECT_CYRILLIC.search(text) is not None


def _repaired_line(line: str) -> str:
    if not _is_suspect(line) or not (bad := badness(line)):
        return line
    mended = fix_encoding(line)
    return mended if badness(mended) < bad else line


def whatwg_name(label: str) -> str | None:
    """Return the WHATWG name for a label, or None if it names no encoding."""
    label = label.strip().lower()
    known = map_encoding_to_html5(label, fallback_utf8=False) or _program_name(label)
    if known is None:
        return None
    name = WHATWG_NAMES.get(known, known)
    return re.sub(r"^iso8859[-_]?", "iso-8859-", re.sub(r"^cp(125\d|874)$", r"windows-\1", name))


def _program_name(label: str) -> str | None:
    """Translate a name used by Python or a database (`iso8859_1`, `utf8mb4`) to WHATWG's; None if it is unknown."""
    if re.match(r"utf[-_ ]?8", label):
        return "utf-8"
    try:
        name = codecs.lookup(label.removeprefix("x-")).name
    except (LookupError, ValueError):
        return None
    return name if name in WHATWG_NAMES else map_encoding_to_html5(name, fallback_utf8=False)


def _n_controls(text: str) -> int:
    if text.isascii():  # many times faster
        return len(text) - len(text.encode().translate(None, delete=ASCII_CONTROLS))
    return len(CONTROLS.findall(text))


def _candidates(body: bytes, http_charset: str | None, is_xml: bool) -> Iterator[str]:
    yield from (name for bom, name in BOMS if body.startswith(bom))
    if not body.isascii() and _is_utf8(body):
        yield "utf-8"
    has_nuls = b"\0" in body[:META_BYTES]
    yield from (name for opening, name in UTF_16 if body.startswith(opening))
    if http_charset and (name := whatwg_name(http_charset)) and (has_nuls or not name.startswith("utf-16")):
        yield name
    in_xml, in_html = XML.match(body, 0, META_BYTES), META.finditer(body, 0, META_BYTES)
    for match in filter(None, (in_xml, *in_html) if is_xml else (*in_html, in_xml)):
        if name := whatwg_name(match[1].decode("ascii", errors="replace")):
            yield "utf-8" if name.startswith("utf-16") else name  # a label readable as ASCII is not UTF-16 (WHATWG)
    if b"\x1b$" in body and body.isascii():
        yield "iso-2022-jp"
    yield "utf-8"
    detected = detect_encoding(body)
    if detected and (name := whatwg_name(detected)):
        yield name


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
        return True
    except UnicodeDecodeError:
        n_good, n_bad = _utf8_characters(body)
        return n_good > PURER * n_bad
