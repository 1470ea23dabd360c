"""Render a web page as blocks of Markdown-like text, and the sections rooted at its headers.

A section runs from its header to the next header of the same or a higher level (paper, section
2.1: a subtree with the lower-level headers beneath it), or to the end of the article, cell or list
item that holds the header. Blocks are in page order and a section is a span of them, so every
length is a difference of two sums and no subtree is rendered twice. The walk uses an explicit
stack, so depth is not limited by recursion.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from schemas.bronze import HTML
from transforms.pages.buttons import button_text, holds_header
from transforms.pages.code_blocks import code_text, fenced, has_line, is_code_block, is_line_numbers
from transforms.pages.furniture import Article, Attributes, mark_of
from transforms.pages.html import BLOCKS, CODE, HEADERS, SCOPES, clean, clean_header, header_level, is_boilerplate
from transforms.pages.inline import LEAVES, leaf, words_of
from transforms.pages.segment_rules import is_navigation
from transforms.pages.tables import is_layout, table_lines

ANCHORS = "¶🔗"  # the text of a paragraph's link to itself
INTEGER = re.compile(r"\s*[+-]?\d{1,9}(?!\d)")


@dataclass
class Section:
    """A header and its section, blocks `start` to `end`; level 0 is the page itself."""

    level: int
    header: str
    parent: int
    head: int  # index of the header's block; `start` for an empty header
    start: int
    scope: int
    """Depth of the enclosing element: the section ends when fewer block elements are open."""
    is_navigation: bool = False
    """True if its header names a part of the page other than the text."""
    end: int = -1


@dataclass
class Page:
    """A rendered page: blocks, the line break before each, the number of link characters in each, and sections."""

    blocks: list[str] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    links: list[int] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)

    def text(self, start: int, end: int, left_out: Collection[int] = ()) -> str:
        """Join the blocks of a span, except those in `left_out`, to one text."""
        parts = [b + t for b, t in zip(self.breaks[start:end], self.blocks[start:end], strict=True)]
        first = start
        if left_out:
            parts = [part for index, part in enumerate(parts, start) if index not in left_out]
            first = next((index for index in range(start, end) if index not in left_out), start)
        return "".join(parts)[len(self.breaks[first]) :] if parts else ""

    def add(self, block: str, line_break: str = "\n\n", links: int = 0) -> None:
        """Append a block."""
        self.blocks.append(block)
        self.breaks.append(line_break)
        self.links.append(links)


@dataclass
class _List:
    ordered: bool
    number: int = 0
    """Number of the next item."""
    step: int = 1
    bullet: str = ""  # written before the item's first block


class _Renderer:
    """Walk one page; `render` is called once."""

    def __init__(self) -> None:
        self.page = Page(sections=[Section(0, "", -1, 0, 0, 0)])
        self.open_sections = [0]
        self.inline: list[str] = []
        self.lists: list[_List] = []
        self.after_list = False
        self.depth = 0  # number of open block elements
        self.scopes = [0]  # depths of the open elements that end the sections inside them
        self.heading = 0
        self.links = 0
        self.n_links = self.link_chars = 0

    def render(self, html: str) -> Page:
        """Return the rendered page."""
        node: LexborNode | None = LexborHTMLParser(html).body
        if node is not None:
            self.article = Article(node)
        stack: list[tuple[LexborNode, str, int]] = []  # the open elements: tag, and header level or 0
        while node is not None:
            tag = node.tag or "-"
            if tag == "-text":
                text = node.text_content or ""
                if self.inline or not text.isspace():
                    self._add_words(text)
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
        """Enter an element; return its header level, 0 if it is no header, None if its contents are read."""
        attributes = node.attributes
        mark = mark_of(tag, attributes)
        if tag in LEAVES or mark in ("formula", "note"):
            return self._leaf(node, tag, attributes, mark)
        if tag == "button":
            return self._button(node, attributes)
        if mark and self.article.is_furniture(node, tag, mark, attributes):
            return None
        if tag == "br":
            self.inline.append("\n")
            return None
        if tag in CODE:
            self._code(node, tag, mark)
            return None
        if self.heading:
            if tag in BLOCKS:
                self.inline.append(" ")
            return 0
        if (tag in HEADERS or "role" in attributes) and (level := header_level(tag, attributes)):
            self._flush()
            self.heading = level
            return level
        if mark == "code" and self._code_block(node):
            return None
        if tag == "pre" or (tag == "table" and not is_layout(node)):
            self._flush()
            self._verbatim(node, tag)
            return None
        if tag in BLOCKS:
            self._enter_block(node, tag, attributes)
            return 0
        if tag == "a":
            self.links += 1
            self.n_links += 1
        return self._words(node, tag)

    def _words(self, node: LexborNode, tag: str) -> int | None:
        """Read an inline element at once if it holds only text, as most do."""
        child = node.first_child
        if child is not None and (child.tag != "-text" or child.next is not None):
            return 0
        if child is not None:
            self._add_words(child.text_content or "")
        if tag == "a" and not self.heading:
            self.links -= 1
        return None

    def _add_words(self, text: str) -> None:
        self.inline.append(text.replace("\n", " "))
        if self.links:
            self.link_chars += len(text.strip())

    def _leaf(self, node: LexborNode, tag: str, attributes: Attributes, mark: str | None) -> int | None:
        """Read a formula, a superscript or a note's mark."""
        text = leaf(node, tag, attributes, mark, "".join(self.inline[-2:]))
        if text is None:
            return 0
        self.inline.append(text)
        if self.links:
            self.link_chars += len(text.strip())
        return None

    def _button(self, node: LexborNode, attributes: Attributes) -> int | None:
        if not self.heading and holds_header(node):
            return 0
        text = button_text(node, attributes)
        if self.heading:
            self.inline.append(text)
        elif text:
            self._flush()
            self.inline.append(text)
            self._flush()
        return None

    def _enter_block(self, node: LexborNode, tag: str, attributes: Attributes) -> None:
        if self.inline:
            self._flush()
        self.depth += 1
        if tag in SCOPES:
            self.scopes.append(self.depth)
        if tag in ("ul", "ol"):
            self.lists.append(_new_list(node, tag, attributes))
        elif tag == "li" and self.lists:
            current = self.lists[-1]
            current.number = _integer(attributes.get("value"), current.number)
            current.bullet = f"{current.number}. " if current.ordered else "- "
            current.number += current.step

    def _close(self, tag: str, level: int) -> None:
        if level:
            self._start_section(level)
        elif self.heading:
            return
        elif tag == "a":
            self.links -= 1
        elif tag in BLOCKS:
            if self.inline:
                self._flush()
            if tag in ("ul", "ol"):
                self.lists.pop()
            self.depth -= 1
            if tag in SCOPES:
                self.scopes.pop()
            if self.page.sections[self.open_sections[-1]].scope > self.depth:
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
        parent = self.open_sections[-1]
        is_beside = is_navigation(header)
        scope = max(self.depth if is_beside else self.scopes[-1], page.sections[parent].scope)
        section = Section(level, header, parent, head, len(page.blocks), scope, is_beside)
        self.open_sections.append(len(page.sections))
        page.sections.append(section)

    def _close_scope(self) -> None:
        """End the sections that began in the element just closed; a header without text yet extends beyond it."""
        while (section := self.page.sections[self.open_sections[-1]]).scope > self.depth:
            if len(self.page.blocks) == section.start:
                section.scope = self.depth if section.is_navigation else self.scopes[-1]
                return
            section.end = len(self.page.blocks)
            self.open_sections.pop()

    def _code(self, node: LexborNode, tag: str, mark: str | None) -> None:
        has_lines = mark == "code" or (tag == "code" and has_line(node))
        if has_lines and not self.heading and self._code_block(node):
            return
        text = clean(words_of(node).replace("\n", " "))
        self.inline.append(f"`{text}`" if text and "`" not in text and not self.heading else text)
        if self.links:
            self.link_chars += len(text)

    def _code_block(self, node: LexborNode) -> bool:
        """Add an element outside `pre` as a block of code if it has several lines; return whether it was added."""
        text = code_text(node).strip("\n") if is_code_block(node) else ""
        if "\n" not in text:
            return False
        self._flush()
        self._add(fenced(text))
        return True

    def _verbatim(self, node: LexborNode, tag: str) -> None:
        if tag == "table":
            text = "\n".join(table_lines(node))
        else:
            text = code_text(node)
            text = "" if is_line_numbers(node, text) else fenced(text)
        if text:
            self._add(text)

    def _reset(self) -> None:
        self.inline.clear()
        self.n_links, self.link_chars = self.links, 0

    def _flush(self) -> None:
        """End the current block: keep it unless it is empty, boilerplate, or a row of bare links."""
        text = clean("".join(self.inline)).rstrip(ANCHORS).rstrip()
        links = self.link_chars
        bare_links = self.n_links >= 2 and links >= 0.8 * len(text) and not self.lists
        self._reset()
        if text and not bare_links and not is_boilerplate(text):
            self._add(text, links)

    def _add(self, text: str, links: int = 0) -> None:
        in_list = bool(self.lists)
        if in_list:
            indent = "  " * (len(self.lists) - 1)
            current = self.lists[-1]
            hanging = indent + " " * (len(current.bullet) or 2)
            text = indent + (current.bullet or "  ") + text.replace("\n", "\n" + hanging)
            current.bullet = ""
        self.page.add(text, "\n" if in_list and self.after_list else "\n\n", links)
        self.after_list = in_list


