"""Extract the code of a web page: its lines, without line numbers, between fences."""

import re

from selectolax.lexbor import LexborNode

from transforms.pages.furniture import CODE_STYLE, Attributes, mark_of
from transforms.pages.html import BLOCKS
from transforms.pages.inline import leaf

LINE_TAGS = BLOCKS - {"td", "th"}
LINE_CLASS = re.compile(r"(?:^|\s)(?:line|(?:token|code|view|crayon|CodeMirror)-line)(?:\s|$)")
LINE_STYLE = re.compile(r"display\s*:\s*(?:block|flex|grid|list-item|table-row)", re.IGNORECASE)
# Code with no other elements and only these attributes is plain text.
NOT_PLAIN = re.compile(
    r"<(?!/|(?:span|a|b|i|em|strong|code|samp|kbd|var|tt|u|font|mark|ins|del|small)"
    r"(?: (?:href|id|title|name)=\"[^\"]*\""
    r"| class=\"(?:(?!line|ln|gutter|link|anchor|hidden|sr-only|katex|toolbar)[^\"])*\")*>)"
)
HAS_LINES = "br, div, li, p, tr, [style*=block], [class*=line]"
BACKTICKS = re.compile(r"`{3,}")
SOURCE_BREAK = re.compile(r"[^\S\xa0]*\n[^\S\xa0]*")
NUMBER_LINES = re.compile(r"\s*\d+(?:\s+\d+)+\s*")


def fenced(text: str) -> str:
    """Return code between fences longer than any run of backticks inside; "" for blank code."""
    text = "\n".join(map(str.rstrip, _seen(text).split("\n"))).strip("\n")
    if not text or text.isspace():
        return ""
    fence = "`" * max([3, *(len(run) + 1 for run in BACKTICKS.findall(text))]) if "```" in text else "```"
    return f"{fence}\n{text}\n{fence}"


def _seen(text: str) -> str:
    return text.replace("\0", "").replace("\r", "").replace("\xa0", " ")


def is_code_block(node: LexborNode) -> bool:
    """Return whether an element marked as code has lines and contains no `pre`."""
    has_lines = node.css_first(HAS_LINES) is not None or (_keeps_breaks(node) and "\n" in node.text())
    return has_lines and node.css_first("pre") is None


def has_line(node: LexborNode) -> bool:
    """Return whether a child of an element is a line or a line break."""
    child = node.first_child
    while child is not None:
        if child.tag == "br" or _is_line_node(child):
            return True
        child = child.next
    return False


def is_line_numbers(node: LexborNode, text: str) -> bool:
    """Return whether a block in a table cell holds the line numbers of the code in the next cell."""
    if not NUMBER_LINES.fullmatch(text):
        return False
    cell = node.parent
    while cell is not None and cell.tag not in ("td", "th", "table", "body"):
        cell = cell.parent
    next_cell = cell.next if cell is not None and cell.tag in ("td", "th") else None
    while next_cell is not None and next_cell.tag not in ("td", "th"):
        next_cell = next_cell.next
    numbers = [int(number) for number in text.split()[:2]]
    code = next_cell.css_first("pre") if next_cell is not None else None
    return code is not None and numbers[1] == numbers[0] + 1


def code_text(root: LexborNode) -> str:
    """Return the code below an element; its lines may end in line breaks or be elements."""
    child = root.first_child
    if child is not None and child.next is None and child.tag == "-text":
        return child.text_content or ""
    if _keeps_breaks(root) and not NOT_PLAIN.search(root.inner_html or ""):
        return root.text()
    return _Lines(_keeps_breaks(root)).read(root)


def _keeps_breaks(node: LexborNode) -> bool:
    """Return whether the page shows line breaks of the source."""
    return node.tag == "pre" or CODE_STYLE.search(node.attributes.get("style") or "") is not None


class _Lines:
    """Walk the elements of one block of code; `read` is called once."""

    def __init__(self, is_pre: bool) -> None:
        self.is_pre = is_pre
        self.out: list[str] = []
        self.has_numbers = False
        self.is_after_line = False  # the previous line's break has been written

    def read(self, root: LexborNode) -> str:
        """Return the text, without the space that follows line numbers."""
        node = root.first_child
        stack: list[tuple[LexborNode, int]] = []  # the open elements, each with the start of its line, or -1
        while node is not None:
            start = self._open(node)
            child = None if start is None else node.first_child
            if child is not None:
                stack.append((node, start or 0))
                node = child
                continue
            self._close(-1 if start is None else start)
            following = node.next
            while following is None and stack:
                node, start = stack.pop()
                self._close(start)
                following = node.next
            node = following
        lines = _seen("".join(self.out)).split("\n")
        if self.has_numbers and all(line.startswith(" ") for line in lines if line):
            lines = [line[1:] for line in lines]
        return "\n".join(lines)

    def _open(self, node: LexborNode) -> int | None:
        """Enter an element; return the start of its line, -1 if it is not a line, None if its contents are read."""
        tag = node.tag or "-"
        if tag == "-text":
            self._text(node)
        elif tag == "br":
            if not self.is_after_line:
                self.out.append("\n")
            self.is_after_line = False
        if tag == "br" or tag[0] == "-":
            return None
        attributes = node.attributes
        mark = mark_of(tag, attributes)
        text = leaf(node, tag, attributes, mark, self.out[-1] if self.out else "")
        if text is not None or "toolbar" in (attributes.get("class") or ""):
            self._add(text or "")
            self.has_numbers |= mark == "numbers"
            return None
        if not _is_line(tag, attributes):
            return -1
        if self.out and not self.out[-1].endswith("\n"):
            self.out.append("\n")
        self.is_after_line = False
        return len(self.out)

    def _close(self, start: int) -> None:
        if start < 0:
            return
        if len(self.out) == start or not self.out[-1].endswith("\n"):
            self.out.append("\n")
        self.is_after_line = True

    def _text(self, node: LexborNode) -> None:
        text = node.text_content or ""
        if not self.is_pre and "\n" in text:
            is_start = not self.out or self.out[-1].endswith("\n")
            text = SOURCE_BREAK.sub(" ", text).removeprefix(" " if is_start else "")
        if text.isspace() and (_is_line_node(node.prev) or _is_line_node(node.next)):
            return
        self._add(text.removeprefix("\n") if self.is_after_line else text)

    def _add(self, text: str) -> None:
        if text:
            self.out.append(text)
            self.is_after_line = False


def _is_line(tag: str, attributes: Attributes) -> bool:
    if tag in LINE_TAGS:
        return True
    return bool(attributes) and (
        LINE_CLASS.search(attributes.get("class") or "") is not None
        or LINE_STYLE.search(attributes.get("style") or "") is not None
        or (tag == "span" and "data-line" in attributes)
    )


def _is_line_node(node: LexborNode | None) -> bool:
    tag = "-" if node is None else node.tag or "-"
    return node is not None and tag[0] != "-" and _is_line(tag, node.attributes)
