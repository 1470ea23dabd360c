"""Find the elements of a web page that are not its text: hidden ones, navigation, sharing bars, comments, link signs.

An element is recognised by its tag, its role, or a whole token of its class or id. A token counts only if all its
words name page furniture or its position: `site-footer` counts, `has-sidebar` (a layout) and `sharing-with-others`
(the slug of a title) do not. `Article` overrules a mark if the element contains the page's text.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from selectolax.lexbor import LexborNode

from transforms.pages.segment_rules import header_fault


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


Attributes = Mapping[str, str | None]

SKIPPED = _words(
    "script style noscript template head nav footer svg math iframe object embed canvas audio video map"
    " select option button input textarea dialog noembed noframes datalist menu rt rp rtc"
)
NEVER_TEXT = SKIPPED - _words("nav footer noscript dialog menu")
SKIPPED_ROLES = _words("navigation banner contentinfo search menu menubar toolbar dialog doc-toc")
ROLES = {"doc-noteref": "note", "doc-backlink": "anchor"} | dict.fromkeys(SKIPPED_ROLES, "element")
HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
# Elements whose class or id can mark them. The id of any other element is the slug of a title.
CONTAINERS = _words("div aside ul ol dl nav header table td th center form fieldset figure")
GUARDED = CONTAINERS | _words("section footer noscript dialog menu")
ROOTS = _words("html body main article")

FURNITURE = _words(
    "nav navs navbar navbars subnav sidenav topnav navmenu navigation navheader navfooter breadcrumb breadcrumbs menu"
    " menus submenu menubar sidebar sidebars sphinxsidebar footer share sharing social pager pagination paginator toc"
    " cookie cookies gdpr copyright related relatedposts relatedlinks relatedtopics relatedarticles relatedcontent"
    " relatedbody advert adverts advertisement advertisements newsletter"
)
BEFORE = FURNITURE | _words(
    "site page main global primary secondary tertiary top bottom left right upper lower inner outer first second third"
    " sticky mobile desktop mini small large sub local section category product book chapter doc docs post posts"
    " article articles blog entry widget header wp block govuk mw md vp bd jp usa theme c o js ui page"
)
AFTER = FURNITURE | _words(
    "container holder box block area region inner outer list lists items item link links button buttons btn btns icon"
    " icons bar bars row rows col column columns widget widgets header title heading label group content contents"
    " body section left right top bottom first second third primary secondary main mobile desktop banner notice consent"
    " law info policy popup modal overlay message alert dialog signup form posts post articles article pages stories"
    " products topics media network networks facebook twitter linkedin previous next above below"
)
INLINE_FURNITURE = _words("breadcrumb breadcrumbs pagination")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
NAMED = re.compile("|".join(sorted(FURNITURE | {"table-of-contents", "widget-area"})), re.IGNORECASE)
WHOLE = _words("widget-area table-of-contents tableofcontents addtoany_share_save_container sharedaddy addthis_toolbox")
COMMENTS = re.compile(
    r"(?:(?:wp-block|wp-block-post|post|article|entry|blog|gh|page|user|js|fb)-)*(?:comments|comment[-_]?list|respond"
    r"|comments?[-_](?:area|section|wrapper|wrap|container|form|respond|thread|template|box|block|title|inner"
    r"|navigation|query-loop)|commentform|comment-?replies|disqus(?:[-_]thread)?|giscus|utterances|isso-thread|remark42"
    r"|cusdis_thread|coral_thread|commento|hyvor-talk-view|livefyre(?:-comments)?)",
    re.IGNORECASE,
)
COMMENTS_CSS = (
    "#comments, #respond, #disqus_thread, .comments, .comments-area, .comment-list, .commentlist, .comment-respond"
    ", .wp-block-comments, .comments-section, .comment-section"
)
UNSEEN = re.compile(
    r"(?:[a-z]{1,6}-)?(?:editsection(?:-[a-z]+)?|edit-link|skip-?(?:link|nav)|jump-link|noprint|sr-only"
    r"|visually-?hidden|screen-reader-text)(?:-focusable)?|mw-cite-backlink|MathJax_Preview",
    re.IGNORECASE,
)
ANCHOR = re.compile(r"headerlink|header-?anchor|hash-link|anchorjs-link|anchor-link|permalink|footnote-back\w*", re.I)
NOTE = re.compile(r"footnote-?ref(?:erence)?|noteref", re.IGNORECASE)
SIGN = re.compile(r"\W*(?:(?:permalink|direct link|link|anchor)\b[^.]{0,80})?", re.IGNORECASE)
FORMULA = re.compile(
    r"katex(?:-display)?|MathJax(?:_Display|_SVG|_SVG_Display|_CHTML)?|MJXc-display|mjx-chtml|mwe-math-mathml-[\w-]+"
)
FORMULA_IMAGE = re.compile(r"tex|latex|math|mwe-math-fallback-image-\w+|ql-img-\w+-formula")
NUMBERS = re.compile(
    r"linenos?|lineno|line-?num(?:ber)?s?(?:-(?:rows|wrapper))?|linenodiv|ln|lnt|lnum|(?:rouge-|code-)?gutter"
    r"|blob-num|crayon-nums?|hljs-ln-numbers",
    re.IGNORECASE,
)
CODE_BLOCKS = _words("fragment syntaxhighlighter crayon-pre dp-highlighter geshi prettyprint js-file-line-container")
CODE_STYLE = re.compile(r"white-space\s*:\s*pre\s*(?:;|!|$)", re.IGNORECASE)
SECTION_CLASS = re.compile(r"(?:^|\s)(?:section|sect\d|level\d|chapter|appendix|refsect\d)(?:\s|$)")
MAX_NAME_CHARS = 1000


def mark_of(tag: str, attributes: Attributes) -> str | None:
    """Return the mark of an element that may not be text, or None.

    `never`: it holds no text. `element`, `hidden`: by tag, role or style. `name`, `comments`: by class or id.
    `anchor`, `numbers`: it is not text if it holds only a link sign or line numbers. `formula`, `note`, `code`: other
    functions read it.
    """
    if tag in SKIPPED:
        return "never" if tag in NEVER_TEXT else "element"
    if not attributes or tag in ROOTS:
        return None
    first = None
    for name in attributes:
        if name in MARKS and (mark := MARKS[name](tag, attributes[name] or "", attributes)):
            if mark == "formula":
                return mark
            first = first or mark
    return first


def _hidden(tag: str, value: str, attributes: Attributes) -> str | None:
    """Mark a hidden element, unless it is the panel of an accordion, which is text."""
    is_panel = attributes.get("role") == "region" and attributes.get("aria-labelledby")
    return None if is_panel or value == "until-found" else "hidden"


def _style(tag: str, value: str, attributes: Attributes) -> str | None:
    if HIDDEN_STYLE.search(value):
        return _hidden(tag, "", attributes)
    return "code" if tag in ("div", "p", "code", "figure") and CODE_STYLE.search(value) else None


def _role(tag: str, value: str, attributes: Attributes) -> str | None:
    return ROLES.get(value.lower())


def _class(tag: str, value: str, attributes: Attributes) -> str | None:
    return class_mark(tag, value[:MAX_NAME_CHARS])


@lru_cache(4096)  # a site repeats a few class attributes on all its elements
def class_mark(tag: str, classes: str) -> str | None:
    """Return the mark that an element's class gives it, or None."""
    tokens = classes.split()
    if any((FORMULA_IMAGE if tag == "img" else FORMULA).fullmatch(token) for token in tokens):
        return "formula"
    if any(UNSEEN.fullmatch(token) for token in tokens):
        return "hidden"
    if tag == "a" and any(ANCHOR.fullmatch(token) for token in tokens):
        return "anchor"
    if tag == "a" and any(NOTE.fullmatch(token) for token in tokens):
        return "note"
    if any(NUMBERS.fullmatch(token) for token in tokens):
        return "numbers"
    if tag in CONTAINERS and (CODE_BLOCKS.intersection(tokens) or (tag == "table" and "highlight" in tokens)):
        return "code"
    if tag in CONTAINERS or tag == "section":
        marks = [mark for token in tokens if (mark := name_mark(token))]
        return marks[0] if marks else None
    return "inline" if tag in ("p", "span", "li") and INLINE_FURNITURE.intersection(tokens) else None


