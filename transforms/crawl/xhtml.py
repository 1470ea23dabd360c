"""Rewrite XML pages so that an HTML parser reads them as an XML parser would."""

import re
from xml.parsers import expat

VOID = "area|base|basefont|bgsound|br|col|command|embed|frame|hr|img|input|keygen|link|meta|param|source|track|wbr"
IS_VOID = re.compile(VOID, re.IGNORECASE)
NAME = re.compile(r"[\w.:-]+")
VOID_END = re.compile(rf"</(?:{VOID})\s*>", re.IGNORECASE)
# These patterns hold only in well-formed XML.
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
    """Rewrite a page of well-formed XML as HTML: only void elements stay self-closed, and CDATA becomes text.

    HTML would leave `<title/>` open to the end of the page. Any other page is returned unchanged.
    """
    if not _differs(page) or not _is_well_formed(page):
        return page
    if prefix := PREFIX.search(page):
        page = re.sub(rf"(</?){re.escape(prefix[1])}:(?=\w)", r"\1", page)
    return VOID_END.sub("", TOKEN.sub(_in_html, page))


def _differs(page: str) -> bool:
    """Return whether an HTML parser could read well-formed XML differently; a cheap test before the rewriting."""
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
    if "<!ENTITY" in page:  # an entity could expand to anything
        return False
    parser = expat.ParserCreate("utf-8")
    parser.UseForeignDTD(True)  # allows HTML's entities, such as &nbsp;
    try:
        parser.Parse(page.lstrip().encode(), True)
    except (expat.ExpatError, UnicodeEncodeError):
        return False
    return True


def _in_html(token: re.Match[str]) -> str:
    if token["text"] is not None:
        return token["text"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if token["name"] and not IS_VOID.fullmatch(token["name"]):
        return f"<{token['name']}{token['attributes'].rstrip()}></{token['name']}>"
    return token[0]
