"""Recognise the buttons of a web page that hold text: those that unfold an answer or a section."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborNode

from transforms.pages.furniture import Attributes
from transforms.pages.html import clean, header_level
from transforms.pages.inline import visible_texts

HEADERS = "h1, h2, h3, h4, h5, h6, [role=heading]"
ACTION = re.compile(
    r"(?:copy|edit|share|view|print|download)(?: (?:this|a|the|direct))*(?: (?:link|section|code|page|heading|anchor"
    r"|url|source|text|snippet))?(?: to (?:this )?(?:clipboard|section|heading|page))?"
    r"|(?:show|hide|expand|collapse|toggle|open|close|load|see|read|view)(?: (?:all|more|less|section|sections|menu"
    r"|navigation|sidebar|details|this section|table of contents))*"
    r"|copied!?|send|submit|save|delete|remove|reply|report|like|follow|subscribe|search|menu|more|less|next|previous"
    r"|prev|back|cancel|ok|apply|reset|log ?in|sign (?:in|up)|register|play|pause|permalink|link|\W*",
    re.IGNORECASE,
)
UNFOLDS = re.compile(r"accordion|faq|question|collaps|disclosure|expand", re.IGNORECASE)
QUESTION = re.compile(
    r"(?:how|what|why|when|where|who|which|can|could|do|does|is|are|should|may|will)\b(?:\W+\w+){2}|.*\?$",
    re.IGNORECASE | re.DOTALL,
)
N_ABOVE = 4  # ancestors of a button in which its header is looked for


def button_text(node: LexborNode, attributes: Attributes) -> str:
    """Return the header or question in a button, on one line; "" for a button that triggers an action."""
    text = clean("".join(visible_texts(node)).replace("\n", " "))
    if ACTION.fullmatch(text):
        return ""
    for above in _above(node):
        if header_level(above.tag or "", above.attributes) or above.tag in ("summary", "dt"):
            n_others = len("".join(above.text().split())) - len("".join(node.text().split()))
            return text if n_others <= len(text) / 2 else ""
    toggle = attributes.get("data-toggle") or attributes.get("data-bs-toggle")
    if toggle == "collapse" or UNFOLDS.search(attributes.get("class") or ""):
        return text
    return text if "aria-expanded" in attributes and QUESTION.match(text) else ""


def holds_header(node: LexborNode) -> bool:
    """Return whether a button contains a header."""
    return node.css_first(HEADERS) is not None


def _above(node: LexborNode) -> Iterator[LexborNode]:
    above = node.parent
    for _ in range(N_ABOVE):
        if above is None:
            return
        yield above
        above = above.parent
