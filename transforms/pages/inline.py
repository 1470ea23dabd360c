"""Read the text within a line, a table cell or code, with formulas, exponents and note marks in plain text."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborNode

from transforms.pages import formulas
from transforms.pages.furniture import Attributes, holds_no_text, mark_of
from transforms.pages.html import BLOCKS, clean

SCRIPTS = frozenset(["sup", "sub"])
LEAVES = SCRIPTS | formulas.TAGS
ORDINAL = re.compile(r"st|nd|rd|th|er|re|ère|ème|tm|sm|[\u2120\u2122\xae\xa9\xaa\xba]", re.IGNORECASE)
NOTE = re.compile(r"\[[^\[\]]{1,20}\]")
NOTE_CLASS = re.compile(r"(?:^|[\s_-])(?:reference|footnote|noteref|fn)", re.IGNORECASE)
NOTE_MARK = re.compile(r"[\[(]?(?:\d{1,4}|[a-z]{1,2}|\W{1,3})[\])]?", re.IGNORECASE)
ELEMENT_BEFORE = re.compile(r"(?:^|[^a-z])(?:[A-Z][a-z]?|[)\]])$")  # of a chemical formula
SPHINX_CODE = {"class": "pre"}  # attributes of a span that holds only text
N_WORDS = 3  # a superscript or subscript with at least this number of words is small print


def words_of(root: LexborNode) -> str:
    """Return the visible text below an element as one string."""
    child = root.first_child
    if child is None:
        return ""
    if child.next is None:
        if child.tag == "-text":
            return child.text_content or ""
        if child.tag == "span" and child.attributes == SPHINX_CODE:
            return child.text()
    return "".join(visible_texts(root))


def visible_texts(root: LexborNode) -> Iterator[str]:
    """Yield the texts below an element, without hidden elements; spaces separate blocks."""
    node, depth, before = root.first_child, 1, ""
    if node is not None and node.next is None and node.tag == "-text":  # true of most cells and code
        yield node.text_content or ""
        return
    while node is not None:
        tag = node.tag or "-"
        child, text = None, ""
        if tag == "-text":
            text = node.text_content or ""
        elif tag == "br":
            text = "\n"
        elif tag[0] != "-":
            attributes = node.attributes
            mark = mark_of(tag, attributes)
            read = leaf(node, tag, attributes, mark, before) if mark or tag in LEAVES else None
            if read is None:
                child = node.first_child
            text = read or (" " if tag in BLOCKS else "")
        if text:
            before = text
            yield text
        if child is not None:
            node, depth = child, depth + 1
            continue
        following = node.next
        while following is None:
            node, depth = node.parent, depth - 1
            if not depth:
                return
            assert node is not None
            if node.tag in BLOCKS:
                yield " "
            following = node.next
        node = following


def leaf(node: LexborNode, tag: str, attributes: Attributes, mark: str | None, before: str) -> str | None:
    """Return the text of an element that is read as a whole, "" for an invisible one, None if its children are text."""
    if tag in SCRIPTS:
        return script_text(node, tag, attributes, before)
    if tag in formulas.TAGS or mark == "formula":
        tex = formulas.formula(node, tag, attributes)
        if tex is not None:
            return tex
    if mark == "note":
        return note_text(clean(node.text()))
    return "" if mark and holds_no_text(node, mark) else None


def script_text(node: LexborNode, tag: str, attributes: Attributes, before: str) -> str:
    """Return a superscript as `^6`, a subscript as `_6`, with braces if needed, and a note's mark as `[6]`."""
    text = clean(node.text()).replace("\n", " ")
    if not text:
        return ""
    if is_note(node, tag, text, attributes):
        return note_text(text)
    if tag == "sup" and (ORDINAL.fullmatch(text) or not any(map(str.isalnum, text))):
        return text
    if not before or text.count(" ") + 1 >= N_WORDS:
        return text if before.endswith((" ", "\n")) or not before else f" {text}"
    following = node.next
    after = following.text_content or "" if following is not None and following.tag == "-text" else ""
    is_followed = after[:1].isalnum()
    if tag == "sub" and text.isdigit() and not after[:1].isdigit() and ELEMENT_BEFORE.search(before):
        return text
    sign = "^" if tag == "sup" else "_"
    is_one = text.removeprefix("-").removeprefix("\u2212").removeprefix("+").isalnum()
    return f"{sign}{text}" if is_one and not is_followed else f"{sign}{{{text}}}"


def note_text(text: str) -> str:
    """Return a note's mark in brackets, so that its digits do not join preceding ones."""
    return f"[{text}]" if text.isalnum() else text


def is_note(node: LexborNode, tag: str, text: str, attributes: Attributes) -> bool:
    """Return whether a superscript is the mark of a footnote or of a reference."""
    if tag != "sup":
        return False
    if NOTE.fullmatch(text) or NOTE_CLASS.search(attributes.get("class") or ""):
        return True
    parent = node.parent
    link = parent if parent is not None and parent.tag == "a" else node.css_first("a")
    return link is not None and "#" in (link.attributes.get("href") or "") and bool(NOTE_MARK.fullmatch(text))
