"""Classify the elements and phrases of a web page: headers, blocks, boilerplate."""

import re
import unicodedata
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser

from transforms.pages.furniture import Attributes


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


HEADERS = {f"h{level}": level for level in range(1, 7)}
HEADER_LEVELS = {str(level) for level in range(1, 7)}
SCOPES = _words("article section aside main td th li blockquote dd figure details")
BLOCKS = SCOPES | _words(
    "address body caption center dir div dl dt fieldset figcaption form header hgroup hr html legend ol p"
    " summary table tbody tfoot thead tr ul"
)
CODE = _words("code tt kbd samp")
MAX_DEPTH = 1000  # a browser stops at about 500
FEW_TAGS = 5000
STEP = 10_000  # a parser takes less than a second for this number of tags at any depth
MAX_SECTIONS = 10_000  # a page with more is an index or an attack
HEADER_TAG = re.compile(r"<h[1-6]\b", re.IGNORECASE)
TEMPLATE = re.compile(r"<(/?)template\b", re.IGNORECASE)

# Controls, soft hyphens, zero-width and direction marks, which are invisible.
UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
NUMBERING = re.compile(
    r"^(?:(?:chapter|section|appendix|part)\s+(?:\d+|[ivxlc]+|[a-z])(?:[.:)]\s*|\s+[-\u2013\u2014]\s+|$)"
    r"|§+\s*[\d.]+\s*|\(?\d+(?:\.\d+)*[.)]\s+|\d+(?:\.\d+)+\s+|[a-z](?:\.\d+)+\.?\s+)",
    re.IGNORECASE,
)
NAV_WORDS = re.compile(
    r"[\s|«<←\[(]*(?:(?:up|home|next|prev(?:ious)?|top|contents|index|back(?: to top)?|first|last|table of contents"
    r"|main page|skip to (?:main )?content)[\s|»«<>:/·•→←↑↓\-\[\]()]*)+",
    re.IGNORECASE,
)
PHRASES = re.compile(
    r"(?:(?:edit|improve) (?:this|on)\b|view (?:this page )?on git(?:hub|lab)\b"
    r"|report a bug\b|share (?:this|on)\b|print this\b|permalink$|view (?:page )?source$"
    r"|(?:this )?(?:page )?(?:was )?last (?:updated|modified|edited)\b|follow us\b|all rights reserved\b"
    r"|(?:copyright|©|\(c\))\s*(?:\(c\)|©)?\s*(?:by\s+)?\S{0,20}\s*\d{4}\b|copyright\s*(?:©|\(c\)))",
    re.IGNORECASE,
)
SHARE_WORDS = re.compile(
    r"(?:(?:share|tweet|pin(?: it)?|e-?mail|print|facebook|twitter|linkedin|reddit|whatsapp|telegram|copy link)"
    r"[\s|,/·•]*){2,}",
    re.IGNORECASE,
)
BEFORE_PHRASES = " |«<←[("
# The first letters of these phrases: a fast test before the regular expressions.
BEGINNINGS = _words(
    "up e- c) © hom nex pre top con ind bac fir las tab mai ski edi imp vie rep sha pri per thi pag was fol all cop twe"
    " pin ema fac twi lin red wha tel"
)
MAX_PHRASE_CHARS = 200  # a longer paragraph that begins with such a phrase is text


def is_boilerplate(text: str) -> bool:
    """Return whether a block consists of a navigation line, an edit or share link or a copyright line."""
    if len(text) > MAX_PHRASE_CHARS:
        return False
    head = text.lstrip(BEFORE_PHRASES)[:3].lower()
    if head not in BEGINNINGS and head[:2] not in BEGINNINGS and head[:1] not in BEGINNINGS:
        return False
    return bool(NAV_WORDS.fullmatch(text) or SHARE_WORDS.fullmatch(text) or PHRASES.match(text))


def clean(text: str) -> str:
    """Return the text in NFC, without invisible characters and empty lines, white space collapsed within each line."""
    if not text.isprintable():  # also false for a line feed
        text = UNSEEN.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if "\n" not in text:
        return " ".join(text.split())
    return "\n".join(" ".join(line) for part in text.split("\n") if (line := part.split()))


def clean_header(text: str) -> str:
    """Return a header on one line, without its numbering and anchor signs."""
    text = clean(text.replace("\n", " ")).rstrip("¶§🔗 ")
    if (bare := text.rstrip("#")).endswith(" "):  # not C#
        text = bare.rstrip()
    return NUMBERING.sub("", text, count=1) or text


def header_level(tag: str, attributes: Attributes) -> int:
    """Return 1 to 6 for a header, 0 for any other element."""
    if tag in HEADERS:
        return HEADERS[tag]
    if not attributes or attributes.get("role") != "heading":
        return 0
    level = attributes.get("aria-level") or "2"
    return int(level) if level in HEADER_LEVELS else 6


def shape_fault(html: str) -> str | None:
    """Return `too_deep` or `too_many_headers` for a page that would take a parser too long, else None.

    Parsing time grows with the square of the depth. A page with very many tags is therefore parsed in growing
    prefixes, up to the first one that is too deep.
    """
    if html.count("<") <= FEW_TAGS:
        return None
    if sum(1 for _ in HEADER_TAG.finditer(html)) > MAX_SECTIONS:
        return "too_many_headers"
    html = TEMPLATE.sub(r"<\1x-template", html)  # a parser puts a template's contents outside the tree
    return "too_deep" if any(_is_too_deep(html[:end]) for end in _places(html)) else None


def _places(html: str) -> Iterator[int]:
    """Yield the ends of the prefixes to parse, each with too few further tags to take a parser minutes."""
    number = STEP
    for n, tag in enumerate(re.finditer("<", html)):
        if n == number:
            yield tag.start()
            number += max(STEP, number // 16)
    yield len(html)


def _is_too_deep(html: str) -> bool:
    node, depth = LexborHTMLParser(html).root, 1
    while node is not None:
        if depth > MAX_DEPTH:
            return True
        following = node.first_child
        if following is not None:
            depth += 1
        while following is None and node is not None:
            following = node.next
            if following is None:
                node, depth = node.parent, depth - 1
        node = following
    return False