def _new_list(node: LexborNode, tag: str, attributes: Attributes) -> _List:
    """Return a list with its first number: `start`, or the number of items in a reversed list."""
    if tag == "ul":
        return _List(ordered=False)
    is_reversed = "reversed" in attributes
    first = 1
    if is_reversed and "start" not in attributes:
        child = node.first_child
        first = 0
        while child is not None:
            first += child.tag == "li"
            child = child.next
    return _List(ordered=True, number=_integer(attributes.get("start"), first), step=-1 if is_reversed else 1)


def _integer(value: str | None, otherwise: int) -> int:
    match = INTEGER.match(value or "")
    return int(match[0]) if match else otherwise


def render(content: str, media_type: str = HTML) -> Page:
    """Render a page to blocks and sections; the first section is the page itself."""
    return _Renderer().render(content) if media_type == HTML else _lines(content)


def _lines(text: str) -> Page:
    """Render plain text as a page without headers: each line that is neither blank nor boilerplate is a block.

    Lines are cleaned like paragraphs of HTML, with white space collapsed, so a crawl's text of a page
    gives the same pieces as the page.
    """
    page = Page(sections=[Section(0, "", -1, 0, 0, 0)])
    for line in text.splitlines():
        block = clean(line).rstrip(ANCHORS).rstrip()
        if block and not is_boilerplate(block):
            page.add(block)
    page.sections[0].end = len(page.blocks)
    return page
