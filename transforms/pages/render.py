"""A web page as blocks of Markdown-like text and the sections that its headers root.

A section runs from its header to the next header of the same or a higher level (paper, section
2.1: a subtree with the lower-level headers beneath it), or to the end of the article, cell or list
item that holds the header. Blocks lie in page order and a section is a span of them, so every
length is a difference of two sums and no subtree is rendered twice. The walk keeps its own stack:
no page is too deep for it.
"""

from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from schemas.bronze import HTML
from transforms.pages.html import (
    BLOCKS,
    CODE,
    SCOPES,
    clean,
    clean_header,
    header_level,
    is_boilerplate,
    is_furniture,
    visible_texts,
)
from transforms.pages.tables import is_layout, table_lines

ANCHORS = "¶🔗"  # a link of a paragraph to itself


@dataclass
class Section:
    """A header and what it roots: blocks `start` to `end`; level 0 is the page itself."""

    level: int
    header: str
    parent: int
    head: int  # where its header's own block is; `start` for an empty header
    start: int
    scope: int
    end: int = -1


@dataclass
class Page:
    """The rendered page: blocks, the line breaks before each, and sections in page order."""

    blocks: list[str] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)

    def text(self, start: int, end: int) -> str:
        """The blocks of a span as one text."""
        parts = [b + t for b, t in zip(self.breaks[start:end], self.blocks[start:end], strict=True)]
        return "".join(parts)[len(self.breaks[start]) :] if parts else ""


@dataclass
class _List:
    ordered: bool
    count: int = 0
    bullet: str = ""  # to be written before the item's first block


