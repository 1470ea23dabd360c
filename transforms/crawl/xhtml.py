"""Pages that are XML, written so that a parser of HTML reads them as one of XML would."""

import re
from xml.parsers import expat

VOID = "area|base|basefont|bgsound|br|col|command|embed|frame|hr|img|input|keygen|link|meta|param|source|track|wbr"
IS_VOID = re.compile(VOID, re.IGNORECASE)
NAME = re.compile(r"[\w.:-]+")
VOID_END = re.compile(rf"</(?:{VOID})\s*>", re.IGNORECASE)
# Only in well-formed XML is each of these what it looks like.
INSIDE_TAG = r"""(?:[^<>"'/]++|"[^"]*+"|'[^']*+'|/(?!>))*+"""
TOKEN = re.compile(
    rf"""<(?:(?P<name>[\w.:-]++)(?P<attributes>{INSIDE_TAG})/>|(?P<script>script|style)\b{INSIDE_TAG}>.*?</(?P=script)\s*>"""
    r"""|!--.*?-->|!\[CDATA\[(?P<text>.*?)\]\]>|\?.*?\?>)""",
    re.DOTALL,
)
XML_END = re.compile("</(?:br|img|hr|input|link|meta)")  # of void elements, by writers of XML
PREFIX = re.compile(r"""xmlns:([\w.-]+)\s*=\s*["']http://www\.w3\.org/1999/xhtml["']""")
NAMESPACE = b"http://www.w3.org/1999/xhtml"


def as_html(page: str) -> str:
    """A page of well-formed XML as HTML: no element is closed by its own tag but the void ones; else the page itself.

    So `<title/>` does not stay open to the end of the page, and what is in CDATA is text.
    """
    if not _differs(page) or not _is_well_formed(page):
        return page
    if prefix := PREFIX.search(page):
        page = re.sub(rf"(</?){re.escape(prefix[1])}:(?=\w)", r"\1", page)
    return VOID_END.sub("", TOKEN.sub(_in_html, page))


def _differs(page: str) -> bool:
    """Whether a parser of HTML could read well-formed XML in another way; it is much faster than to find out how."""
    at = page.find("/>")
    while at >= 0:
        name = NAME.match(page, page.rfind("<", 0, at) + 1)
        if name is None or not IS_VOID.fullmatch(name[0]):
            return True
        at = page.find("/>", at + 2)
    at = page.find("<![CDATA[")
    while at >= 0:
        if not any(page.rfind(f"<{raw}", 0, at) > page.rfind(f"</{raw}", 0, at) for raw in ("script", "style")):
            return True
        at = page.find("<![CDATA[", at + 1)
    return PREFIX.search(page) is not None or XML_END.search(page) is not None


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
    if found["name"] and not IS_VOID.fullmatch(found["name"]):
        return f"<{found['name']}{found['attributes'].rstrip()}></{found['name']}>"
    return found[0]