def name_mark(token: str) -> str | None:
    """Return `comments` or `name` for a token whose words all name page furniture; None for any other."""
    if COMMENTS.fullmatch(token):
        return "comments"
    if not NAMED.search(token):
        return None
    if token.lower() in WHOLE:
        return "name"
    words = [word.lower() for word in WORD.findall(token)]
    core = next((place for place, word in enumerate(words) if word in FURNITURE), None)
    if core is None or not all(word in BEFORE for word in words[:core]):
        return None
    return "name" if all(word in AFTER or word.isdigit() for word in words[core:]) else None


def _id(tag: str, value: str, attributes: Attributes) -> str | None:
    if attributes.get("role") in ("region", "tabpanel"):  # its id is made from that of its header or tab
        return None
    if tag not in CONTAINERS or SECTION_CLASS.search(attributes.get("class") or ""):
        return "comments" if tag == "section" and COMMENTS.fullmatch(value) else None
    return name_mark(value[:MAX_NAME_CHARS])


def _label(tag: str, value: str, attributes: Attributes) -> str | None:
    return name_mark(value[:MAX_NAME_CHARS].replace(" ", "-")) if tag in CONTAINERS else None


def _formula(tag: str, value: str, attributes: Attributes) -> str | None:
    return "formula" if value else None


MARKS: Mapping[str, Callable[[str, str, Attributes], str | None]] = {
    "hidden": _hidden,
    "aria-hidden": lambda tag, value, attributes: _hidden(tag, "", attributes) if value == "true" else None,
    "data-nosnippet": lambda tag, value, attributes: "hidden" if tag == "span" else None,
    "role": _role,
    "style": _style,
    "class": _class,
    "id": _id,
    "aria-label": _label,
    "data-math": _formula,
    "data-tex": _formula,
    "data-latex": _formula,
}


