"""Pages that are XML, written so that a parser of HTML reads them as one of XML would."""

import re
from xml.parsers import expat

VOID = re.compile(
    "area|base|basefont|bgsound|br|col|command|embed|frame|hr|img|input|keygen|link|meta|param|source|track|wbr",
    re.IGNORECASE,
)
# Only in well-formed XML is each of these what it looks like.
INSIDE_TAG = r"""(?:[^<>"'/]++|"[^"]*"|'[^']*'|/(?!>))*+"""
TOKEN = re.compile(
    rf"""<!--.*?-->|<\?.*?\?>|<!\[CDATA\[(?P<text>.*?)\]\]>|<(?P<script>script|style)\b{INSIDE_TAG}>.*?</(?P=script)\s*>"""
    rf"""|</(?P<closed>[\w.:-]+)\s*>|<(?P<name>[\w.:-]+)(?P<attributes>{INSIDE_TAG})/>""",
    re.DOTALL,
)
PREFIX = re.compile(r"""\bxmlns:([\w.-]+)\s*=\s*["']http://www\.w3\.org/1999/xhtml["']""")
NAMESPACE = b"http://www.w3.org/1999/xhtml"


def as_html(page: str) -> str:
    """A page of well-formed XML as HTML: no element is closed by its own tag but the void ones; else the page itself.

    So `<title/>` does not stay open to the end of the page, and what is in CDATA is text.
    """
    if not _is_well_formed(page):
        return page
    if prefix := PREFIX.search(page):
        page = re.sub(rf"(</?){re.escape(prefix[1])}:(?=\w)", r"\1", page)
    return TOKEN.sub(_in_html, page)


def _is_well_formed(page: str) -> bool:
    if "<!ENTITY" in page:  # it could expand to anything
        return False
    parser = expat.ParserCreate("utf-8")
    parser.UseForeignDTD(True)  # so that HTML's entities, such as &nbsp;, may be named
    try:
        parser.Parse(page.lstrip().encode(), True)
    except (expat.ExpatError, UnicodeEncodeError):
        return False
    return True


def _in_html(found: re.Match[str]) -> str:
    if found["text"] is not None:
        return found["text"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if found["closed"]:
        return "" if VOID.fullmatch(found["closed"]) else found[0]
    if found["name"] and not VOID.fullmatch(found["name"]):
        return f"<{found['name']}{found['attributes'].rstrip()}></{found['name']}>"
    return found[0]