class _Renderer:
    """Walks one page; `render` is its only use."""

    def __init__(self) -> None:
        self.page = Page(sections=[Section(0, "", -1, 0, 0, 0)])
        self.open_sections = [0]
        self.inline: list[str] = []
        self.lists: list[_List] = []
        self.after_list = False
        self.scope = 0
        self.heading = 0
        self.links = 0
        self.n_links = self.link_chars = 0

    def render(self, html: str) -> Page:
        """The page rendered."""
        node: LexborNode | None = LexborHTMLParser(html).body
        stack: list[tuple[LexborNode, str, int]] = []  # the open elements: tag, and the level where it is a header
        while node is not None:
            tag = node.tag or "-"
            if tag == "-text":
                text = (node.text_content or "").replace("\n", " ")
                self.inline.append(text)
                if self.links:
                    self.link_chars += len(text.strip())
            elif tag[0] != "-":
                level = self._open(node, tag)
                if level is not None:
                    child = node.first_child
                    if child is not None:
                        stack.append((node, tag, level))
                        node = child
                        continue
                    self._close(tag, level)
            following = node.next
            while following is None and stack:
                node, tag, level = stack.pop()
                self._close(tag, level)
                following = node.next
            node = following if stack else None
        self._flush()
        for index in self.open_sections:
            self.page.sections[index].end = len(self.page.blocks)
        return self.page

    def _open(self, node: LexborNode, tag: str) -> int | None:
        """Enter an element; its level where it is a header, else 0, and None where its inside is done with."""
        attributes = node.attributes
        if is_furniture(tag, attributes):
            return None
        if tag == "br":
            self.inline.append("\n")
            return None
        if tag in CODE:
            self._code(node)
            return None
        if self.heading:
            if tag in BLOCKS:
                self.inline.append(" ")
            return 0
        if level := header_level(tag, attributes):
            self._flush()
            self.heading = level
            return level
        if tag == "pre" or (tag == "table" and not is_layout(node)):
            self._flush()
            self._verbatim(node, tag)
            return None
        if tag in BLOCKS:
            self._enter_block(tag)
        elif tag == "a":
            self.links += 1
            self.n_links += 1
        return 0

    def _enter_block(self, tag: str) -> None:
        self._flush()
        if tag in SCOPES:
            self.scope += 1
        if tag in ("ul", "ol"):
            self.lists.append(_List(tag == "ol"))
        elif tag == "li" and self.lists:
            current = self.lists[-1]
            current.count += 1
            current.bullet = f"{current.count}. " if current.ordered else "- "

    def _close(self, tag: str, level: int) -> None:
        if level:
            self._start_section(level)
        elif self.heading:
            return
        elif tag == "a":
            self.links -= 1
        elif tag in BLOCKS:
            self._flush()
            if tag in ("ul", "ol"):
                self.lists.pop()
            if tag in SCOPES:
                self.scope -= 1
                self._close_scope()

    def _start_section(self, level: int) -> None:
        header = clean_header("".join(self.inline))
        self._reset()
        self.heading = 0
        page = self.page
        while page.sections[self.open_sections[-1]].level >= level:
            page.sections[self.open_sections.pop()].end = len(page.blocks)
        head = len(page.blocks)
        if header:
            self._add(f"{'#' * level} {header}")
        section = Section(level, header, self.open_sections[-1], head, len(page.blocks), self.scope)
        self.open_sections.append(len(page.sections))
        page.sections.append(section)

    def _close_scope(self) -> None:
        """End the sections that began in the element just left; a bare header may root what follows it."""
        while (section := self.page.sections[self.open_sections[-1]]).scope > self.scope:
            if len(self.page.blocks) == section.start:
                section.scope = self.scope
                return
            section.end = len(self.page.blocks)
            self.open_sections.pop()

    def _code(self, node: LexborNode) -> None:
        text = clean("".join(visible_texts(node)).replace("\n", " "))
        self.inline.append(f"`{text}`" if text and "`" not in text and not self.heading else text)
        if self.links:
            self.link_chars += len(text)

    def _verbatim(self, node: LexborNode, tag: str) -> None:
        if tag == "table":
            text = "\n".join(table_lines(node))
        else:
            lines = [line.rstrip() for line in "".join(visible_texts(node)).translate(_CODE_UNSEEN).split("\n")]
            text = "\n".join(lines).strip("\n")
            text = f"```\n{text}\n```" if text.strip() else ""
        if text:
            self._add(text)

    def _reset(self) -> None:
        self.inline.clear()
        self.n_links, self.link_chars = self.links, 0

    def _flush(self) -> None:
        """End the current block: keep it unless it is empty, boilerplate, or a row of bare links."""
        if not self.inline:
            return
        text = "".join(self.inline)
        if text.isspace():
            self._reset()
            return
        text = clean(text).rstrip(ANCHORS).rstrip()
        bare_links = self.n_links >= 2 and self.link_chars >= 0.8 * len(text) and not self.lists
        self._reset()
        if text and not bare_links and not is_boilerplate(text):
            self._add(text)

    def _add(self, text: str) -> None:
        in_list = bool(self.lists)
        if in_list:
            indent = "  " * (len(self.lists) - 1)
            current = self.lists[-1]
            hanging = indent + " " * (len(current.bullet) or 2)
            text = indent + (current.bullet or "  ") + text.replace("\n", "\n" + hanging)
            current.bullet = ""
        self.page.blocks.append(text)
        self.page.breaks.append("\n" if in_list and self.after_list else "\n\n")
        self.after_list = in_list


_CODE_UNSEEN = {0: None, 13: None, 0xA0: " "}


def render(content: str, media_type: str = HTML) -> Page:
    """The page's blocks and sections; the first section is the page itself."""
    return _Renderer().render(content) if media_type == HTML else _lines(content)


def _lines(text: str) -> Page:
    """Plain text as a page without headers: each line that says something is a block.

    Lines are cleaned as paragraphs of HTML are, white space within them collapsed, so a text gives
    the same pieces whether a crawl took it from a page or the page itself is read.
    """
    page = Page(sections=[Section(0, "", -1, 0, 0, 0)])
    for line in text.splitlines():
        block = clean(line).rstrip(ANCHORS).rstrip()
        if block and not is_boilerplate(block):
            page.blocks.append(block)
            page.breaks.append("\n\n")
    page.sections[0].end = len(page.blocks)
    return page