def is_unseen(node: LexborNode, tag: str, attributes: Attributes) -> bool:
    """Return whether an element within a line, a cell or code is not text; names of containers do not count there."""
    mark = mark_of(tag, attributes)
    return mark is not None and holds_no_text(node, mark)


def holds_no_text(node: LexborNode, mark: str) -> bool:
    """Return whether an element with this mark holds no text; for `anchor` and `numbers`, its contents decide."""
    if mark == "anchor":
        return SIGN.fullmatch(node.text()) is not None
    if mark == "numbers":
        return not any(c.isalpha() for c in node.text())
    return mark in ("never", "element", "hidden", "inline")


class Article:
    """The text of one page, to decide on marked elements: one that holds most of the text is not furniture."""

    MAIN = "main, [role=main], [itemprop=articleBody], h1"
    PROSE = "p, br, pre, h1, h2, h3, h4, h5, h6"
    NO_PROSE = "a, button, script, style, select, textarea, svg, template"
    MIN_CHARS = 30
    MIN_REST_CHARS = 10
    MAX_READ = 30  # times the page's text, a bound on the work for nested marked elements
    MIN_HIDDEN_CHARS = 500
    MIN_UNLINKED = 0.3  # share of an article's characters outside links

    def __init__(self, body: LexborNode) -> None:
        """`body` is measured lazily, at the first marked element."""
        self.body = body
        self._n_chars: int | None = None
        self._n_titles: int | None = None
        self._n_read = 0.0

    def is_furniture(self, node: LexborNode, tag: str, mark: str, attributes: Attributes) -> bool:
        """Return whether to omit an element with this mark."""
        if mark in ("never", "anchor", "numbers") or tag not in GUARDED:
            return holds_no_text(node, mark)
        if mark not in ("element", "hidden", "name", "comments"):
            return False
        if self._n_read > self.MAX_READ:
            return True
        is_out = self._is_out(node, tag, mark, attributes)
        if not is_out:  # then the elements inside are measured, too
            self._n_read += n_text_chars(node) / max(n_text_chars(self.body), 1)
        return is_out

    def _is_out(self, node: LexborNode, tag: str, mark: str, attributes: Attributes) -> bool:
        n_chars = n_text_chars(node)
        if n_chars < self.MIN_CHARS:
            return True
        n_unlinked = n_chars - sum(map(n_text_chars, node.css("a")))
        if n_unlinked < self.MIN_CHARS or n_unlinked < self.MIN_UNLINKED * n_chars:
            return True
        main = node.css_first(self.MAIN)
        if main is not None and main.tag != "h1":
            return False
        if mark in ("element", "hidden"):
            return n_unlinked < self.MIN_HIDDEN_CHARS or not self._holds(node, 0.9)
        if _is_slug(node, tag, attributes):
            return False
        if mark == "comments":
            return self._n_prose_chars() >= self.MIN_REST_CHARS
        if main is not None and self._holds_titles(node) and self._holds(node, 0.3):
            return False
        return node.css_first(self.PROSE) is None or not self._holds(node, 0.5)

    def _holds_titles(self, node: LexborNode) -> bool:
        """Return whether an element holds all `h1` titles of the page."""
        if self._n_titles is None:
            self._n_titles = len(self.body.css("h1"))
        return len(node.css("h1")) == self._n_titles

    def _holds(self, node: LexborNode, share: float) -> bool:
        return n_prose_chars(node) > share * self._n_prose_chars()

    def _n_prose_chars(self) -> int:
        """Return the number of characters of the page's prose, without readers' comments."""
        if self._n_chars is None:
            comments = sum(map(n_prose_chars, _outermost(self.body, COMMENTS_CSS)))
            self._n_chars = n_prose_chars(self.body) - comments
        return self._n_chars


def n_prose_chars(node: LexborNode) -> int:
    """Estimate the number of an element's characters outside links, controls and scripts."""
    return n_text_chars(node) - sum(map(n_text_chars, node.css(Article.NO_PROSE)))


def n_text_chars(node: LexborNode) -> int:
    """Count the characters of an element's text other than spaces and line feeds."""
    text = node.text()
    return len(text) - text.count(" ") - text.count("\n")


def _outermost(node: LexborNode, selector: str) -> Iterator[LexborNode]:
    """Yield the elements that match `selector` and lie in no other match."""
    inner: set[int] = set()
    for match in node.css(selector):
        if match.mem_id not in inner:
            inner.update(descendant.mem_id for descendant in match.css(selector))
            yield match


def _is_slug(node: LexborNode, tag: str, attributes: Attributes) -> bool:
    """Return whether only its id marks an element, and is the slug of its first header, as in generated manuals."""
    name = attributes.get("id")
    if not name or class_mark(tag, (attributes.get("class") or "")[:MAX_NAME_CHARS]):
        return False
    header = node.css_first("h1, h2, h3, h4, h5, h6")
    if header is None or header_fault(header.text().strip()) == "navigation_header":
        return False
    return f"{_slug(name)}-".startswith(f"{_slug(header.text())}-")


def _slug(text: str) -> str:
    return "-".join(re.findall(r"[^\W_]+", text.lower()))
