"""Bytes of a web page to text: BOM, then UTF-8 if it is that, then HTTP, XML or `<meta>`, then detection.

Names are WHATWG's. What is UTF-8 beyond ASCII is hardly ever anything else, so that counts before any label.
Single bytes in it that are not are windows-1252's, whose quotation marks are pasted into pages of all kinds.
"""

import codecs
import re
from collections.abc import Iterator

from ftfy import fix_encoding
from ftfy.badness import badness
from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16le"), (codecs.BOM_UTF16_BE, "utf-16be"))
META = re.compile(rb"""<meta[^>]{1,500}?charset\s*=\s*["']?\s*([\w:.+-]{2,40})""", re.IGNORECASE)
META_BYTES = 4096  # browsers look at 1024; pages with long comments put it later
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
# What WHATWG means by these names is more than what Python does.
CODECS = {
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
}
MAX_BAD_SHARE = 0.01  # of the characters; a page cut in the middle of a character is still a page
CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f\ufffd]")
ASCII_CONTROLS = bytes(code for code in range(128) if CONTROLS.match(chr(code)))
# UTF-8 read as Latin-1 or windows-1252 has such pairs, and as windows-1251 such ones; ftfy itself is too slow to see
# every page.
SUSPECT = re.compile(
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2022\u2026\u2030\u2039"
    "\u203a\u20ac\u2122]"
)
LATE = "\u0401-\u040f\u0451-\u045f\u0490\u0491\u00a0-\u00bb\u2013-\u203a\u20ac\u2116\u2122"
SUSPECT_CYRILLIC = re.compile(f"[\u0420\u0421][{LATE}][\u0420\u0421][{LATE}]")
PURER = 4  # times as many characters of UTF-8 as bytes that are none, and it is UTF-8 whatever the label
ANSI = {  # what the control characters of these mean, which no page has
    name: {code: bytes([code]).decode(codec, errors="replace") for code in range(0x80, 0xA0)}
    for name, codec in {"iso-8859-2": "cp1250", "iso-8859-15": "cp1252"}.items()
}
UTF_16 = ((b"<\0", "utf-16le"), (b"\0<", "utf-16be"))  # without a BOM
SURROGATES = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
MIXED = "utf-8 with windows-1252"


class UndecodableError(ValueError):
    """Bytes that are text in none of the encodings named or detected."""


def decode_page(body: bytes, http_charset: str | None, *, is_xml: bool = False) -> tuple[str, str]:
    """The page's text and the WHATWG name of the encoding it is in.

    The first encoding counts under which at most 1 % of the characters are impossible; a label
    that lies is passed over, so the name returned is the one that was used.

    Raises:
        UndecodableError: no encoding fits; says which were tried.
    """
    tried = []
    for name in _candidates(body, http_charset, is_xml):
        if name in tried:
            continue
        tried.append(name)
        text, n_bad = _utf8(body) if name == "utf-8" else (_decoded(body, name), 0)
        text = repair(text.removeprefix("\ufeff"))
        if _n_controls(text) + n_bad <= MAX_BAD_SHARE * len(text):
            return text, name
    raise UndecodableError(f"{len(body):,} bytes are no text in {', '.join(tried)}")


def _decoded(body: bytes, name: str) -> str:
    text = body.decode(CODECS.get(name, name), errors="replace")
    return text.translate(ANSI[name]) if name in ANSI else text


def _utf8(body: bytes) -> tuple[str, int]:
    """The body as UTF-8, and how many of its bytes speak against that: those that are none, where they are the most."""
    try:
        return body.decode(), 0
    except UnicodeDecodeError:
        n_good, n_bad = _utf8_characters(body)
        return body.decode(errors=MIXED), n_bad if n_bad > n_good else 0


def _utf8_characters(body: bytes) -> tuple[int, int]:
    """How many characters beyond ASCII are UTF-8, and how many bytes or pieces of characters are none."""
    if b"\xed" in body:
        body = SURROGATE.sub(b"\xff", SURROGATES.sub(b"\xf0\x90\x80\x80", body))
    text = body.decode(errors="replace")
    n_bad = text.count("\ufffd") - body.count("\ufffd".encode())
    return len(text) - len(text.encode("ascii", errors="ignore")) - n_bad, n_bad


def _windows_1252(error: UnicodeError) -> tuple[str, int]:
    """What to put for bytes that are not UTF-8: a single one is windows-1252's, a piece of a character is U+FFFD.

    Half of a surrogate pair is one as well, and both are a character: so Java and MySQL write what is beyond U+FFFF.
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
    """The text with those lines mended that were decoded wrongly before they were encoded (`MÃ¼nchen`).

    A line is changed only where ftfy finds it bad, and less bad afterwards.
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
    """The WHATWG name that a label stands for, None for a label that names no encoding."""
    label = label.strip().lower()
    known = map_encoding_to_html5(label, fallback_utf8=False) or _names_of_programs(label)
    if known is None:
        return None
    name = WHATWG_NAMES.get(known, known)
    return re.sub(r"^iso8859[-_]?", "iso-8859-", re.sub(r"^cp(125\d|874)$", r"windows-\1", name))


def _names_of_programs(label: str) -> str | None:
    """What Python and databases call encodings (`iso8859_1`, `utf8mb4`), as WHATWG does."""
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
    for found in filter(None, (in_xml, *in_html) if is_xml else (*in_html, in_xml)):
        if name := whatwg_name(found[1].decode("ascii", errors="replace")):
            yield "utf-8" if name.startswith("utf-16") else name  # it was read byte by byte: WHATWG says the same
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
