"""Bytes of a web page to text: BOM, then HTTP, then `<meta>`, then detection; names as WHATWG has them."""

import codecs
import re
from collections.abc import Iterator

from ftfy import fix_encoding
from ftfy.badness import badness
from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16le"), (codecs.BOM_UTF16_BE, "utf-16be"))
META = re.compile(rb"""<meta[^>]{1,500}?charset\s*=\s*["']?\s*([\w:.+-]{2,40})""", re.IGNORECASE)
META_BYTES = 4096  # browsers look at 1024; pages with long comments put it later
WHATWG_NAMES = {
    "ascii": "windows-1252",
    "euc_jp": "euc-jp",
    "euc_kr": "euc-kr",
    "koi8_r": "koi8-r",
    "koi8_u": "koi8-u",
    "mac_roman": "macintosh",
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
}
MAX_BAD_SHARE = 0.01  # of the characters; a page cut in the middle of a character is still a page
CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f\ufffd]")
ASCII_CONTROLS = bytes(code for code in range(128) if CONTROLS.match(chr(code)))
# UTF-8 read as Latin-1 or windows-1252 has such pairs; ftfy itself is too slow to see every page.
SUSPECT = re.compile(
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2022\u2026\u2030\u2039"
    "\u203a\u20ac\u2122]"
)


class UndecodableError(ValueError):
    """Bytes that are text in none of the encodings named or detected."""


def decode_page(body: bytes, http_charset: str | None) -> tuple[str, str]:
    """The page's text and the WHATWG name of the encoding it is in.

    The first encoding counts under which at most 1 % of the characters are impossible; a label
    that lies is passed over, so the name returned is the one that was used.

    Raises:
        UndecodableError: no encoding fits; says which were tried.
    """
    tried = []
    for name in _candidates(body, http_charset):
        if name in tried:
            continue
        tried.append(name)
        text = repair(body.decode(CODECS.get(name, name), errors="replace").removeprefix("\ufeff"))
        if _n_controls(text) <= MAX_BAD_SHARE * len(text):
            return text, name
    raise UndecodableError(f"{len(body):,} bytes are no text in {', '.join(tried)}")


def repair(text: str) -> str:
    """The text with those lines mended that were decoded wrongly before they were encoded (`MÃ¼nchen`).

    A line is changed only where ftfy finds it bad, and less bad afterwards.
    """
    if text.isascii() or not SUSPECT.search(text):
        return text
    return "\n".join(_repaired_line(line) for line in text.split("\n"))


def _repaired_line(line: str) -> str:
    if not SUSPECT.search(line) or not (bad := badness(line)):
        return line
    mended = fix_encoding(line)
    return mended if badness(mended) < bad else line


def whatwg_name(label: str) -> str | None:
    """The WHATWG name that a label stands for, None for a label that names no encoding."""
    known = map_encoding_to_html5(label.strip().lower(), fallback_utf8=False)
    if known is None:
        return None
    name = WHATWG_NAMES.get(known, known)
    return re.sub(r"^iso8859[-_]?", "iso-8859-", re.sub(r"^cp(125\d|874)$", r"windows-\1", name))


def _n_controls(text: str) -> int:
    if text.isascii():  # many times faster
        return len(text) - len(text.encode().translate(None, delete=ASCII_CONTROLS))
    return len(CONTROLS.findall(text))


def _candidates(body: bytes, http_charset: str | None) -> Iterator[str]:
    yield from (name for bom, name in BOMS if body.startswith(bom))
    meta = META.search(body, 0, META_BYTES)
    if http_charset and (name := whatwg_name(http_charset)):
        yield name
    if meta and (name := whatwg_name(meta[1].decode("ascii", errors="replace"))):
        yield "utf-8" if name.startswith("utf-16") else name  # it was read byte by byte: WHATWG says the same
    # UTF-8 proves itself: other encodings hardly ever look like it.
    yield "utf-8"
    detected = detect_encoding(body)
    if detected and (name := whatwg_name(detected)):
        yield name
